"""A local network in a folder: one chain and some IPFS nodes that outlive the command.

The folder holds `net.json` (settings, swarm key, the EVM chain's port), `chain/` (that chain's
state), `cosmos/` (the Cosmos chain's homes), `ipfs-N/` (repositories) and `logs/`, where each
process is recorded beside its log. Only processes recorded there, whose start agrees, are ever
stopped.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from colearn_ledger.home import data_home
from colearn_localnet.chains import begin_log, chain_of, keep_state, log_in, pid_of, validators_in
from colearn_localnet.errors import NetStateError, NodeFailed
from colearn_localnet.install import KUBO, find_binary
from colearn_localnet.kubo import Kubo, join, new_swarm_key
from colearn_localnet.locking import lock_file
from colearn_localnet.processes import recorded
from colearn_localnet.records import IpfsStatus, NetStatus, Record, Settings

__all__ = ["Localnet", "NetStatus", "Settings", "default_folder"]

_log = logging.getLogger(__name__)

Say = Callable[[str], None]


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

    def settings_with(self, **changes: Any) -> Settings:
        """Return the settings of the last start, or the defaults, with changes.

        Another kind of chain comes with its own block time, and with the validators it had.

        Args:
            changes: fields of `Settings`.

        Raises:
            NetStateError: the folder belongs to something else.
            SettingsRefused: no network can be like that.
        """
        known = self.settings() or Settings()
        kind = changes.get("chain", known.chain)
        if kind != known.chain:
            had = validators_in(self._folder) if kind == "cosmos" else 0
            changes = {"block_time": None, "validators": had or 1, **changes}
        return replace(known, **changes)

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
        wanted = settings or self.settings() or Settings()
        chain_of(self._folder, Record(wanted, "")).find_binary(say)
        find_binary(KUBO, report=say)
        with self._locked(say), ExitStack() as undo:
            record = self._prepare(wanted)
            chain_of(self._folder, record).up(undo, say).write(self._folder)
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
        chain, validators = chain_of(self._folder, record).status()
        return NetStatus(self._folder, record.settings, chain, nodes, validators)

    def logs(self) -> tuple[Path, ...]:
        """Return the nodes' log files, the chain's first; not those of another kind of chain."""
        settings = self.settings()
        other = "" if settings is None else {"evm": "wasmd-", "cosmos": "anvil"}[settings.chain]
        logs = [log for log in self._all_logs() if not other or not log.name.startswith(other)]
        return tuple(sorted(logs, key=lambda log: (log.name.startswith("ipfs-"), log.name)))

    def _all_logs(self) -> tuple[Path, ...]:
        return tuple(sorted((self._folder / "logs").glob("*.log")))

    def fund(self, address: str, amount: Decimal) -> Decimal:
        """Send some of the chain's own money to an address, in a transaction.

        Args:
            address: of the account, as the chain writes it; its checksum is checked.
            amount: in ether, or in a Cosmos chain's `stake`.

        Returns:
            its balance then, in the same.

        Raises:
            AddressRefused: no address, or no amount.
            NetStateError: there is no network.
            NodeFailed: the chain does not answer.
        """
        if self.status().chain.block is None:
            raise NodeFailed("the chain does not run: colearn localnet up")
        record = Record.read(self._folder)
        if record is None:
            raise NetStateError(f"the network in {self._folder} was wiped meanwhile")
        return chain_of(self._folder, record).fund(address, amount)

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
            for log in self._all_logs():
                process = recorded(log)
                if process is not None and process.is_running():
                    say(f"stopping {log.stem}")
                    process.stop()
            keep_state(self._folder)
            if wipe:
                say(f"deleting what the network had in {self._folder}")
                Record.wipe(self._folder)

    @contextmanager
    def _locked(self, say: Say) -> Iterator[None]:
        """Keep another `up` or `down` out. The lock lies beside the folder, which may go."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        lock = self._folder.parent / f".{self._folder.name}.lock"
        with lock_file(lock, on_wait=lambda: say("another command works on this network: waiting")):
            yield

    def _prepare(self, wanted: Settings) -> Record:
        """Return the record to start by, written; refuse what contradicts what is there."""
        known = Record.read(self._folder)
        had = validators_in(self._folder) if wanted.chain == "cosmos" else 0
        if had and had != wanted.validators:
            raise NetStateError(
                "the number of a Cosmos chain's validators stays what it was at its first block:"
                f" {had} here; to have {wanted.validators}: colearn localnet down --wipe, which"
                " deletes the chain, or another --folder"
            )
        if known is None:
            record = Record(wanted, new_swarm_key().hex())
        elif wanted != known.settings and any(pid_of(log) for log in self._all_logs()):
            beside = "" if wanted.chain == known.settings.chain else ", or another --folder"
            raise NetStateError(
                f"the network is up with {known.settings}; to have {wanted}:"
                f" colearn localnet down, then up again{beside}"
            )
        else:
            record = replace(known, settings=wanted)
        record.write(self._folder)
        return record

    def _ipfs_up(self, record: Record, number: int, undo: ExitStack, say: Say) -> Kubo:
        node = self._kubo(record, number)
        if node.attach():
            say(f"ipfs-{number} runs already: {node.api}")
            return node
        begin_log(node.log)
        undo.callback(node.stop)
        node.start()
        say(f"ipfs-{number}: {node.api}")
        return node

    def _kubo(self, record: Record, number: int) -> Kubo:
        name = f"ipfs-{number}"
        return Kubo(
            self._folder / name, swarm=bytes.fromhex(record.swarm), log=log_in(self._folder, name)
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
        return IpfsStatus(name, "", "", "", "", pid_of(node.log), None)
