"""One anvil: an EVM chain for development, whose state outlives it."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Self

from colearn_localnet.errors import NodeFailed, PortTaken
from colearn_localnet.install import ANVIL, find_binary
from colearn_localnet.node import Node
from colearn_localnet.processes import free_port, is_free, recorded, said_since
from colearn_localnet.rpc import json_rpc

__all__ = ["Anvil", "keep_newest_state"]

_STATE_INTERVAL = 1
"""Seconds between two dumps; what `kill -9` may lose."""

_HISTORY = 16
"""Blocks whose states are kept and survive a restart; a reorganisation can not go deeper then."""


class Anvil(Node):
    """An anvil process.

    Args:
        state: file that the chain is loaded from at start, if it exists, and dumped to at stop.
            While anvil runs, its dumps of every second lie beside it.
        block_time: seconds between blocks; None mines a block as soon as a transaction comes.
        chain_id: of the chain.
        port: 0 takes a free one; after a restart it is the one it had.
        host: IPv4 address to listen on.
        log: takes its output; None keeps it in a temporary folder as long as this object lives.
    """

    NAME = "anvil"
    PORT_TAKEN_SAYS = "in use"

    def __init__(
        self,
        *,
        state: Path | None = None,
        block_time: float | None = None,
        chain_id: int = 31337,
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
        """Its RPC over HTTP; the same with ``ws:`` is its WebSocket."""
        return f"http://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on; 0 before its first start if none was asked for."""
        return self._port

    @property
    def keys(self) -> tuple[str, ...]:
        """The private keys, in hex, of its ten funded accounts: public knowledge, never secret."""
        return self._keys

    def start(self) -> Self:
        """Start it and wait until it answers; after `kill` it starts with the state of its dumps.

        Raises:
            InstallFailed: there is no anvil.
            NodeFailed: it did not start.
            PortTaken: another process has the port that was asked for.
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

    def attach(self) -> bool:
        """Take up the process that was started with this log and port, if it is healthy.

        Returns:
            False when there is none, or it does not answer.
        """
        process = recorded(self._log)
        if process is None or not process.is_running() or not self._port or not self._answers():
            return False
        self._process, self._keys = process, self._read_keys()
        return True

    def dump(self) -> None:
        """Write the chain to the state file now, so that `kill` loses nothing before this.

        Raises:
            NodeFailed: it does not answer, or has no state file.
        """
        if self._state is None:
            raise NodeFailed("this anvil has no state file")
        packed = bytes.fromhex(json_rpc(self.url, "anvil_dumpState", True).removeprefix("0x"))
        partial = self._state.with_name(f"{self._state.name}.partial")
        partial.write_bytes(gzip.decompress(packed))
        partial.replace(self._state)

    def stop(self) -> None:
        """Stop it, after it has dumped its state. Does nothing when it does not run."""
        super().stop()
        self._keep_state()

    def kill(self) -> None:
        """End it at once, as `kill -9` does; `start` continues from its last dump."""
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
        if self._block_time is not None:
            arguments += ["--block-time", str(self._block_time)]
        if self._state is not None:
            if self._state.exists():
                arguments += ["--load-state", str(self._state)]
            arguments += ["--dump-state", str(_dumps_of(self._state))]
            arguments += ["--state-interval", str(_STATE_INTERVAL)]
            arguments += ["--preserve-historical-states", "--prune-history", str(_HISTORY)]
        return arguments

    def _is_healthy(self, seen: int) -> bool:
        return said_since(self._log, seen, "Listening on") and self._answers()

    def _answers(self) -> bool:
        try:
            return int(json_rpc(self.url, "eth_chainId", seconds=5), 16) == self._chain_id
        except NodeFailed:
            return False


def keep_newest_state(state: Path) -> None:
    """Put anvil's last dump in the place of the state file, once anvil has ended.

    anvil writes its dumps in place, so that one is torn when it is killed while it writes; then
    the state file stays as it was at the last start, stop or `Anvil.dump`.
    """
    dumps = _dumps_of(state)
    try:
        newer = not state.exists() or dumps.stat().st_mtime_ns >= state.stat().st_mtime_ns
        whole = newer and isinstance(json.loads(dumps.read_bytes()), dict)
    except (FileNotFoundError, ValueError):
        whole = False
    if whole:
        dumps.replace(state)
    else:
        with contextlib.suppress(FileNotFoundError):
            dumps.unlink()


def _dumps_of(state: Path) -> Path:
    return state.with_name(f"{state.name}.running")
