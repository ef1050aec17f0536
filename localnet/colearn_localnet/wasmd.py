"""Run wasmd, a node of a Cosmos chain with CosmWasm, alone or with others.

`colearn_localnet.cosmos_genesis` creates a node's home with genesis and keys.
`colearn_localnet.cosmos` runs whole chains.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import tomllib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from colearn_ledger.home import write_atomically
from colearn_localnet.cosmos_genesis import BLOCK_TIME, GAS_PRICE, quiet_environment
from colearn_localnet.errors import NodeFailed
from colearn_localnet.install import find_binary
from colearn_localnet.node import Node
from colearn_localnet.processes import free_ports
from colearn_localnet.rpc import json_rpc
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES, Release

_PORTS = ("p2p", "rpc", "grpc", "rest")


class Wasmd(Node):
    """A wasmd process.

    Args:
        home: the node's folder. Later starts keep the chain and, if they are free, the ports.
        release: the release of wasmd.
        block_time: seconds from a block to the proposal of the next one.
        host: IPv4 address for all of the node's servers.
        log: file for the node's output; None uses `wasmd.log` in the home.
    """

    NAME = "wasmd"
    PORT_TAKEN_WORDS = "address already in use"

    def __init__(
        self,
        home: Path,
        *,
        release: Release = RELEASES[DEFAULT_RELEASE],
        block_time: float = BLOCK_TIME,
        host: str = "127.0.0.1",
        log: Path | None = None,
    ) -> None:
        super().__init__(host=host, log=log or home / "wasmd.log")
        self._home = home
        self._release = release
        self._block_time = block_time
        self._peers: tuple[str, ...] = ()
        self._ports = self._read_ports()

    @property
    def home(self) -> Path:
        """Return the node's folder."""
        return self._home

    @property
    def rpc(self) -> str:
        """Return the URL of the RPC; the WebSocket's has ``ws:`` and ``/websocket``."""
        return f"http://{self._host}:{self._ports['rpc']}"

    @property
    def rest(self) -> str:
        """Return the URL of the REST server (gRPC gateway)."""
        return f"http://{self._host}:{self._ports['rest']}"

    @property
    def grpc(self) -> str:
        """Return the URL of the gRPC server, which is not encrypted."""
        return f"http://{self._host}:{self._ports['grpc']}"

    @property
    def peer(self) -> str:
        """Return the node's id and address, for other nodes of the chain."""
        return f"{self._node_id()}@{self._host}:{self._ports['p2p']}"

    def choose_ports(self, *, reserved: Collection[int] = ()) -> Collection[int]:
        """Choose ports before the start, so that `peer` is known; earlier ports are kept if free.

        Args:
            reserved: ports that other nodes have chosen but may not listen on yet.

        Returns:
            The ports.
        """
        self._ports = free_ports(self._host, self._ports, reserved=reserved)
        return self._ports.values()

    def set_peers(self, peers: Sequence[str]) -> None:
        """Set the nodes to connect to from the next start on."""
        self._peers = tuple(peers)

    def start(self) -> Self:
        """Start the node and wait until it answers, which may be before its first block.

        Raises:
            InstallFailed: wasmd is missing and cannot be installed.
            NodeFailed: the node did not start.
        """
        binary = find_binary(self._release.recipe)
        self._try_ports(lambda: self._start(binary))
        return self

    def _start(self, binary: Path) -> None:
        self.choose_ports()
        self._configure()
        command = [str(binary), "start", "--home", str(self._home)]
        self._launch([*command, *self._release.start_options], quiet_environment())

    def _load(self) -> bool:
        self._ports = self._read_ports()
        return self._is_healthy(0)

    def height(self) -> int:
        """Return the number of the newest block; 0 before the first one.

        Raises:
            NodeFailed: the node does not answer.
        """
        return int(self._ask("status")["sync_info"]["latest_block_height"])

    def connections(self) -> int:
        """Return the number of connected nodes of the chain.

        Raises:
            NodeFailed: the node does not answer.
        """
        return int(self._ask("net_info")["n_peers"])

    def _ask(self, method: str) -> dict[str, Any]:
        answer = json_rpc(self.rpc, method, seconds=5)
        if not isinstance(answer, dict):
            raise NodeFailed(
                f"{self.rpc} is not a Cosmos node: {method} returned {str(answer)[:100]!r}"
            )
        return answer

    def _is_healthy(self, offset: int) -> bool:
        with suppress(NodeFailed, OSError, KeyError, ValueError):
            is_this_node = self._ask("status")["node_info"]["id"] == self._node_id()
            for name in ("grpc", "rest"):  # these start after the RPC
                socket.create_connection((self._host, self._ports[name]), timeout=5).close()
            return bool(is_this_node)
        return False

    def _node_id(self) -> str:
        """Return the node's id: the first 20 bytes, in hex, of sha256 of its ed25519 public key."""
        key = json.loads((self._home / "config" / "node_key.json").read_text())
        public = base64.b64decode(key["priv_key"]["value"])[32:]
        return hashlib.sha256(public).hexdigest()[:40]

    def _read_ports(self) -> dict[str, int]:
        """Return the ports in the node's configuration; 0 before the first start."""
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
        """Write both configuration files; all other settings have wasmd's defaults."""
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


# A missing validator costs `timeout_propose` in each round in which it should propose.
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
global-labels = []

[api]
enable = true
address = "tcp://{rest}"

[grpc]
enable = true
address = "{grpc}"

[grpc-web]
enable = false
"""
