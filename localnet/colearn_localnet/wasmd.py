"""One wasmd: a node of a Cosmos chain with CosmWasm, alone or beside others.

`colearn_localnet.cosmos_genesis` makes its home, with genesis and keys;
`colearn_localnet.cosmos` runs whole chains.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import tomllib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from colearn_ledger.home import write_atomically
from colearn_localnet.cosmos_genesis import GAS_PRICE
from colearn_localnet.errors import NodeFailed
from colearn_localnet.install import WASMD, find_binary
from colearn_localnet.node import Node
from colearn_localnet.processes import free_ports, recorded
from colearn_localnet.rpc import json_rpc

__all__ = ["Wasmd", "quiet_environment"]

_PORTS = ("p2p", "rpc", "grpc", "rest")


class Wasmd(Node):
    """A wasmd process.

    Args:
        home: its folder. Later starts keep the chain and, as long as they are free, the ports.
        block_time: seconds from a block to the next one's proposal.
        host: IPv4 address that all its servers listen on.
        log: takes its output; None puts it into the home, `wasmd.log`.
    """

    NAME = "wasmd"
    PORT_TAKEN_SAYS = "address already in use"

    def __init__(
        self,
        home: Path,
        *,
        block_time: float = 0.5,
        host: str = "127.0.0.1",
        log: Path | None = None,
    ) -> None:
        super().__init__(host=host, log=log or home / "wasmd.log")
        self._home = home
        self._block_time = block_time
        self._peers: tuple[str, ...] = ()
        self._ports = self._known_ports()

    @property
    def home(self) -> Path:
        """Its folder."""
        return self._home

    @property
    def rpc(self) -> str:
        """URL of CometBFT's RPC; its WebSocket is the same with ``ws:`` and ``/websocket``."""
        return f"http://{self._host}:{self._ports['rpc']}"

    @property
    def rest(self) -> str:
        """URL of the REST server (gRPC gateway)."""
        return f"http://{self._host}:{self._ports['rest']}"

    @property
    def grpc(self) -> str:
        """URL of the gRPC server, which has no encryption."""
        return f"http://{self._host}:{self._ports['grpc']}"

    @property
    def peer(self) -> str:
        """Its address for other nodes of the chain, with its id."""
        return f"{self._node_id()}@{self._host}:{self._ports['p2p']}"

    def choose_ports(self, *, besides: Collection[int] = ()) -> Collection[int]:
        """Choose free ports, those it had if they are free, so that others know `peer`.

        Args:
            besides: ports that others have chosen, and may not listen on yet.

        Returns:
            the ports.
        """
        self._ports = free_ports(self._host, self._ports, besides=besides)
        return self._ports.values()

    def know(self, peers: Sequence[str]) -> None:
        """Have it connect to these nodes, and come back to them, from its next start on."""
        self._peers = tuple(peers)

    def start(self) -> Self:
        """Start it and wait until it answers; it need not have made a block then.

        Raises:
            InstallFailed: there is no wasmd.
            NodeFailed: it did not start.
        """
        binary = find_binary(WASMD)
        self._try_ports(lambda: self._start(binary))
        return self

    def _start(self, binary: Path) -> None:
        self.choose_ports()
        self._configure()
        command = [str(binary), "start", "--home", str(self._home), "--log_no_color"]
        self._launch(command, quiet_environment())

    def attach(self) -> bool:
        """Take up the process that was started with this home and log, if it is healthy.

        Returns:
            False when there is none, or it does not answer.
        """
        process = recorded(self._log)
        self._ports = self._known_ports()
        if process is None or not process.is_running() or not self._is_healthy(0):
            return False
        self._process = process
        return True

    def height(self) -> int:
        """Return the number of its newest block; 0 before the first.

        Raises:
            NodeFailed: it does not answer.
        """
        return int(self._said("status")["sync_info"]["latest_block_height"])

    def connections(self) -> int:
        """Return how many nodes of the chain it is connected to.

        Raises:
            NodeFailed: it does not answer.
        """
        return int(self._said("net_info")["n_peers"])

    def _said(self, method: str) -> dict[str, Any]:
        said = json_rpc(self.rpc, method, seconds=5)
        if not isinstance(said, dict):
            raise NodeFailed(f"{self.rpc} is no CometBFT RPC: {method} gives {str(said)[:100]!r}")
        return said

    def _is_healthy(self, seen: int) -> bool:
        with suppress(NodeFailed, OSError, KeyError, ValueError):
            is_it = self._said("status")["node_info"]["id"] == self._node_id()
            for name in ("grpc", "rest"):  # they begin to listen after the RPC
                socket.create_connection((self._host, self._ports[name]), timeout=5).close()
            return bool(is_it)
        return False

    def _node_id(self) -> str:
        """Return its id: of its ed25519 key's public half, the first 20 bytes of the sha256."""
        held = json.loads((self._home / "config" / "node_key.json").read_text())
        public = base64.b64decode(held["priv_key"]["value"])[32:]
        return hashlib.sha256(public).hexdigest()[:40]

    def _known_ports(self) -> dict[str, int]:
        """Return the ports of its configuration; 0 before its first start."""
        try:
            comet = tomllib.loads((self._home / "config" / "config.toml").read_text())
            app = tomllib.loads((self._home / "config" / "app.toml").read_text())
            found = (
                comet["p2p"]["laddr"],
                comet["rpc"]["laddr"],
                app["grpc"]["address"],
                app["api"]["address"],
            )
            ports = [int(address.rpartition(":")[2]) for address in found]
        except (OSError, ValueError, KeyError):
            ports = [0] * len(_PORTS)
        return dict(zip(_PORTS, ports, strict=True))

    def _configure(self) -> None:
        """Write both files whole; what they do not say has wasmd's own defaults."""
        at = {name: f"{self._host}:{port}" for name, port in self._ports.items()}
        settings = {
            "moniker": self._home.name,
            "peers": ",".join(self._peers),
            "commit": f"{round(self._block_time * 1000)}ms",
            "price": GAS_PRICE,
        }
        for name, text in (("config.toml", _COMET), ("app.toml", _APP)):
            path = self._home / "config" / name
            write_atomically(path, text.format(**at, **settings).encode())


def quiet_environment() -> dict[str, str]:
    """Return the environment without variables that wasmd would take for settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WASMD_")}


# With a validator gone, each round in which it should propose costs `timeout_propose`.
_COMET = """\
moniker = "{moniker}"
log_level = "info"

[rpc]
laddr = "tcp://{rpc}"
pprof_laddr = ""

[p2p]
laddr = "tcp://{p2p}"
persistent_peers = "{peers}"
persistent_peers_max_dial_period = "2s"
pex = false
addr_book_strict = false
allow_duplicate_ip = true

[consensus]
timeout_propose = "1s"
timeout_commit = "{commit}"
peer_gossip_sleep_duration = "20ms"

[tx_index]
indexer = "kv"
"""

_APP = """\
minimum-gas-prices = "{price}"
pruning = "nothing"

[telemetry]
enabled = false

[api]
enable = true
address = "tcp://{rest}"

[grpc]
enable = true
address = "{grpc}"

[grpc-web]
enable = false
"""
