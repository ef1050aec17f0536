"""Run a local network in a folder: a chain and IPFS nodes that outlive the command.

The folder contains `net.json` (settings, swarm key and the EVM chain's port), `chain/` (the EVM
chain's state), `cosmos/` (the Cosmos chain's homes), `ipfs-N/` (repositories) and `logs/`, with a
record of each process next to its log. Only recorded processes with the same start time are ever
stopped.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from colearn_ledger.home import data_home, lock_file
from colearn_localnet.anvil import AnvilChain, keep_newest_state, state_path
from colearn_localnet.cosmos import WasmdChain, check_chain, read_chain_settings
from colearn_localnet.errors import NetStateError, NodeFailed
from colearn_localnet.install import KUBO, find_binary
from colearn_localnet.kubo import Kubo, join, new_swarm_key
from colearn_localnet.processes import read_pid, read_process, rotate_log
from colearn_localnet.records import (
    ChainStatus,
    IpfsStatus,
    NetStatus,
    Record,
    Settings,
    ValidatorStatus,
    log_path,
)
from colearn_localnet.toolchains import Report

_log = logging.getLogger(__name__)


class Chain(Protocol):
    """The chain of a network, of either kind."""

    def find_binary(self, report: Report) -> None:
        """Find the nodes' binary, or install it."""

    def up(self, undo: ExitStack, report: Report) -> Record:
        """Start the nodes that are not running and return the new record.

        Args:
            undo: receives callbacks that stop the nodes started here.
            report: shows progress.
        """

    def status(self) -> tuple[ChainStatus, tuple[ValidatorStatus, ...]]:
        """Return the status of the chain and of its validators."""

    def fund(self, address: str, amount: Decimal) -> Decimal:
        """Send an amount to an address and return its new balance."""


def make_chain(folder: Path, record: Record) -> Chain:
    """Return the chain that a network's record describes."""
    if record.settings.chain == "cosmos":
        return WasmdChain(folder, record)
    return AnvilChain(folder, record)


def default_folder() -> Path:
    """Return the default folder of the network."""
    named = os.environ.get("COLEARN_LOCALNET")
    if named:
        return Path(named)
    return data_home() / "localnet"


