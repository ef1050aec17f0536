"""The Solidity contract on two machines: an embedded chain, and revm without transactions."""

from __future__ import annotations

import hashlib
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from eth_utils.address import to_checksum_address
from pyrevm import EVM, BlockEnv

from colearn_ledger.calls import CALLS, QUERIES, check_arguments
from colearn_ledger.chains.evm.abi import Log, load_artifact
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.event_codec import event_from_log
from colearn_ledger.chains.evm.ledger import EvmLedger
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
    """Bare calls on revm through the ledger's encoding: microseconds each, without signatures."""

    ZERO = Account("0x" + "00" * 20)
    is_slow = False

    def __init__(self) -> None:
        self._evm = EVM(spec_id="CANCUN")
        self._time = 1_700_000_000
        self._calls = 0
        deployer = to_checksum_address("0x" + "d0" * 20)
        self._evm.set_balance(deployer, 10**30)
        self._contract = to_checksum_address(self._evm.deploy(deployer, load_artifact().bytecode))
        self.domain = signing_domain(self._evm.env.cfg.chain_id, Account(self._contract))

    def now(self) -> int:
        return self._time

    def set_time(self, time: int) -> None:
        self._time = max(time, self._time)

    def transact(self, wallet: Wallet, name: str, arguments: Sequence[Any]) -> AcceptedCall:
        checked = check_arguments(CALLS[name], arguments, SigningScheme.EIP712)
        return self.transact_raw(wallet, _ENCODER.encode(CALLS[name], checked))

    def transact_raw(self, wallet: Wallet, data: bytes) -> AcceptedCall:
        self._calls += 1
        entropy = hashlib.sha256(self._calls.to_bytes(8, "big")).digest()
        self._evm.set_block_env(BlockEnv(timestamp=self._time, prevrandao=entropy))
        self._call(wallet.address, data, is_static=False)
        logs = [Log(tuple(topics), body) for topics, body in self._data_of_logs()]
        events = [event_from_log(_ABI, log) for log in logs]
        return AcceptedCall(tuple(e for e in events if e is not None), self._time, entropy)

    def _data_of_logs(self) -> list[tuple[list[bytes], bytes]]:
        return [log.data for log in self._evm.result.logs]

    def ask(self, name: str, arguments: Sequence[Any]) -> Any:
        checked = check_arguments(QUERIES[name], arguments, SigningScheme.EIP712)
        self._evm.set_block_env(BlockEnv(timestamp=self._time, prevrandao=bytes(32)))
        data = self._call(self.ZERO, _ENCODER.encode(QUERIES[name], checked), is_static=True)
        return _decode(name, checked, data)

    def events(self, experiment: ExperimentId) -> None:
        return None

    def _call(self, caller: Account, data: bytes, *, is_static: bool) -> bytes:
        try:
            return bytes(
                self._evm.message_call(
                    caller=caller, to=self._contract, calldata=data, is_static=is_static
                )
            )
        except RuntimeError as error:  # the only way in which revm reports a refusal
            output = re.search(r"output: 0x([0-9a-f]*)", str(error))
            reason = error_from_wire(_ABI, bytes.fromhex(output[1])) if output else None
            if reason is None:
                raise
            raise reason from None


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
        return bytes.fromhex(response["result"]["mix_hash"][2:])


class Calendar:
    """An embedded chain whose clock moves only on request, with funded accounts.

    Each duel has its own chain, with the same entropy every time, so that Hypothesis can repeat a
    duel.
    """

    def __init__(self, people: Sequence[Wallet]) -> None:
        self.time = 1_700_000_000
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
