"""Run a local network in a folder: chains and IPFS nodes that outlive the command.

The folder contains `net.json` (settings, swarm key and the EVM chain's port), `chain/` (the EVM
chain's state), `cosmos/` (the Cosmos chain's homes), `ipfs-N/` (repositories) and `logs/`, with a
record of each process next to its log. Only recorded processes with the same start time are ever
stopped.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from colearn_ledger.home import data_home, lock_file
from colearn_localnet.anvil import AnvilChain, keep_newest_state, state_path
from colearn_localnet.cosmos import WasmdChain, check_chain, read_chain_settings
from colearn_localnet.errors import NetStateError, NodeFailed, SettingsRefused
from colearn_localnet.install import KUBO, find_binary
from colearn_localnet.kubo import Kubo, join, new_swarm_key
from colearn_localnet.processes import read_pid, read_process, rotate_log
from colearn_localnet.records import (
    KINDS,
    ChainStatus,
    CosmosSettings,
    EvmSettings,
    IpfsStatus,
    NetStatus,
    Record,
    Settings,
    log_path,
)
from colearn_localnet.toolchains import Report

DEFAULT_AMOUNTS = {"evm": Decimal(10), "cosmos": Decimal(10_000_000)}
"""What `Localnet.fund` sends, in ether or stake: enough for thousands of ballots."""

_LOG_NAMES = {"evm": "anvil", "cosmos": "wasmd-"}
"""How the names of the logs begin, by kind of chain."""

_log = logging.getLogger(__name__)


class Chain(Protocol):
    """A chain of a network, of either kind."""

    def find_binary(self, report: Report) -> None:
        """Find the nodes' binary, or install it."""

    def up(self, undo: ExitStack, report: Report) -> Record:
        """Start the nodes that are not running and return the new record.

        Args:
            undo: receives callbacks that stop the nodes started here.
            report: shows progress.
        """

    def status(self) -> ChainStatus:
        """Return the status of the chain."""

    def check_payment(self, addresses: Sequence[str], amount: Decimal) -> None:
        """Raise `AddressRefused` if the chain cannot pay this amount to these addresses."""

    def fund(self, addresses: Sequence[str], amount: Decimal, report: Report) -> dict[str, Decimal]:
        """Send an amount to each address and return the new balances."""


def make_chain(kind: str, folder: Path, record: Record) -> Chain:
    """Return the chain of a kind that a network's record describes."""
    return (WasmdChain if kind == "cosmos" else AnvilChain)(folder, record)


def default_folder() -> Path:
    """Return the default folder of the network."""
    named = os.environ.get("COLEARN_LOCALNET")
    if named:
        return Path(named)
    return data_home() / "localnet"


