"""Run Kubo, an IPFS node, in a private swarm that no node of the public network can join.

Nodes find content without announcements, because each asks all of its peers (Bitswap broadcast).
This suits a network of a few nodes, and new content is available at once.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from colearn_ledger.home import write_private
from colearn_ledger.text import strict_json
from colearn_localnet.errors import NodeFailed
from colearn_localnet.install import KUBO, find_binary
from colearn_localnet.node import HEALTHY_WITHIN, Node
from colearn_localnet.private_swarm import PRIVATE, peer_entry, read_port, tcp_address
from colearn_localnet.processes import free_ports, wait_until
from colearn_localnet.rpc import post, post_json

_PORTS = ("Swarm", "API", "Gateway")


def new_swarm_key() -> bytes:
    """Return a random 32-byte key; anyone with the key can join the swarm."""
    return secrets.token_bytes(32)


class Kubo(Node):
    """A Kubo daemon.

    Args:
        repo: the repository, created at the first start. Later starts keep the identity, the pins
            and, if they are free, the ports.
        swarm: the swarm's 32-byte key; None keeps the repository's key or creates one.
        peers: addresses, with peer ids, of nodes to connect to and to reconnect to.
        host: IPv4 address for swarm, API and gateway.
        log: file for the daemon's output; None uses `daemon.log` in the repository.
    """

    NAME = "Kubo"
    PORT_TAKEN_WORDS = "address already in use"

    def __init__(
        self,
        repo: Path,
        *,
        swarm: bytes | None = None,
        peers: Sequence[str] = (),
        host: str = "127.0.0.1",
        log: Path | None = None,
    ) -> None:
        if swarm is not None and len(swarm) != 32:
            raise NodeFailed(f"the swarm key must have 32 bytes, not {len(swarm)}")
        super().__init__(host=host, log=log or repo / "daemon.log")
        self._repo = repo
        self._swarm = swarm
        self._peers = tuple(peers)
        self._ports: dict[str, int] = {}
        self._address = ""

    @property
    def api(self) -> str:
        """Return the multiaddress of the RPC API, `/ip4/127.0.0.1/tcp/N/http`."""
        return f"{tcp_address(self._host, self._ports['API'])}/http"

    @property
    def api_url(self) -> str:
        """Return the URL of the RPC API."""
        return f"http://{self._host}:{self._ports['API']}"

    @property
    def gateway(self) -> str:
        """Return the URL of the HTTP gateway."""
        return f"http://{self._host}:{self._ports['Gateway']}"

    @property
    def address(self) -> str:
        """Return the multiaddress in the swarm, with the peer id."""
        return self._address

    @property
    def peer_id(self) -> str:
        """Return the node's identity in the swarm."""
        return self._address.rpartition("/p2p/")[2]

    @property
    def swarm(self) -> bytes | None:
        """Return the swarm's key; None before the first start if none was given."""
        return self._swarm

    def start(self) -> Self:
        """Start the daemon, wait until it answers, and connect it to the peers that are running.

        Raises:
            InstallFailed: Kubo is missing and cannot be installed.
            NodeFailed: the daemon did not start.
        """
        binary = find_binary(KUBO)
        if not (self._repo / "config").exists():
            self._initialise(binary)
        self._keep_swarm_key()
        self._try_ports(lambda: self._start(binary))
        for peer in self._peers:
            self.connect(peer)
        return self

    def _start(self, binary: Path) -> None:
        self._configure()
        command = [str(binary), "daemon", "--migrate=true"]
        self._launch(command, self._environment(self._repo))

    def _load(self) -> bool:
        config = strict_json.load((self._repo / "config").read_bytes())
        self._ports = {name: read_port(config, name) or 0 for name in _PORTS}
        self._keep_swarm_key()
        return self._answers()

    def add_peer(self, peer: str) -> None:
        """Connect to a peer now, after lost connections and after each restart.

        Raises:
            NodeFailed: the daemon does not answer, or the address is not a peer's.
        """
        peer_entry(peer)
        if peer not in self._peers:
            self._peers = (*self._peers, peer)
        post(f"{self.api_url}/api/v0/swarm/peering/add?arg={quote(peer, safe='')}")
        self.connect(peer)

    def connect(self, peer: str) -> bool:
        """Connect to a peer once, and return whether it is connected."""
        try:
            post(f"{self.api_url}/api/v0/swarm/connect?arg={quote(peer, safe='')}", seconds=15)
        except NodeFailed:
            return False
        return True

    def connections(self) -> frozenset[str]:
        """Return the ids of the connected peers.

        Raises:
            NodeFailed: the daemon does not answer.
        """
        answer = post_json(f"{self.api_url}/api/v0/swarm/peers")
        return frozenset(peer["Peer"] for peer in answer.get("Peers") or ())

    def _initialise(self, binary: Path) -> None:
        """Create the repository in a temporary folder and rename it, so it is never incomplete."""
        self._repo.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".repo-", dir=self._repo.parent) as folder:
            fresh = Path(folder) / "repo"
            made = subprocess.run(  # noqa: S603  (our own binary)
                [str(binary), "init", "--empty-repo"],
                env=self._environment(fresh),
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise NodeFailed(f"Kubo cannot create {self._repo}: {made.stderr.strip()}")
            config = strict_json.load((fresh / "config").read_bytes())
            config["Addresses"] = {}  # `_configure` writes its own ports
            (fresh / "config").write_text(json.dumps(config))
            for item in sorted(fresh.iterdir(), key=lambda item: item.name == "config"):
                shutil.move(item, self._repo / item.name)

    def _keep_swarm_key(self) -> None:
        file = self._repo / "swarm.key"
        if self._swarm is None and file.exists():
            self._swarm = bytes.fromhex(file.read_text().split()[-1])
        self._swarm = self._swarm or new_swarm_key()
        file.touch(mode=0o600)
        file.write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{self._swarm.hex()}\n")

    def _configure(self) -> None:
        path = self._repo / "config"
        config: dict[str, Any] = strict_json.load(path.read_bytes())
        previous = {name: self._ports.get(name) or read_port(config, name) or 0 for name in _PORTS}
        self._ports = free_ports(self._host, previous)
        config.update(PRIVATE)
        config["Addresses"] = {
            "Swarm": [tcp_address(self._host, self._ports["Swarm"])],
            "API": tcp_address(self._host, self._ports["API"]),
            "Gateway": tcp_address(self._host, self._ports["Gateway"]),
        }
        config["Peering"] = {"Peers": [peer_entry(address) for address in self._peers]}
        write_private(path, json.dumps(config, indent=2).encode())

    def _environment(self, repo: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("IPFS_")}
        forced = {"LIBP2P_FORCE_PNET": "1", "IPFS_TELEMETRY": "off", "IPFS_PATH": str(repo)}
        return kept | forced

    def _is_healthy(self, offset: int) -> bool:
        return self._answers()

    def _answers(self) -> bool:
        try:
            answer = post_json(f"{self.api_url}/api/v0/id", seconds=5)
        except NodeFailed:
            return False
        addresses: list[str] = answer.get("Addresses") or []
        addresses.sort(key=lambda address: address.startswith("/ip4/127."))
        if not addresses:
            return False
        self._address = addresses[0]
        return True


def join(nodes: Sequence[Kubo]) -> None:
    """Make every node a peer of every other node, and wait until all are connected.

    Raises:
        NodeFailed: some nodes did not connect in time.
    """
    for node in nodes:
        for other in nodes:
            if other is not node:
                node.add_peer(other.address)
    ids = {node.peer_id for node in nodes}

    def all_connected() -> bool:
        return all(ids - {node.peer_id} <= node.connections() for node in nodes)

    if not wait_until(all_connected, seconds=HEALTHY_WITHIN):
        raise NodeFailed(
            f"the IPFS nodes did not connect to each other within {HEALTHY_WITHIN:g} s",
            log=nodes[0].log,
        )
