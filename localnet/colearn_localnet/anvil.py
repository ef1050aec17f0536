"""Run anvil, an EVM chain for development, with state that survives restarts."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Self

from colearn_localnet.errors import NodeFailed, PortTaken
from colearn_localnet.funding import check_payment, fund
from colearn_localnet.install import ANVIL, find_binary
from colearn_localnet.node import Node
from colearn_localnet.processes import free_port, is_free, log_contains, read_pid, rotate_log
from colearn_localnet.records import ChainStatus, EvmSettings, Record, log_path
from colearn_localnet.rpc import json_rpc
from colearn_localnet.toolchains import Report

_STATE_INTERVAL = 1
"""Seconds between dumps; `kill -9` loses at most this much."""

_HISTORY = 16
"""Number of blocks whose states anvil keeps, also over a restart; limits the depth of a reorg.

Without a limit it writes the state of every block to the home folder: gigabytes in a long run.
"""

_DUMP_SECONDS = 120.0  # a long chain takes its time
_CHAIN_ID = 31337


class Anvil(Node):
    """An anvil process.

    Args:
        state: file to load the chain from at start, if it exists, and to dump it to at stop. While
            anvil runs, it dumps the chain every second to a second file in the same folder.
        block_time: seconds between blocks; None mines a block for each transaction.
        chain_id: the chain's id.
        port: port to listen on; 0 chooses a free one, which is kept after a restart.
        host: IPv4 address to listen on.
        log: file for anvil's output; None uses a temporary folder that lasts as long as this
            object.
    """

    NAME = "anvil"
    PORT_TAKEN_WORDS = "in use"

    def __init__(
        self,
        *,
        state: Path | None = None,
        block_time: float | None = None,
        chain_id: int = _CHAIN_ID,
        port: int = 0,
        host: str = "127.0.0.1",
        log: Path | None = None,
    ) -> None:
        if log is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="colearn-anvil-")
            log = Path(self._scratch.name) / "anvil.log"
        super().__init__(host=host, log=log)
        self._state = state
        self._block_time = block_time
        self._chain_id = chain_id
        self._port = port
        self._keys: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Return the URL of the HTTP RPC; the WebSocket's is the same with ``ws:``."""
        return f"http://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        """Return the port; 0 before the first start if none was given."""
        return self._port

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the private keys, in hex, of the ten funded accounts; they are all public."""
        return self._keys

    def start(self) -> Self:
        """Start anvil and wait until it answers; after `kill` it resumes from its last dump.

        Raises:
            InstallFailed: anvil is missing and cannot be installed.
            NodeFailed: anvil did not start.
            PortTaken: another process is listening on the given port.
        """
        binary = find_binary(ANVIL)
        if self._port:
            if not is_free(self._host, self._port):
                raise PortTaken(f"port {self._port} of {self._host} is taken by another process")
            self._start(binary)
        else:
            self._try_ports(lambda: self._start_anywhere(binary))
        return self

    def _start_anywhere(self, binary: Path) -> None:
        self._port = free_port(self._host)
        self._start(binary)

    def _start(self, binary: Path) -> None:
        if self._state is not None:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            keep_newest_state(self._state)
        command = [str(binary), *self._arguments(), "--config-out", str(self._accounts)]
        self._launch(command, os.environ)
        self._keys = self._read_keys()

    def _load(self) -> bool:
        if not self._port or not self._answers():
            return False
        self._keys = self._read_keys()
        return True

    def dump(self) -> None:
        """Write the chain to the state file now, so that `kill` loses nothing before this point.

        Raises:
            NodeFailed: anvil does not answer, or has no state file.
        """
        if self._state is None:
            raise NodeFailed("this anvil has no state file")
        dumped = json_rpc(self.url, "anvil_dumpState", True, seconds=_DUMP_SECONDS)
        packed = bytes.fromhex(dumped.removeprefix("0x"))
        partial = self._state.with_name(f"{self._state.name}.partial")
        partial.write_bytes(gzip.decompress(packed))
        partial.replace(self._state)

    def stop(self) -> None:
        """Stop anvil after it has dumped its state; do nothing if it is not running."""
        super().stop()
        self._keep_state()

    def kill(self) -> None:
        """End anvil at once, as `kill -9` does; `start` resumes from its last dump."""
        super().kill()
        self._keep_state()

    @property
    def _accounts(self) -> Path:
        return self._log.with_suffix(".accounts.json")

    def _read_keys(self) -> tuple[str, ...]:
        return tuple(json.loads(self._accounts.read_text())["private_keys"])

    def _keep_state(self) -> None:
        if self._process is not None and self._state is not None:
            keep_newest_state(self._state)

    def _arguments(self) -> list[str]:
        arguments = ["--host", self._host, "--port", str(self._port)]
        arguments += ["--chain-id", str(self._chain_id)]
        arguments += ["--prune-history", str(_HISTORY)]
        if self._block_time is not None:
            arguments += ["--block-time", str(self._block_time)]
        if self._state is not None:
            if self._state.exists():
                arguments += ["--load-state", str(self._state)]
            arguments += ["--dump-state", str(_dump_path(self._state))]
            arguments += ["--state-interval", str(_STATE_INTERVAL)]
            arguments += ["--preserve-historical-states"]
        return arguments

    def _is_healthy(self, offset: int) -> bool:
        return log_contains(self._log, offset, "Listening on") and self._answers()

    def _answers(self) -> bool:
        try:
            return int(json_rpc(self.url, "eth_chainId", seconds=5), 16) == self._chain_id
        except NodeFailed:
            return False


