"""A local network in a folder: one chain and some IPFS nodes that outlive the command.

The folder holds `net.json` (settings, swarm key, the chain's port), `chain/` (the chain's state),
`ipfs-N/` (repositories) and `logs/`, where each process is recorded beside its log. Only
processes recorded there, whose start agrees, are ever stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from colearn_ledger.home import data_home
from localnet.anvil import Anvil, keep_newest_state
from localnet.errors import NetStateError, NodeFailed, PortTaken
from localnet.funding import fund
from localnet.installing import anvil_binary, kubo_binary
from localnet.kubo import Kubo, join, new_swarm_key
from localnet.processes import recorded
from localnet.records import ChainStatus, IpfsStatus, NetStatus, Record, Settings
from localnet.rpc import json_rpc

__all__ = ["Localnet", "NetStatus", "Settings", "default_folder"]

_log = logging.getLogger(__name__)

Say = Callable[[str], None]

_CHAIN_ID = 31337
_LOG_LIMIT = 10_000_000
"""Bytes of a log after which the next start begins a new one and keeps the old one as `.1`."""


def default_folder() -> Path:
    """Return the folder of the network that is meant when none is named."""
    named = os.environ.get("COLEARN_LOCALNET")
    if named:
        return Path(named)
    return data_home() / "localnet"


class Localnet:
    """The network of a folder.

    Args:
        folder: None takes `default_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or default_folder()).absolute()

    @property
    def folder(self) -> Path:
        """The network's folder."""
        return self._folder

    def settings(self) -> Settings | None:
        """Return the settings it was last started with; None when there is no network.

        Raises:
            NetStateError: the folder belongs to something else.
        """
        record = Record.read(self._folder)
        return None if record is None else record.settings

    def up(self, settings: Settings | None = None, *, say: Say = _log.info) -> NetStatus:
        """Start what does not run and wait until all is healthy.

        When it fails, or is interrupted, the nodes that it started are stopped again.

        Args:
            settings: None keeps those the network has, or takes the defaults.
            say: is told what goes on.

        Raises:
            InstallFailed: a node's binary is missing.
            NetStateError: it is up with other settings, or the folder belongs to something else.
            NodeFailed: a node did not start.
        """
        anvil_binary(say=say)
        kubo_binary(say=say)
        with self._locked(say), ExitStack() as undo:
            record = self._prepare(settings)
            chain = self._chain_up(record, undo, say)
            replace(record, port=chain.port).write(self._folder)
            nodes = [
                self._ipfs_up(record, n, undo, say) for n in range(1, record.settings.ipfs + 1)
            ]
            join(nodes)
            undo.pop_all()
        return self.status()

    def status(self) -> NetStatus:
        """Return what runs and whether it answers.

        Raises:
            NetStateError: there is no network in the folder.
        """
        record = Record.read(self._folder)
        if record is None:
            raise NetStateError(
                f"there is no local network in {self._folder}; to start one: colearn localnet up"
            )
        nodes = tuple(self._ipfs_status(record, n) for n in range(1, record.settings.ipfs + 1))
        return NetStatus(self._folder, record.settings, self._chain_status(record), nodes)

    def logs(self) -> tuple[Path, ...]:
        """Return the nodes' log files, the chain's first."""
        return tuple(sorted((self._folder / "logs").glob("*.log")))

    def fund(self, address: str, amount: Decimal) -> Decimal:
        """Send ether of the chain's own to an address, in a transaction.

        Args:
            address: of the account, in hex; a checksum is checked if it has one.
            amount: in ether.

        Returns:
            its balance then, in ether.

        Raises:
            AddressRefused: no address, or no positive amount of whole wei.
            NetStateError: there is no network.
            NodeFailed: the chain does not answer.
        """
        status = self.status()
        if status.chain.block is None:
            raise NodeFailed("the chain does not run: colearn localnet up")
        seconds = 30.0 + (status.settings.block_time or 0)
        return fund(status.chain.url, address, amount, seconds=seconds)

    def down(self, *, wipe: bool = False, say: Say = _log.info) -> None:
        """Stop all that runs; the chain's state and the content stay unless they are wiped.

        Args:
            wipe: delete all that the network has.
            say: is told what goes on.

        Raises:
            NetStateError: the folder belongs to something else.
        """
        with self._locked(say):
            Record.read(self._folder)
            for log in self.logs():
                process = recorded(log)
                if process is not None and process.is_running():
                    say(f"stopping {log.stem}")
                    process.stop()
            if self._state.parent.exists():
                keep_newest_state(self._state)
            if wipe:
                say(f"deleting what the network had in {self._folder}")
                Record.wipe(self._folder)

    @property
    def _state(self) -> Path:
        return self._folder / "chain" / "state.json"

    def _log_of(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    @contextmanager
    def _locked(self, say: Say) -> Iterator[None]:
        """Keep another `up` or `down` out. The lock lies beside the folder, which may go."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with (self._folder.parent / f".{self._folder.name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another command works on this network: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _prepare(self, wanted: Settings | None) -> Record:
        """Return the record to start by, written; refuse what contradicts what runs."""
        known = Record.read(self._folder)
        if known is None:
            record = Record(wanted or Settings(), new_swarm_key().hex())
        elif wanted is None or wanted == known.settings:
            record = known
        elif any(self._runs(log) for log in self.logs()):
            raise NetStateError(
                f"the network is up with {_in_words(known.settings)}; to have"
                f" {_in_words(wanted)}: colearn localnet down, then up again"
            )
        else:
            record = replace(known, settings=wanted)
        record.write(self._folder)
        return record

    def _chain_up(self, record: Record, undo: ExitStack, say: Say) -> Anvil:
        chain = self._anvil(record)
        if chain.attach():
            say(f"the chain runs already: {chain.url}")
            return chain
        self._end_leftover("anvil")
        try:
            undo.callback(chain.stop)
            chain.start()
        except PortTaken:
            if not record.port:
                raise
            say(f"port {record.port}, which the chain had, is taken now: it gets another")
            chain = self._anvil(replace(record, port=0))
            undo.callback(chain.stop)
            chain.start()
        say(f"chain: {chain.url}")
        return chain

    def _ipfs_up(self, record: Record, number: int, undo: ExitStack, say: Say) -> Kubo:
        node = self._kubo(record, number)
        if node.attach():
            say(f"ipfs-{number} runs already: {node.api}")
            return node
        self._end_leftover(f"ipfs-{number}")
        undo.callback(node.stop)
        node.start()
        say(f"ipfs-{number}: {node.api}")
        return node

    def _end_leftover(self, name: str) -> None:
        """End a node that runs and does not answer, and begin a new log when it is long."""
        log = self._log_of(name)
        process = recorded(log)
        if process is not None:
            process.stop()
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))

    def _anvil(self, record: Record) -> Anvil:
        return Anvil(
            state=self._state,
            block_time=record.settings.block_time,
            chain_id=_CHAIN_ID,
            port=record.port,
            log=self._log_of("anvil"),
        )

    def _kubo(self, record: Record, number: int) -> Kubo:
        name = f"ipfs-{number}"
        return Kubo(self._folder / name, swarm=bytes.fromhex(record.swarm), log=self._log_of(name))

    def _runs(self, log: Path) -> bool:
        process = recorded(log)
        return process is not None and process.is_running()

    def _chain_status(self, record: Record) -> ChainStatus:
        chain = self._anvil(record)
        pid = block = None
        if self._runs(chain.log):
            pid = recorded(chain.log)
            with contextlib.suppress(NodeFailed):
                block = int(json_rpc(chain.url, "eth_blockNumber", seconds=5), 16)
        return ChainStatus(chain.url, _CHAIN_ID, pid.pid if pid else None, block)

    def _ipfs_status(self, record: Record, number: int) -> IpfsStatus:
        node, name = self._kubo(record, number), f"ipfs-{number}"
        if node.attach():
            with contextlib.suppress(NodeFailed):
                connected = len(node.connections())
                return IpfsStatus(
                    name,
                    node.api,
                    node.api_url,
                    node.gateway,
                    node.address,
                    node.process.pid,
                    connected,
                )
        left = recorded(node.log)
        pid = left.pid if left is not None and left.is_running() else None
        return IpfsStatus(name, "", "", "", "", pid, None)


def _in_words(settings: Settings) -> str:
    blocks = f"a block every {settings.block_time:g} s" if settings.block_time else "instant blocks"
    return f"{settings.ipfs} IPFS nodes and {blocks}"
