"""The Solidity contract on two machines: an embedded chain, and its EVM without signatures."""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from eth_utils.address import to_canonical_address, to_checksum_address

from colearn_ledger.calls import CALLS, QUERIES, check_arguments
from colearn_ledger.chains.evm.abi import Log, load_artifact
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.event_codec import event_from_log
from colearn_ledger.chains.evm.ledger import EvmLedger
from colearn_ledger.chains.evm.machine import (
    REVERTED,
    SUCCEEDED,
    BlockContext,
    Machine,
    Outcome,
    Transaction,
)
from colearn_ledger.chains.evm.wire import (
    error_from_wire,
    params_to_wire,
)
from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    ABSENT_SCORE_BITS,
    Account,
    Event,
    ExperimentId,
    ExperimentParams,
    LedgerError,
    SigningDomain,
    SigningScheme,
)
from tests.support.duel.plans import Parts

_ABI = load_artifact().abi
_ENCODER = EvmEncoder(_ABI)

_CHAIN_ID = 1
_GAS = 30_000_000


@dataclass(frozen=True)
class AcceptedCall:
    """An accepted call: its events, and the time and entropy of its block."""

    events: tuple[Event, ...]
    time: int
    entropy: bytes


class Backend(Protocol):
    """A machine with the contract; refusals are raised as the protocol's errors."""

    domain: SigningDomain
    is_slow: bool
    is_live: bool
    """True if time passes by itself, as on a live chain."""

    def now(self) -> int:
        """Return the time that a transaction would have; on a live chain, the last block's time."""

    def earliest_time(self) -> int:
        """Return the earliest time at which a call or a query made now may be evaluated."""

    def set_time(self, time: int) -> None:
        """Give the next transaction this time if it is later than the last one's.

        On a live chain, wait until then, unless that would take too long.
        """

    def transact(self, wallet: Wallet, name: str, arguments: Sequence[Any]) -> AcceptedCall:
        """Make a call of the ledger."""

    def create_with(
        self, wallet: Wallet, params: ExperimentParams, content: Parts, *, initial: bool
    ) -> AcceptedCall:
        """Create an experiment with content that a `ContentRef` cannot represent."""

    def propose_with(
        self, wallet: Wallet, experiment: ExperimentId, index: int, content: Parts
    ) -> AcceptedCall:
        """Propose content that a `ContentRef` cannot represent."""

    def ask(self, name: str, arguments: Sequence[Any]) -> Any:
        """Return the answer to a query of the ledger."""

    def events(self, experiment: ExperimentId) -> list[tuple[int, Event]] | None:
        """Return an experiment's events and their times; `None` if this backend records none."""


class EvmBackend(ABC):
    """Common base of the two EVM machines."""

    is_live = False

    @abstractmethod
    def now(self) -> int: ...

    def earliest_time(self) -> int:
        return self.now()

    def create_with(
        self, wallet: Wallet, params: ExperimentParams, content: Parts, *, initial: bool
    ) -> AcceptedCall:
        wire = list(params_to_wire(params))
        wire[2 if initial else 1] = content
        return self.transact_raw(wallet, _ABI.encode_call("create", (tuple(wire),)))

    def propose_with(
        self, wallet: Wallet, experiment: ExperimentId, index: int, content: Parts
    ) -> AcceptedCall:
        arguments = (experiment, index, content, ABSENT_SCORE_BITS, ABSENT_SCORE_BITS)
        return self.transact_raw(wallet, _ABI.encode_call("propose", arguments))

    @abstractmethod
    def transact_raw(self, wallet: Wallet, data: bytes) -> AcceptedCall: ...


