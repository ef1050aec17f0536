"""The EVM of the embedded chain: revm, compiled to WebAssembly and run by wasmtime.

The module is built from contracts/embedded; see scripts/build_embedded.py. It contains the state of
one chain per instance. It has no clock, no entropy and no access to this machine.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import cast

from wasmtime import Config, Engine, Func, Instance, Memory, Module, Store, WasmtimeError

_TRANSACTION = struct.Struct(">Q20s?20s32sQ16s16sQ")
_BLOCK = struct.Struct(">QQQQ32s")
_OUTCOME = struct.Struct(">BQQ20sI")
_LOG = struct.Struct(">20sB")
_SLOT = struct.Struct(">20s32s")
_NUMBER = struct.Struct(">Q")
_LENGTH = struct.Struct(">I")

_BUFFER = 65_536
"""Bytes for arguments; longer ones get a longer buffer."""

SUCCEEDED, REVERTED, HALTED, REFUSED = range(4)
"""The status of an outcome; a refused transaction changes nothing."""


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The fields of a block that contracts can read; ``time`` is in seconds, the fee in wei."""

    number: int
    time: int
    gas_limit: int
    base_fee: int
    entropy: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of type 2; ``to`` is ``None`` for a deployment, prices are in wei."""

    sender: bytes
    to: bytes | None
    data: bytes
    gas: int
    value: int = 0
    nonce: int = 0
    max_fee: int = 0
    tip: int = 0


@dataclass(frozen=True, slots=True)
class MachineLog:
    """A log of a transaction."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a transaction or call.

    ``output`` is the result, the revert data, or the text of the reason why it halted or was
    refused. ``gas_needed`` is the gas used before refunds.
    """

    status: int
    gas_used: int
    gas_needed: int
    contract: bytes
    logs: tuple[MachineLog, ...]
    output: bytes


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account; the balance is in wei."""

    balance: int
    nonce: int
    code: bytes


@lru_cache(maxsize=1)
def _compile() -> tuple[Engine, Module]:
    """Return the compiled module, which all chains of this process share."""
    config = Config()
    try:
        config.cache = True  # what was compiled is kept in the user's cache folder
    except WasmtimeError:  # there is no such folder, or it cannot be written
        config = Config()
    engine = Engine(config)
    return engine, Module(engine, files(__package__).joinpath("revm.wasm").read_bytes())


class Machine:
    """The state of a chain, which transactions change. Only one thread at a time may use it.

    Args:
        chain_id: the chain's id.
    """

    def __init__(self, chain_id: int) -> None:
        engine, module = _compile()
        self._chain_id = chain_id
        self._store = Store(engine)
        self._exports = Instance(self._store, module, []).exports(self._store)
        self._memory = cast(Memory, self._exports["memory"])
        self._buffer = 0, 0

    def set_balance(self, address: bytes, balance: int) -> None:
        """Set an account's balance, in wei."""
        self._run("set_balance", address + balance.to_bytes(32, "big"))

    def set_code(self, address: bytes, code: bytes) -> None:
        """Set the code of an account; the account becomes a new one in all other respects."""
        self._run("set_code", address + code)

    def set_storage(self, address: bytes, values: Mapping[int, int]) -> None:
        """Set the values of slots of an account's storage."""
        words = (each.to_bytes(32, "big") for pair in values.items() for each in pair)
        self._run("set_storage", address + b"".join(words))

    def account(self, address: bytes) -> AccountState:
        """Return the present state of an account."""
        answer = self._run("account", address)
        nonce = _NUMBER.unpack_from(answer, 32)[0]
        return AccountState(int.from_bytes(answer[:32], "big"), nonce, answer[40:])

    def transact(self, transaction: Transaction, block: BlockContext) -> Outcome:
        """Execute a transaction in a block of its own; unless it is refused, its effects stay."""
        return _read_outcome(self._run("transact", self._pack(transaction, block)))

    def call(self, transaction: Transaction, block: BlockContext, height: int) -> Outcome:
        """Execute a call, without fees and effects, on the state after block ``height``."""
        return _read_outcome(
            self._run("call", _NUMBER.pack(height) + self._pack(transaction, block))
        )

    def trace(
        self, transaction: Transaction, block: BlockContext
    ) -> tuple[set[tuple[bytes, int]], Outcome]:
        """Execute a call on the present state, without fees and effects.

        Return the slots of storage that it read, each with its account, and the outcome.
        """
        answer = self._run("trace", self._pack(transaction, block))
        [number] = _LENGTH.unpack_from(answer)
        end = _LENGTH.size + number * _SLOT.size
        slots = _SLOT.iter_unpack(answer[_LENGTH.size : end])
        read = {(address, int.from_bytes(slot, "big")) for address, slot in slots}
        return read, _read_outcome(answer[end:])

    def _pack(self, call: Transaction, block: BlockContext) -> bytes:
        head = _TRANSACTION.pack(
            self._chain_id,
            call.sender,
            call.to is None,
            call.to or b"",
            call.value.to_bytes(32, "big"),
            call.gas,
            call.max_fee.to_bytes(16, "big"),
            call.tip.to_bytes(16, "big"),
            call.nonce,
        )
        fields = block.number, block.time, block.gas_limit, block.base_fee, block.entropy
        return head + _BLOCK.pack(*fields) + call.data

    def _run(self, name: str, argument: bytes) -> bytes:
        store, memory, length = self._store, self._memory, len(argument)
        start, size = self._buffer
        if length > size:
            size = max(_BUFFER, length)
            start = cast(Func, self._exports["allocate"])(store, size)
            self._buffer = start, size
        memory.write(store, argument, start)
        answer = cast(Func, self._exports[name])(store, length) & 0xFFFF_FFFF_FFFF_FFFF
        return bytes(memory.read(store, answer >> 32, (answer >> 32) + (answer & 0xFFFF_FFFF)))


def _read_outcome(answer: bytes) -> Outcome:
    status, used, needed, contract, count = _OUTCOME.unpack_from(answer)
    reader = _Reader(answer, _OUTCOME.size)
    logs = tuple(reader.read_logs(count))
    return Outcome(status, used, needed, contract, logs, answer[reader.at :])


class _Reader:
    """Reads logs from an answer."""

    def __init__(self, answer: bytes, at: int) -> None:
        self._answer = answer
        self.at = at

    def read_logs(self, count: int) -> Iterator[MachineLog]:
        for _ in range(count):
            address, topics = _LOG.unpack(self._take(_LOG.size))
            words = tuple(self._take(32) for _ in range(topics))
            yield MachineLog(address, words, self._take(_LENGTH.unpack(self._take(4))[0]))

    def _take(self, length: int) -> bytes:
        start, self.at = self.at, self.at + length
        return self._answer[start : self.at]
