"""Read an experiment over JSON-RPC."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace as Row
from typing import Any
from urllib.parse import urlsplit

from .encoding import hash_evm, pack

ABI = Path(__file__).parents[2] / "colearn_ledger/chains/evm/CollectiveLearning.json"
DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
Send = Callable[[str, list[Any]], Any]  # returns a result, given a method and its parameters


class Unchecked(Exception):
    """The experiment could not be checked."""


def connect(url: str) -> Send:
    """Return a function that sends requests to a node."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise Unchecked(f"{url} is not a URL of http or https")
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kinds[parts.scheme](parts.hostname or "", parts.port, timeout=60)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def send(method: str, parameters: list[Any]) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        if "result" not in answer:
            raise Unchecked(f"the node refused {method}: {answer.get('error')}")
        return answer["result"]

    return send


class Reader:
    """Reads one experiment; its state as of one block."""

    def __init__(self, send: Send, contract: str, experiment: int, abi: Path = ABI) -> None:
        self.send, self.contract, self.id = send, contract, experiment
        entries = [e for e in json.loads(abi.read_text())["abi"] if e["type"] != "error"]
        self.by_hash = {self._sign(e)[: 4 if "outputs" in e else 32]: e for e in entries}
        self.functions = {e["name"]: e for e in entries if "outputs" in e}
        self.head = int(send("eth_blockNumber", []), 16)
        domain = hash_evm(DOMAIN) + hash_evm(b"CollectiveLearning") + hash_evm(b"2")
        self.domain = hash_evm(domain, pack(send("eth_chainId", [])), pack(contract))

    def query(self, name: str, *numbers: int) -> Any:
        """Return the contract's answer to a query."""
        entry = self.functions[name]
        data = "0x" + (self._sign(entry)[:4] + b"".join(map(pack, numbers))).hex()
        answer = self.send("eth_call", [{"to": self.contract, "data": data}, hex(self.head)])
        return self._decode_all(entry["outputs"], bytes.fromhex(answer[2:]))[0]

    def query_all(self, name: str, *numbers: int) -> list[Any]:
        """Return all rows of a list."""
        rows: list[Any] = []
        while page := self.query(name, *numbers, len(rows), 100):
            rows += page
        return rows

    def read_events(self, first: int) -> Iterator[Row]:
        """Yield the experiment's events with their blocks and their calls."""
        blocks: dict[str, Any] = {}
        calls: dict[str, Row | None] = {}
        for log in self._read_logs(first):
            number, tx = log["blockNumber"], log["transactionHash"]
            if number not in blocks:
                blocks[number] = self.send("eth_getBlockByNumber", [number, False])
            if tx not in calls:
                calls[tx] = self._read_call(tx)
            if log["blockHash"] != blocks[number]["hash"]:
                raise Unchecked("the chain changed while it was read; try again")
            topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            inputs = sorted(self.by_hash[topics[0]]["inputs"], key=lambda each: not each["indexed"])
            values = self._decode_all(inputs[: len(topics) - 1], b"".join(topics[1:]))
            values += self._decode_all(inputs[len(values) :], bytes.fromhex(log["data"][2:]))
            e = self._name(inputs, values)
            if log["address"].lower() != self.contract.lower() or e.experiment != self.id:
                raise Unchecked("the node returned an event of something else")
            event = Row(name=self.by_hash[topics[0]]["name"], fields=e, tx=tx, call=calls[tx])
            event.order = int(number, 16), int(log["logIndex"], 16)
            event.time = int(blocks[number]["timestamp"], 16)
            event.entropy = bytes.fromhex(blocks[number].get("mixHash", "0x")[2:])
            yield event

    def _read_logs(self, first: int) -> Iterator[Any]:
        wanted = {"address": self.contract, "topics": [None, "0x" + pack(self.id).hex()]}
        size = 10_000
        while first <= self.head:
            last = min(first + size - 1, self.head)
            span = {"fromBlock": hex(first), "toBlock": hex(last)}
            try:
                yield from self.send("eth_getLogs", [{**wanted, **span}])
                first = last + 1
            except Unchecked:
                if size == 1:
                    raise
                size //= 2  # nodes limit the blocks and the logs of an answer

    def _read_call(self, tx: str) -> Row | None:
        """Return a transaction's call; ``None`` if it did not call the contract itself."""
        sent = self.send("eth_getTransactionByHash", [tx])
        if not sent or str(sent["to"]).lower() != self.contract.lower():
            return None
        data = bytes.fromhex(sent["input"][2:])
        entry = self.by_hash[data[:4]]
        given = vars(self._name(entry["inputs"], self._decode_all(entry["inputs"], data[4:])))
        return Row(name=entry["name"], sender=sent["from"].lower(), given=given)

    def _name_type(self, entry: Any) -> str:
        inner = ",".join(map(self._name_type, entry.get("components", [])))
        return str(entry["type"].replace("tuple", f"({inner})"))

    def _sign(self, entry: Any) -> bytes:
        types = ",".join(map(self._name_type, entry["inputs"]))
        return hash_evm(f"{entry['name']}({types})".encode())

    def _decode_all(self, entries: Sequence[Any], data: bytes, base: int = 0) -> list[Any]:
        values, at = [], base
        for entry in entries:
            name = self._name_type(entry)
            moved = re.search(r"\[|string|bytes(?!\d)", name)  # it is behind an offset
            start = base + int.from_bytes(self._cut(data, at)) if moved else at
            values.append(self._decode(entry, data, start))
            at += 32 if moved else 32 * (1 + name.count(","))
        return values

    def _decode(self, entry: Any, data: bytes, at: int) -> Any:
        kind, parts = entry["type"], entry.get("components", [])
        if kind == "tuple":
            return self._name(parts, self._decode_all(parts, data, at))
        word = self._cut(data, at)
        number = int.from_bytes(word)
        if kind.endswith("[]"):
            rows = [{**entry, "type": kind[:-2]}] * min(number, len(data))  # no more can follow
            return self._decode_all(rows, data, at + 32)
        if kind in ("bytes", "string"):
            value = self._cut(data, at + 32, number)
            return value if kind == "bytes" else value.decode(errors="replace")
        if kind == "address":
            return "0x" + word[12:].hex()
        return word if kind == "bytes32" else bool(number) if kind == "bool" else number

    def _name(self, entries: Sequence[Any], values: list[Any]) -> Row:
        return Row(**dict(zip([each["name"] for each in entries], values, strict=True)))

    def _cut(self, data: bytes, at: int, size: int = 32) -> bytes:
        if at + size > len(data):
            raise Unchecked("the node returned data that ends too early")
        return data[at : at + size]
