"""The compiled contract that ships with this package, and its ABI encoding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from eth_abi import abi as coder
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.protocol import Account

_WORD, _ADDRESS = 32, 20


@dataclass(frozen=True, slots=True)
class Log:
    """An event as a chain records it: topics of 32 bytes each, and ABI-encoded data."""

    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class Artifact:
    """The compiled contract, which consists of two parts: the contract itself and its queries.

    Args:
        abi: the interface of both parts.
        bytecode: the data of a deployment, which creates both.
        runtime: the code at the contract's address, with its immutables set to zero.
        queries: the code at the address of the queries; it has no immutables.
        immutables: for each immutable, the offsets in ``runtime`` of the words with its value.
        queries_at: the same offsets of one of them, the address of the queries.
        compiler: the compiler's version.
        source_hash: the hash of the compiled sources, hexadecimal.
    """

    abi: ContractAbi
    bytecode: bytes
    runtime: bytes
    queries: bytes
    immutables: tuple[tuple[int, ...], ...]
    queries_at: tuple[int, ...]
    compiler: str
    source_hash: str

    def is_deployed_as(self, code: bytes) -> bool:
        """Return whether deployed code is this contract, whatever the values of its immutables.

        This does not cover the queries: compare the code at `queries_address` with ``queries``.
        """
        if len(code) != len(self.runtime):
            return False
        masked = bytearray(code)
        for places in self.immutables:
            if len({code[at : at + _WORD] for at in places}) != 1:
                return False
            for at in places:
                masked[at : at + _WORD] = bytes(_WORD)
        return masked == self.runtime

    def queries_address(self, code: bytes) -> Account:
        """Return the address of the queries from deployed code that `is_deployed_as` accepts."""
        at = self.queries_at[0]
        return Account(to_checksum_address(code[at + _WORD - _ADDRESS : at + _WORD]))


@lru_cache(maxsize=1)
def load_artifact() -> Artifact:
    """Return the compiled contract of this package."""
    text = (files("colearn_ledger.chains.evm") / "CollectiveLearning.json").read_text("utf-8")
    parsed = json.loads(text)
    return Artifact(
        abi=ContractAbi(parsed["abi"]),
        bytecode=_bytes(parsed["bytecode"]),
        runtime=_bytes(parsed["deployedBytecode"]),
        queries=_bytes(parsed["queriesDeployedBytecode"]),
        immutables=tuple(tuple(places) for places in parsed["immutables"]),
        queries_at=tuple(parsed["queriesAddressAt"]),
        compiler=parsed["compiler"],
        source_hash=parsed["sourceHash"],
    )


def _bytes(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal.removeprefix("0x"))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A function, error or event of the ABI."""

    name: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    indexed: tuple[bool, ...]
    outputs: tuple[str, ...]
    hash: bytes


class ContractAbi:
    """Encodes calls and decodes answers, errors and logs of a contract.

    Args:
        description: the compiler's description of the contract.
    """

    def __init__(self, description: Sequence[Mapping[str, Any]]) -> None:
        entries = [(item["type"], _entry(item)) for item in description if "name" in item]
        self.functions = {e.name: e for kind, e in entries if kind == "function"}
        self.events = {e.name: e for kind, e in entries if kind == "event"}
        self.errors = {e.name: e for kind, e in entries if kind == "error"}
        self._functions = {e.hash[:4]: e for e in self.functions.values()}
        self._errors = {e.hash[:4]: e for e in self.errors.values()}
        self._events = {e.hash: e for e in self.events.values()}

    def encode_call(self, function: str, arguments: Sequence[Any]) -> bytes:
        """Return the data of a call."""
        entry = self.functions[function]
        return entry.hash[:4] + coder.encode(entry.types, arguments)

    def decode_call(self, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
        """Return the name and arguments of a call, ``None`` for another contract's function.

        Raises:
            BadAnswer: the data has a selector of the contract but cannot be decoded.
        """
        entry = self._functions.get(data[:4])
        if entry is None:
            return None
        return entry.name, _decode(entry.types, data[4:], f"a call of {entry.name}")

    def decode_answer(self, function: str, data: bytes) -> Any:
        """Decode the single value that a function returned; structs are tuples.

        Raises:
            BadAnswer: the bytes cannot be decoded.
        """
        return _decode(self.functions[function].outputs, data, f"the answer to {function}")[0]

    def decode_error(self, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
        """Return the name and values of a custom error, ``None`` for another contract's error.

        Raises:
            BadAnswer: the error has a selector of the contract but its values cannot be decoded.
        """
        entry = self._errors.get(data[:4])
        if entry is None:
            return None
        return entry.name, _decode(entry.types, data[4:], f"the error {entry.name}")

    def decode_log(self, log: Log) -> tuple[str, dict[str, Any]] | None:
        """Return the name and fields of an event, ``None`` for another contract's event.

        Raises:
            BadAnswer: the log has a topic of the contract but its fields cannot be decoded.
        """
        entry = self._events.get(log.topics[0]) if log.topics else None
        if entry is None:
            return None
        what = f"the event {entry.name}"
        shape = tuple(zip(entry.names, entry.types, entry.indexed, strict=True))
        in_topics = [(name, kind) for name, kind, indexed in shape if indexed]
        in_data = [(name, kind) for name, kind, indexed in shape if not indexed]
        if len(in_topics) != len(log.topics) - 1:
            raise BadAnswer(f"{what} came with {len(log.topics)} topics")
        words = b"".join(log.topics[1:])
        fields: dict[str, Any] = {}
        for declared, data in ((in_topics, words), (in_data, log.data)):
            values = _decode_named(declared, data, what)
            fields.update(zip([n for n, _ in declared], values, strict=True))
        return entry.name, fields

    def topic(self, event: str) -> bytes:
        """Return the first topic of an event's logs."""
        return self.events[event].hash


def _decode_named(fields: Sequence[tuple[str, str]], data: bytes, what: str) -> tuple[Any, ...]:
    return _decode([kind for _, kind in fields], data, what)


def _decode(types: Sequence[str], data: bytes, what: str) -> tuple[Any, ...]:
    try:
        return coder.decode(types, data) if types else ()
    # a hostile offset or length raises any of these
    except (DecodingError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise BadAnswer(f"{what} cannot be decoded: {error}") from error


def _entry(item: Mapping[str, Any]) -> _Entry:
    inputs = item.get("inputs", [])
    types = tuple(_type(i) for i in inputs)
    return _Entry(
        name=item["name"],
        names=tuple(i["name"] for i in inputs),
        types=types,
        indexed=tuple(bool(i.get("indexed")) for i in inputs),
        outputs=tuple(_type(o) for o in item.get("outputs", [])),
        hash=keccak(text=f"{item['name']}({','.join(types)})"),
    )


def _type(parameter: Mapping[str, Any]) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    parts = ",".join(_type(c) for c in parameter["components"])
    return f"({parts}){kind.removeprefix('tuple')}"
