"""Execute a CosmWasm contract's queries in this process, on storage that the caller provides."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from wasmtime import (
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Linker,
    Memory,
    Module,
    Store,
    WasmtimeError,
)

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.text.address import InvalidAddress, decode_bech32

Read = Callable[[bytes], bytes | None]
"""Returns the value at a key of the contract's storage, ``None`` if there is none."""

_REGION = struct.Struct("<III")
"""A region of the contract's memory: its offset, its capacity, its length."""

_LARGEST = 4_000_000
"""Most bytes of an argument or an answer."""


@lru_cache(maxsize=1)
def _compile(wasm: bytes) -> tuple[Engine, Module]:
    config = Config()
    try:
        config.cache = True  # what was compiled is kept in the user's cache folder
    except WasmtimeError:  # there is no such folder, or it cannot be written
        config = Config()
    engine = Engine(config)
    return engine, Module(engine, wasm)


def execute_query(wasm: bytes, prefix: str, read: Read, env: bytes, message: bytes) -> bytes:
    """Return a contract's result of a query, as JSON.

    Args:
        wasm: the contract's code, which is trusted.
        prefix: the prefix of addresses on its chain.
        read: reads the contract's storage; what it raises ends the query.
        env: the contract's environment, as JSON.
        message: the query, as JSON.

    Raises:
        BadAnswer: the contract ended without a result, or needs what queries have not.
    """
    engine, module = _compile(wasm)
    store, linker = Store(engine), Linker(engine)
    host = _Host(prefix, read)
    functions: dict[str, Callable[..., Any]] = {
        "db_read": host.read_storage,
        "addr_validate": host.validate_address,
        "abort": host.abort,
    }
    for imported in module.imports:
        if not isinstance(imported.type, FuncType):
            raise BadAnswer(f"the contract imports {imported.name}, which is not a function")
        name = str(imported.name)
        function = functions.get(name) or _refuse(name)
        linker.define_func(imported.module, name, imported.type, function, access_caller=True)
    exports = linker.instantiate(store, module).exports(store)
    memory = _Memory(store, cast(Memory, exports["memory"]), cast(Func, exports["allocate"]))
    try:
        answer = cast(Func, exports["query"])(store, memory.write(env), memory.write(message))
    except WasmtimeError as error:
        raise BadAnswer(f"a query of the contract failed: {str(error)[:200]}") from error
    return memory.read(answer)


class _Memory:
    """A contract's memory, in which a region is found by the place of its three numbers."""

    def __init__(self, store: Store | Caller, memory: Memory, allocate: Func) -> None:
        self._store = store
        self._memory = memory
        self._allocate = allocate

    def read(self, place: int) -> bytes:
        """Return the contents of a region."""
        offset, _, length = _REGION.unpack(self._memory.read(self._store, place, place + 12))
        if length > _LARGEST:
            raise BadAnswer(f"the contract returned {length:,} bytes, more than {_LARGEST:,}")
        return bytes(self._memory.read(self._store, offset, offset + length))

    def write(self, data: bytes) -> int:
        """Return the place of a new region with contents."""
        place = int(self._allocate(self._store, len(data)))
        offset, capacity, _ = _REGION.unpack(self._memory.read(self._store, place, place + 12))
        self._memory.write(self._store, data, offset)
        header = _REGION.pack(offset, capacity, len(data))
        self._memory.write(self._store, header, place)
        return place


class _Host:
    """The functions that the chain's virtual machine offers to queries."""

    def __init__(self, prefix: str, read: Read) -> None:
        self._prefix = prefix
        self._read = read

    def read_storage(self, caller: Caller, key: int) -> int:
        """Return the region with the value at a key, 0 if there is none."""
        memory = _open_memory(caller)
        value = self._read(memory.read(key))
        return 0 if value is None else memory.write(value)

    def validate_address(self, caller: Caller, text: int) -> int:
        """Return 0 for an address of the chain, otherwise the region with the reason."""
        memory = _open_memory(caller)
        try:
            prefix, _ = decode_bech32(memory.read(text).decode(errors="replace"))
        except InvalidAddress as error:
            return memory.write(str(error).encode())
        return 0 if prefix == self._prefix else memory.write(b"the prefix is of another chain")

    def abort(self, caller: Caller, text: int) -> None:
        """End the query with the contract's reason."""
        reason = _open_memory(caller).read(text).decode(errors="replace")
        raise BadAnswer(f"a query of the contract failed: {reason[:200]}")


def _open_memory(caller: Caller) -> _Memory:
    return _Memory(caller, cast(Memory, caller["memory"]), cast(Func, caller["allocate"]))


def _refuse(name: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise BadAnswer(f"a query of the contract needs {name}, which is not part of the proof")

    return refuse