class AnvilChain:
    """The EVM chain of a local network, run by one anvil in the network's folder.

    Args:
        folder: the network's folder.
        record: the network's record.
    """

    def __init__(self, folder: Path, record: Record) -> None:
        self._folder = folder
        self._record = record
        self._settings = record.settings.evm or EvmSettings()

    def find_binary(self, report: Report) -> None:
        """Find anvil, or install it."""
        find_binary(ANVIL, report=report)

    def up(self, undo: ExitStack, report: Report) -> Record:
        """Start the chain if it is not running, and return the record with its port."""
        chain, port = self._anvil(self._record.port), self._record.port
        if chain.attach():
            report(f"anvil runs already: {chain.url}")
            return self._record
        rotate_log(chain.log)
        try:
            undo.callback(chain.stop)
            chain.start()
        except PortTaken:
            if not port:
                raise
            report(f"anvil's port {port} is taken by another process: choosing another one")
            chain = self._anvil(0)
            undo.callback(chain.stop)
            chain.start()
        report(f"anvil: {chain.url}")
        return replace(self._record, port=chain.port)

    def status(self) -> ChainStatus:
        """Return the chain's status."""
        chain, block = self._anvil(self._record.port), None
        pid = read_pid(chain.log)
        if pid is not None:
            with suppress(NodeFailed):
                block = int(json_rpc(chain.url, "eth_blockNumber", seconds=5), 16)
        return ChainStatus(chain.url, _CHAIN_ID, pid, block)

    def check_payment(self, addresses: Sequence[str], amount: Decimal) -> None:
        """Raise `AddressRefused` if the chain cannot pay this amount to these addresses."""
        check_payment(addresses, amount)

    def fund(self, addresses: Sequence[str], amount: Decimal, report: Report) -> dict[str, Decimal]:
        """Send ether to each address and return the new balances."""
        every = self._settings.block_time
        if every:
            names = ", ".join(addresses)
            report(f"sending {amount:f} ether to {names}; waiting for the next block")
        url = self._anvil(self._record.port).url
        return fund(url, addresses, amount, seconds=30.0 + every)

    def _anvil(self, port: int) -> Anvil:
        return Anvil(
            state=state_path(self._folder),
            block_time=self._settings.block_time or None,
            port=port,
            log=log_path(self._folder, "anvil"),
        )


def state_path(folder: Path) -> Path:
    """Return the EVM chain's state file in a network's folder."""
    return folder / "chain" / "state.json"


def keep_newest_state(state: Path) -> None:
    """Replace the state file with anvil's last dump, after anvil has ended.

    Anvil overwrites its dump in place. If it was killed while writing, the dump is corrupt, and the
    state file stays as it was at the last start, stop or `Anvil.dump`.
    """
    dumps = _dump_path(state)
    try:
        newer = not state.exists() or dumps.stat().st_mtime_ns >= state.stat().st_mtime_ns
        whole = newer and isinstance(json.loads(dumps.read_bytes()), dict)
    except (FileNotFoundError, ValueError):
        whole = False
    if whole:
        dumps.replace(state)
    else:
        with suppress(FileNotFoundError):
            dumps.unlink()


def _dump_path(state: Path) -> Path:
    return state.with_name(f"{state.name}.running")
