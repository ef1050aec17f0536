"""A client of a node that is not trusted, with the interface of a client of one that is."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from cosmpy.protos.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import (
    ABCIQueryRequest,
    GetBlockByHeightRequest,
    GetValidatorSetByHeightRequest,
)

from colearn_ledger.chains.cosmos.artifact import load_artifact
from colearn_ledger.chains.cosmos.errors import find_contract_error
from colearn_ledger.chains.cosmos.event_codec import decode_events
from colearn_ledger.chains.cosmos.node import GrpcConfig, Node
from colearn_ledger.chains.cosmos.proving.commits import Validator, decode_validator
from colearn_ledger.chains.cosmos.proving.contract import execute_query
from colearn_ledger.chains.cosmos.proving.headers import HeaderChain, Source, decode_header
from colearn_ledger.chains.cosmos.proving.results import prove_codes
from colearn_ledger.chains.cosmos.proving.stores import prove_value
from colearn_ledger.chains.cosmos.records import (
    Block,
    ContractInfo,
    Executed,
    FullBlock,
    decode_fields,
)
from colearn_ledger.chains.cosmos.sent_calls import decode_call, read_sent_calls
from colearn_ledger.chains.cosmos.transactions import hash_transaction
from colearn_ledger.chains.errors import BadAnswer, NodeRefused, ProofFailed
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, Announced
from colearn_ledger.text.address import address_bytes, decode_bech32
from colearn_ledger.text.strict_json import InvalidJson, load

T = TypeVar("T")

_STORE = "wasm"
_CODE, _CONTRACT, _STORAGE = b"\x01", b"\x02", b"\x03"
"""The first bytes of keys in the store: code by its id, contracts and their storage by address."""

_VALIDATORS_AT_ONCE = 100
_MOST_VALIDATORS = 10_000


class ProvenNode(Node):
    """A client that reads one contract up to the newest block that can be proved.

    Every read returns what follows from the hash of the trusted block, or raises `ProofFailed`.
    Only the events of transactions are the node's word, as no hash covers them.

    Args:
        url: the URL of the node's gRPC.
        contract: the contract.
        trusted: the hash of the trusted block.
        grpc: timeouts and retries of requests.
        report_done: called with the number of headers read.

    Raises:
        LedgerUnavailable: the node cannot be reached.
        ProofFailed: the node's newest block does not follow from the trusted one.
    """

    def __init__(
        self,
        url: str,
        contract: Account,
        *,
        trusted: bytes,
        grpc: GrpcConfig,
        report_done: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(url, grpc)
        self._contract = contract
        self._address = address_bytes(contract)
        created = super().contract(contract)
        newest = super().latest()[1].height
        self._headers = HeaderChain(
            Source(self.name, self._ask_block, self._ask_validators),
            trusted,
            (1 if created is None else created.created, newest),
            contract.encode(),
            report_done,
        )
        self._values: dict[bytes, bytes | None] = {}
        self._codes: dict[int, Mapping[str, int]] = {}

    @property
    def trusted(self) -> Block:
        """Return the trusted block."""
        return self._headers.trusted.block

    # ------------------------------------------------------------------ blocks

    def find_first_block(self, time: int) -> int:
        """Return the height of the first block at or after a time, in proven headers."""
        return self._headers.reach(time)

    def latest(self) -> tuple[str, Block]:
        """Return the chain's id and the last block whose state is proved."""
        last = self._headers.last
        return last.chain_id, last.block

    def block(self, height: int) -> Block | None:
        """Return a block."""
        return self._headers.find(height).block

    def full_block(self, height: int) -> FullBlock | None:
        """Return a block with its transactions."""
        header, block = self._headers.find(height), self._ask_block(height)
        if decode_header(block, b"").hash != header.hash:
            raise ProofFailed(f"the header of block {height} that the node returned was changed")
        return FullBlock(header.block, header.nanoseconds, tuple(block.data.txs))

    # ------------------------------------------------------------------ contracts

    def contract(self, address: Account) -> ContractInfo | None:
        """Return the contract's checksum and origin, ``None`` if it does not exist."""
        found = self._read(_CONTRACT + address_bytes(address))
        if found is None:
            return None
        info = decode_fields(found)
        code = self._read(_CODE + info.get(1, 0).to_bytes(8, "big"))
        checksum = decode_fields(code or b"").get(1, b"")
        admin = info.get(3, b"").decode(errors="replace")
        return ContractInfo(checksum, admin, decode_fields(info.get(5, b"")).get(1, 1))

    def query(
        self,
        contract: Account,
        message: Mapping[str, Any],
        read: Callable[[Any], T],
        height: int | None = None,
    ) -> T:
        """Return what ``read`` makes of the contract's answer, which is computed in this process.

        Raises:
            Refused: the contract refuses to answer.
        """
        last = self._headers.last
        if contract != self._contract or height not in (None, last.height):
            raise ProofFailed(f"the state of {contract} in block {height} is not part of the proof")
        env = {
            "block": {
                "height": last.height,
                "time": str(last.nanoseconds),
                "chain_id": last.chain_id,
            },
            "transaction": None,
            "contract": {"address": contract},
        }
        result = execute_query(
            load_artifact().wasm,
            decode_bech32(contract)[0],
            lambda key: self._read(_STORAGE + self._address + key),
            json.dumps(env).encode(),
            json.dumps(message).encode(),
        )
        return read(_read_result(result))

    def _read(self, key: bytes) -> bytes | None:
        """Return the value at a key of the module that contains all contracts."""
        if key not in self._values:
            request = ABCIQueryRequest(
                data=key,
                path=f"/store/{_STORE}/key",
                height=self._headers.last.height,
                prove=True,
            )
            try:
                answer = self._ask(self._blocks.ABCIQuery, request)
            except NodeRefused as error:
                if "unknown method" not in str(error):
                    raise
                raise NodeRefused(
                    f"{self.name} cannot prove its state: that needs Cosmos SDK 0.46 or newer; "
                    "compare several nodes instead"
                ) from error
            if answer.code:
                raise NodeRefused(
                    f"{self.name} does not prove the state of block {request.height}: "
                    f"{ascii(answer.log)[:200]}"
                )
            self._values[key] = prove_value(
                answer.proof_ops.ops, _STORE, key, self._headers.end.app_hash
            )
        return self._values[key]

    # ------------------------------------------------------------------ transactions

    def transaction(self, name: str) -> Executed | None:
        """Return a transaction by its hash."""
        if (found := super().transaction(name)) is None:
            raise ProofFailed(f"the node left out the transaction {name}, whose events it returned")
        return self._prove(found)

    def executions(self, contract: Account, first: int, last: int) -> list[Executed]:
        """Return the transactions that executed the contract in a range of blocks, in order."""
        if contract != self._contract:
            raise ProofFailed(f"the transactions of {contract} are not part of the proof")
        found = {each.hash: self._prove(each) for each in super().executions(contract, first, last)}
        for header in self._headers.list_between(first, last):
            for name, raw in self._find_calls(header.height) if header.calls else ():
                self._check_events(raw, found.get(name), name)
        return sorted(found.values(), key=self._find_place)

    def executed_in(self, height: int) -> list[Executed]:
        """Return the transactions of a block, including those that failed."""
        found = [self._prove(each) for each in super().executed_in(height)]
        if {each.hash for each in found} != set(self._prove_codes(height)):
            raise ProofFailed(f"the node left out a transaction of block {height}")
        return found

    def _prove(self, executed: Executed) -> Executed:
        """Return a transaction whose block and result are proved, with the time of the block."""
        height, name = executed.height, executed.hash
        codes = self._prove_codes(height)
        if codes.get(name) != executed.code:
            raise ProofFailed(
                f"the node returned transaction {name} with the result {executed.code}, but the "
                f"result in block {height} is {codes.get(name, 'missing')}"
            )
        return replace(executed, time=self._headers.find(height).time)

    def _prove_codes(self, height: int) -> Mapping[str, int]:
        """Return the result codes of the transactions of a block, in order."""
        if height not in self._codes:
            root = self._headers.find(height + 1).results
            block = self.full_block(height)
            names = [hash_transaction(raw) for raw in block.transactions] if block else []
            responses = self._ask_responses(f"tx.height={height}") if names else []
            self._codes[height] = prove_codes(height, names, responses, root)
        return self._codes[height]

    def _find_place(self, executed: Executed) -> tuple[int, int]:
        names = list(self._prove_codes(executed.height))
        return executed.height, names.index(executed.hash)

    def _find_calls(self, height: int) -> list[tuple[str, bytes]]:
        """Return the transactions of a block that took effect, each with its bytes."""
        block, codes = self.full_block(height), self._prove_codes(height)
        raws = block.transactions if block else ()
        named = [(hash_transaction(raw), raw) for raw in raws]
        return [(name, raw) for name, raw in named if not codes[name]]

    def _check_events(self, raw: bytes, found: Executed | None, name: str) -> None:
        """Check that the node did not leave out a call, or announcements of its events."""
        try:
            sent = [each for each in read_sent_calls(raw) if each is not None]
        except BadAnswer:
            return
        calls = [decode_call(each.message) for each in sent if each.contract == self._contract]
        announced = sum(1 for each in calls if each and each[0].name == "announce")
        events = decode_events(found.events, self._contract) if found else []
        if calls and found is None:
            raise ProofFailed(f"the node left out the transaction {name}, which calls the contract")
        if sum(isinstance(each, Announced) for each in events) < announced:
            raise ProofFailed(f"the node left out an announcement of the transaction {name}")

    # ------------------------------------------------------------------ requests

    def _ask_block(self, height: int) -> Any:
        """Return a ``tendermint.types.Block``."""
        try:
            answer = self._ask(
                self._blocks.GetBlockByHeight, GetBlockByHeightRequest(height=height)
            )
        except NodeRefused as error:
            raise LedgerUnavailable(
                f"{self.name} does not have block {height}, which the proof needs; ask a node that "
                "keeps old blocks"
            ) from error
        return answer.block

    def _ask_validators(self, height: int) -> list[Validator]:
        """Return the validators that sign a block, in order."""
        found: list[Validator] = []
        for start in range(0, _MOST_VALIDATORS, _VALIDATORS_AT_ONCE):
            page = PageRequest(offset=start, limit=_VALIDATORS_AT_ONCE)
            request = GetValidatorSetByHeightRequest(height=height, pagination=page)
            answer = self._ask(self._blocks.GetValidatorSetByHeight, request)
            found += map(decode_validator, answer.validators)
            if len(answer.validators) < _VALIDATORS_AT_ONCE:
                break
            if len(found) >= answer.pagination.total:
                break
        return found


def _read_result(result: bytes) -> Any:
    """Return the contract's answer, or raise its refusal."""
    try:
        wire = load(result)
        if isinstance(wire, dict) and isinstance(wire.get("ok"), str):
            return load(base64.b64decode(wire["ok"], validate=True))
    except (InvalidJson, binascii.Error) as error:
        raise BadAnswer("the contract's answer is not valid JSON") from error
    text = str(wire.get("error")) if isinstance(wire, dict) else ""
    raise find_contract_error(text) or BadAnswer(f"a query of the contract failed: {text[:200]}")