def _group_by_chain(addresses: Sequence[str], kinds: Sequence[str]) -> dict[str, list[str]]:
    """Return addresses by the kind of their chain; all belong to the only chain, if it is one."""
    groups: dict[str, list[str]] = {}
    for address in dict.fromkeys(addresses):
        kind = "evm" if address.startswith("0x") else "cosmos"
        groups.setdefault(kinds[0] if len(kinds) == 1 else kind, []).append(address)
    return groups


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

    def settings_with(
        self,
        *,
        chains: Collection[str] = (),
        ipfs: int | None = None,
        block_time: float | None = None,
        validators: int | None = None,
        wasmd: str | None = None,
    ) -> Settings:
        """Return the settings of the last start, or the defaults, with some changes.

        Args:
            chains: kinds of chains to run. Those of a network that is up stay beside them.
            ipfs: number of IPFS nodes.
            block_time: seconds between blocks of the given chains, or of all.
            validators: number of nodes of the Cosmos chain.
            wasmd: release of wasmd that runs the Cosmos chain. The number of validators and the
                release default to those of the folder's earlier Cosmos chain.

        Raises:
            NetStateError: the folder belongs to something else.
            SettingsRefused: the settings contradict each other or are out of range.
        """
        known = self.settings() or Settings()
        kept = set(known.kinds) if not chains or self._is_up() else set()
        kinds = kept | set(chains)
        if "cosmos" not in kinds and (validators, wasmd) != (None, None):
            raise SettingsRefused(
                "only a Cosmos chain has validators and releases of wasmd; add --chain cosmos"
            )
        evm = known.evm or EvmSettings()
        cosmos = known.cosmos or CosmosSettings(**read_chain_settings(self._folder))
        if block_time is not None and "evm" in (chains or kinds):
            evm = replace(evm, block_time=block_time)
        if block_time is not None and "cosmos" in (chains or kinds):
            cosmos = replace(cosmos, block_time=block_time)
        cosmos = replace(
            cosmos,
            validators=cosmos.validators if validators is None else validators,
            wasmd=cosmos.wasmd if wasmd is None else wasmd,
        )
        return Settings(
            evm if "evm" in kinds else None,
            cosmos if "cosmos" in kinds else None,
            known.ipfs if ipfs is None else ipfs,
        )

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
        with self._locked(report):
            self._check_changes(wanted)  # before an installation, which can take minutes
        for kind in wanted.kinds:
            make_chain(kind, self._folder, Record(wanted, "")).find_binary(report)
        find_binary(KUBO, report=report)
        with self._locked(report), ExitStack() as undo:
            record = self._prepare(wanted)
            for kind in wanted.kinds:
                record = make_chain(kind, self._folder, record).up(undo, report)
            record.write(self._folder)
            numbers = range(1, record.settings.ipfs + 1)
            join([self._start_ipfs(record, number, undo, report) for number in numbers])
            undo.pop_all()
        return self.status()

    def status(self) -> NetStatus:
        """Return the status of all nodes.

        Raises:
            NetStateError: there is no network in the folder.
        """
        record = self._read_record()
        nodes = tuple(self._ipfs_status(record, n) for n in range(1, record.settings.ipfs + 1))
        kinds = record.settings.kinds
        chains = {kind: make_chain(kind, self._folder, record).status() for kind in kinds}
        return NetStatus(self._folder, record.settings, chains, nodes)

    def logs(self) -> tuple[Path, ...]:
        """Return the log files of the current chains' nodes, then those of the IPFS nodes."""
        settings = self.settings()
        kinds = KINDS if settings is None else settings.kinds
        wanted = (*(_LOG_NAMES[kind] for kind in kinds), "ipfs-")
        logs = [log for log in self._all_logs() if log.name.startswith(wanted)]
        return tuple(sorted(logs, key=lambda log: (log.name.startswith("ipfs-"), log.name)))

    def _all_logs(self) -> tuple[Path, ...]:
        return tuple(sorted((self._folder / "logs").glob("*.log")))

    def fund(
        self,
        addresses: Sequence[str],
        amount: Decimal | None = None,
        *,
        report: Report = _log.info,
    ) -> dict[str, Decimal]:
        """Send an amount of its chain's currency to each address, in a transaction.

        Args:
            addresses: accounts of the network's chains; their checksums are checked.
            amount: amount in ether, or in `stake` on a Cosmos chain; None sends `DEFAULT_AMOUNTS`.
            report: shows progress.

        Returns:
            The new balances by address, in the same unit.

        Raises:
            AddressRefused: an address or the amount is not valid; nothing was sent.
            NetStateError: there is no network, or it lacks the chain of an address.
            NodeFailed: a chain does not answer.
        """
        record = self._read_record()
        payments = []
        for kind, group in _group_by_chain(addresses, record.settings.kinds).items():
            chain = make_chain(kind, self._folder, record)
            paid = DEFAULT_AMOUNTS[kind] if amount is None else amount
            chain.check_payment(group, paid)
            if chain.status().block is None:
                raise NodeFailed("the chain does not run; start it with: colearn localnet up")
            payments.append((chain, group, paid))
        balances: dict[str, Decimal] = {}
        for chain, group, paid in payments:
            balances |= chain.fund(group, paid, report)
        return balances

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
        self._check_changes(wanted)
        known = Record.read(self._folder)
        fresh = known or Record(wanted, new_swarm_key().hex())
        record = replace(fresh, settings=wanted)
        record.write(self._folder)
        return record

    def _check_changes(self, wanted: Settings) -> None:
        """Refuse settings that contradict the running nodes, or the folder's Cosmos chain."""
        if wanted.cosmos is not None:
            check_chain(self._folder, wanted.cosmos)
        known = self.settings()
        if known is not None and self._is_up() and not wanted.extends(known):
            raise NetStateError(
                f"the network is up with {known}; for {wanted}, run colearn localnet down, then up"
                " again, or use another --folder"
            )

    def _is_up(self) -> bool:
        """Return whether any node of the network runs."""
        return any(read_pid(log) for log in self._all_logs())

    def _read_record(self) -> Record:
        record = Record.read(self._folder)
        if record is None:
            raise NetStateError(
                f"there is no local network in {self._folder}; start one with: colearn localnet up"
            )
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