class Localnet:
    """The network in a folder.

    Args:
        folder: the network's folder; None uses `default_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or default_folder()).absolute()

    @property
    def folder(self) -> Path:
        """Return the network's folder."""
        return self._folder

    def settings(self) -> Settings | None:
        """Return the settings of the last start; None if there is no network.

        Raises:
            NetStateError: the folder belongs to something else.
        """
        record = Record.read(self._folder)
        return None if record is None else record.settings

    def settings_with(self, **changes: Any) -> Settings:
        """Return the settings of the last start, or the defaults, with some changes.

        If the kind of chain changes, the block time becomes that kind's default; the number of
        validators and the release of wasmd become those of the folder's earlier chain of that kind.

        Args:
            changes: new values for fields of `Settings`.

        Raises:
            NetStateError: the folder belongs to something else.
            SettingsRefused: the settings contradict each other or are out of range.
        """
        known = self.settings() or Settings()
        kind = changes.get("chain", known.chain)
        if kind != known.chain:
            defaults = {"block_time": None, "validators": 1, "wasmd": None}
            fixed = read_chain_settings(self._folder) if kind == "cosmos" else {}
            changes = {**defaults, **fixed, **changes}
        return replace(known, **changes)

    def up(self, settings: Settings | None = None, *, report: Report = _log.info) -> NetStatus:
        """Start the nodes that are not running and wait until all are healthy.

        On failure or interruption, stop the nodes that this call started.

        Args:
            settings: the settings; None keeps the network's, or uses the defaults for a new one.
            report: shows progress.

        Raises:
            InstallFailed: a node's binary is missing and cannot be installed.
            NetStateError: the network is up with other settings, its Cosmos chain has settings
                that cannot change, or the folder belongs to something else.
            NodeFailed: a node did not start.
        """
        wanted = settings or self.settings() or Settings()
        if wanted.chain == "cosmos":
            check_chain(self._folder, wanted)  # before an installation, which can take minutes
        make_chain(self._folder, Record(wanted, "")).find_binary(report)
        find_binary(KUBO, report=report)
        with self._locked(report), ExitStack() as undo:
            record = self._prepare(wanted)
            make_chain(self._folder, record).up(undo, report).write(self._folder)
            numbers = range(1, record.settings.ipfs + 1)
            join([self._start_ipfs(record, number, undo, report) for number in numbers])
            undo.pop_all()
        return self.status()

    def status(self) -> NetStatus:
        """Return the status of all nodes.

        Raises:
            NetStateError: there is no network in the folder.
        """
        record = Record.read(self._folder)
        if record is None:
            raise NetStateError(
                f"there is no local network in {self._folder}; start one with: colearn localnet up"
            )
        nodes = tuple(self._ipfs_status(record, n) for n in range(1, record.settings.ipfs + 1))
        chain, validators = make_chain(self._folder, record).status()
        return NetStatus(self._folder, record.settings, chain, nodes, validators)

    def logs(self) -> tuple[Path, ...]:
        """Return the log files of the current chain's nodes, then those of the IPFS nodes."""
        settings = self.settings()
        other = "" if settings is None else {"evm": "wasmd-", "cosmos": "anvil"}[settings.chain]
        logs = [log for log in self._all_logs() if not other or not log.name.startswith(other)]
        return tuple(sorted(logs, key=lambda log: (log.name.startswith("ipfs-"), log.name)))

    def _all_logs(self) -> tuple[Path, ...]:
        return tuple(sorted((self._folder / "logs").glob("*.log")))

    def fund(self, address: str, amount: Decimal) -> Decimal:
        """Send an amount of the chain's currency to an address in a transaction.

        Args:
            address: the account's address in the chain's format; its checksum is checked.
            amount: amount in ether, or in `stake` on a Cosmos chain.

        Returns:
            The address's new balance, in the same unit.

        Raises:
            AddressRefused: the address or the amount is not valid.
            NetStateError: there is no network.
            NodeFailed: the chain does not answer.
        """
        if self.status().chain.block is None:
            raise NodeFailed("the chain does not run; start it with: colearn localnet up")
        record = Record.read(self._folder)
        if record is None:
            raise NetStateError(f"another command deleted the network in {self._folder}")
        return make_chain(self._folder, record).fund(address, amount)

    def down(self, *, wipe: bool = False, report: Report = _log.info) -> None:
        """Stop all nodes, keeping the chain's state and the content unless they are wiped.

        Args:
            wipe: whether to delete all files of the network.
            report: shows progress.

        Raises:
            NetStateError: the folder belongs to something else.
        """
        with self._locked(report):
            Record.read(self._folder)
            for log in self._all_logs():
                process = read_process(log)
                if process is not None and process.is_running():
                    report(f"stopping {log.stem}")
                    process.stop()
            if state_path(self._folder).parent.exists():
                keep_newest_state(state_path(self._folder))
            if wipe:
                report(f"deleting the network's files in {self._folder}")
                Record.wipe(self._folder)

    @contextmanager
    def _locked(self, report: Report) -> Iterator[None]:
        """Exclude other calls of `up` and `down`, which may delete the folder but not the lock."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        lock = self._folder.parent / f".{self._folder.name}.lock"
        waiting = "another command works on this network: waiting for it"
        with lock_file(lock, on_wait=lambda: report(waiting)):
            yield

    def _prepare(self, wanted: Settings) -> Record:
        """Write the record with new settings and return it, unless they contradict the folder."""
        known = Record.read(self._folder)
        if known is None:
            record = Record(wanted, new_swarm_key().hex())
        elif wanted != known.settings and any(read_pid(log) for log in self._all_logs()):
            other = "" if wanted.chain == known.settings.chain else ", or use another --folder"
            raise NetStateError(
                f"the network is up with {known.settings}; for {wanted},"
                f" run colearn localnet down, then up again{other}"
            )
        else:
            record = replace(known, settings=wanted)
        record.write(self._folder)
        return record

    def _start_ipfs(self, record: Record, number: int, undo: ExitStack, report: Report) -> Kubo:
        node = self._kubo(record, number)
        if node.attach():
            report(f"ipfs-{number} runs already: {node.api}")
            return node
        rotate_log(node.log)
        undo.callback(node.stop)
        node.start()
        report(f"ipfs-{number}: {node.api}")
        return node

    def _kubo(self, record: Record, number: int) -> Kubo:
        name = f"ipfs-{number}"
        return Kubo(
            self._folder / name, swarm=bytes.fromhex(record.swarm), log=log_path(self._folder, name)
        )

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
        return IpfsStatus(name, "", "", "", "", read_pid(node.log), None)