class RevmBackend(EvmBackend):
    """Calls on the embedded chain's EVM through the ledger's encoding, without signatures."""

    is_slow = False

    def __init__(self) -> None:
        self._machine = Machine(_CHAIN_ID)
        self._time = 1_700_000_000
        self._calls = 0
        created = self._execute(Transaction(b"\xd0" * 20, None, load_artifact().bytecode, _GAS))
        self._contract = created.contract
        self.domain = signing_domain(_CHAIN_ID, Account(to_checksum_address(created.contract)))

    def now(self) -> int:
        return self._time

    def set_time(self, time: int) -> None:
        self._time = max(time, self._time)

    def transact(self, wallet: Wallet, name: str, arguments: Sequence[Any]) -> AcceptedCall:
        checked = check_arguments(CALLS[name], arguments, SigningScheme.EIP712)
        return self.transact_raw(wallet, _ENCODER.encode(CALLS[name], checked))

    def transact_raw(self, wallet: Wallet, data: bytes) -> AcceptedCall:
        sender = to_canonical_address(wallet.address)
        nonce = self._machine.account(sender).nonce
        call = Transaction(sender, self._contract, data, _GAS, nonce=nonce)
        logs = [Log(log.topics, log.data) for log in self._execute(call).logs]
        events = [event_from_log(_ABI, log) for log in logs]
        entropy = self._block().entropy
        return AcceptedCall(tuple(e for e in events if e is not None), self._time, entropy)

    def ask(self, name: str, arguments: Sequence[Any]) -> Any:
        checked = check_arguments(QUERIES[name], arguments, SigningScheme.EIP712)
        call = Transaction(bytes(20), self._contract, _ENCODER.encode(QUERIES[name], checked), _GAS)
        outcome = self._machine.call(call, self._block(), self._calls)
        return _decode(name, checked, _output_of(outcome))

    def events(self, experiment: ExperimentId) -> None:
        return None

    def _execute(self, call: Transaction) -> Outcome:
        self._calls += 1
        outcome = self._machine.transact(call, self._block())
        _output_of(outcome)
        return outcome

    def _block(self) -> BlockContext:
        entropy = hashlib.sha256(self._calls.to_bytes(8, "big")).digest()
        return BlockContext(self._calls, self._time, _GAS, 0, entropy)


def _output_of(outcome: Outcome) -> bytes:
    """Return the output of a call, or raise the protocol's error."""
    if outcome.status == SUCCEEDED:
        return outcome.output
    reason = error_from_wire(_ABI, outcome.output) if outcome.status == REVERTED else None
    if reason is None:
        raise RuntimeError(outcome.output)
    raise reason


@lru_cache(maxsize=4_096)
def _decode(name: str, arguments: tuple[Any, ...], data: bytes) -> Any:
    return _ENCODER.decode(QUERIES[name], arguments, data)


class ChainBackend(EvmBackend):
    """`EvmLedger` on the embedded chain: signed transactions, blocks, receipts, logs."""

    is_slow = True

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self.ledger: EvmLedger = calendar.chain.deploy(calendar.bank)
        self.domain = self.ledger.domain

    def now(self) -> int:
        return self.ledger.now()

    def set_time(self, time: int) -> None:
        self._calendar.time = max(time, self._calendar.time)

    def transact(self, wallet: Wallet, name: str, arguments: Sequence[Any]) -> AcceptedCall:
        view = self.ledger.acting_for(wallet)
        receipt = getattr(view, name)(*arguments).wait()
        return AcceptedCall(receipt.events, receipt.time, self._entropy())

    def transact_raw(self, wallet: Wallet, data: bytes) -> AcceptedCall:
        receipt = self.ledger._channel.send(wallet, data, None).wait()
        return AcceptedCall(receipt.events, receipt.time, self._entropy())

    def ask(self, name: str, arguments: Sequence[Any]) -> Any:
        return getattr(self.ledger, name)(*arguments)

    def events(self, experiment: ExperimentId) -> list[tuple[int, Event]]:
        return [(r.time, r.event) for r in self.ledger.events(experiment)]

    def _entropy(self) -> bytes:
        """Return the prevrandao of the last block."""
        response = self._calendar.chain.provider.make_request(
            "eth_getBlockByNumber", ["latest", False]
        )
        return bytes.fromhex(response["result"]["mixHash"][2:])


class Calendar:
    """An embedded chain whose clock moves only on request, with funded accounts.

    Each duel has its own chain, with the same entropy every time, so that Hypothesis can repeat a
    duel.
    """

    def __init__(self, people: Sequence[Wallet], time: int = 1_700_000_000) -> None:
        self.time = time
        self.bank = Wallet.from_key(hashlib.sha256(b"bank").digest())
        self.chain = EmbeddedChain(clock=lambda: self.time, entropy=random.Random(1).randbytes)
        for wallet in people:
            self.chain.fund(wallet)


def outcome_of(call: Any) -> tuple[str, Any]:
    """Return the outcome of a call: "ok" and its value, or its error's name and values."""
    try:
        return "ok", call()
    except LedgerError as error:
        return type(error).__name__, error.args
