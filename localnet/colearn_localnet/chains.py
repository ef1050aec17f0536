"""The chain of a local network, of either kind: brought up in the network's folder, told of, paid.

Both kinds can lie in one folder; the network's settings say which one runs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from colearn_localnet.anvil import Anvil, keep_newest_state
from colearn_localnet.cosmos import BLOCK_TIME, CosmosChain
from colearn_localnet.cosmos_genesis import CHAIN_ID, homes_of
from colearn_localnet.errors import NodeFailed, PortTaken
from colearn_localnet.funding import fund
from colearn_localnet.install import ANVIL, WASMD, find_binary
from colearn_localnet.processes import recorded
from colearn_localnet.records import ChainStatus, Record, ValidatorStatus
from colearn_localnet.rpc import json_rpc
from colearn_localnet.wasmd import Wasmd

__all__ = ["Chain", "begin_log", "chain_of", "keep_state", "log_in", "pid_of", "validators_in"]

Say = Callable[[str], None]

_EVM_CHAIN_ID = 31337
_LOG_LIMIT = 10_000_000
"""Bytes of a log after which the next start begins a new one and keeps the old one as `.1`."""


class Chain(Protocol):
    """What a network does with its chain, whatever its kind."""

    def find_binary(self, say: Say) -> None:
        """Find the nodes' binary or install it."""

    def up(self, undo: ExitStack, say: Say) -> Record:
        """Start what does not run; ``undo`` stops that again. Return what to remember."""

    def status(self) -> tuple[ChainStatus, tuple[ValidatorStatus, ...]]:
        """Return what runs and whether it answers."""

    def fund(self, address: str, amount: Decimal) -> Decimal:
        """Send an amount to an address and return its balance then."""


def chain_of(folder: Path, record: Record) -> Chain:
    """Return the chain that a network's record is about."""
    if record.settings.chain == "cosmos":
        return _Cosmos(folder, record)
    return _Evm(folder, record)


def keep_state(folder: Path) -> None:
    """Keep what an anvil that was stopped has left of its chain."""
    state = _state_in(folder)
    if state.parent.exists():
        keep_newest_state(state)


def validators_in(folder: Path) -> int:
    """Return how many validators the Cosmos chain of a network's folder has; 0 if there is none."""
    return len(homes_of(_cosmos_in(folder)))


def log_in(folder: Path, name: str) -> Path:
    """Return the log of a network's node."""
    return folder / "logs" / f"{name}.log"


def pid_of(log: Path) -> int | None:
    """Return the id of the process that writes a log; None when it has ended."""
    process = recorded(log)
    return process.pid if process is not None and process.is_running() else None


def begin_log(log: Path) -> None:
    """End the process that writes a log, if any, and begin a new log when it is long."""
    process = recorded(log)
    if process is not None:
        process.stop()
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


class _Evm:
    def __init__(self, folder: Path, record: Record) -> None:
        self._folder = folder
        self._record = record

    def find_binary(self, say: Say) -> None:
        find_binary(ANVIL, report=say)

    def up(self, undo: ExitStack, say: Say) -> Record:
        chain, port = self._anvil(self._record.port), self._record.port
        if chain.attach():
            say(f"the chain runs already: {chain.url}")
            return self._record
        begin_log(chain.log)
        try:
            undo.callback(chain.stop)
            chain.start()
        except PortTaken:
            if not port:
                raise
            say(f"port {port}, which the chain had, is taken now: it gets another")
            chain = self._anvil(0)
            undo.callback(chain.stop)
            chain.start()
        say(f"chain: {chain.url}")
        return replace(self._record, port=chain.port)

    def status(self) -> tuple[ChainStatus, tuple[ValidatorStatus, ...]]:
        chain, block = self._anvil(self._record.port), None
        pid = pid_of(chain.log)
        if pid is not None:
            with suppress(NodeFailed):
                block = int(json_rpc(chain.url, "eth_blockNumber", seconds=5), 16)
        return ChainStatus(chain.url, _EVM_CHAIN_ID, pid, block), ()

    def fund(self, address: str, amount: Decimal) -> Decimal:
        seconds = 30.0 + (self._record.settings.block_time or 0)
        return fund(self._anvil(self._record.port).url, address, amount, seconds=seconds)

    def _anvil(self, port: int) -> Anvil:
        return Anvil(
            state=_state_in(self._folder),
            block_time=self._record.settings.block_time,
            chain_id=_EVM_CHAIN_ID,
            port=port,
            log=log_in(self._folder, "anvil"),
        )


class _Cosmos:
    def __init__(self, folder: Path, record: Record) -> None:
        self._record = record
        self._chain = CosmosChain(
            _cosmos_in(folder),
            validators=record.settings.validators,
            block_time=record.settings.block_time or BLOCK_TIME,
            logs=folder / "logs",
        )

    def find_binary(self, say: Say) -> None:
        find_binary(WASMD, report=say)

    def up(self, undo: ExitStack, say: Say) -> Record:
        for node in self._chain.nodes:
            if node.attach():
                say(f"{node.log.stem} runs already: {node.rpc}")
            else:
                begin_log(node.log)
                undo.callback(node.stop)
        self._chain.start(
            started=lambda node: say(f"{node.log.stem}: {node.rpc}, gRPC {node.grpc}")
        )
        say(f"chain: {CHAIN_ID}, block {self._chain.height()}")
        return self._record

    def status(self) -> tuple[ChainStatus, tuple[ValidatorStatus, ...]]:
        nodes = tuple(_validator_status(node) for node in self._chain.nodes)
        first = next((node for node in nodes if node.block is not None), nodes[0])
        blocks = [node.block for node in nodes if node.block is not None]
        chain = ChainStatus(
            first.rpc, CHAIN_ID, first.pid, max(blocks, default=None), first.grpc, first.rest
        )
        return chain, nodes

    def fund(self, address: str, amount: Decimal) -> Decimal:
        return self._chain.fund(address, amount)


def _validator_status(node: Wasmd) -> ValidatorStatus:
    pid, block, peers = pid_of(node.log), None, None
    if pid is not None:
        with suppress(NodeFailed):
            block, peers = node.height(), node.connections()
    return ValidatorStatus(node.log.stem, node.rpc, node.grpc, node.rest, pid, block, peers)


def _state_in(folder: Path) -> Path:
    return folder / "chain" / "state.json"


def _cosmos_in(folder: Path) -> Path:
    return folder / "cosmos"
