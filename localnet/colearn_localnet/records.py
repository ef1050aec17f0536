"""What a local network is, what is written down of it, and how it stands."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from colearn_ledger.home import write_private
from colearn_localnet.cosmos import BLOCK_TIME
from colearn_localnet.errors import NetStateError, SettingsRefused

__all__ = ["ChainStatus", "IpfsStatus", "NetStatus", "Record", "Settings", "ValidatorStatus"]

_OWN = ("net.json*", "chain", "cosmos", "logs", "ipfs-*", ".repo-*")
"""What the folder holds of ours; nothing else is ever deleted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a network consists of.

    Attributes:
        chain: its kind, "evm" or "cosmos".
        ipfs: number of IPFS nodes.
        block_time: seconds between blocks. None on an EVM chain mines a block as soon as a
            transaction comes; a Cosmos chain makes blocks by the clock, and None becomes 0.5.
        validators: number of nodes that run the chain; an EVM chain has one.

    Raises:
        SettingsRefused: no network can be like that.
    """

    chain: str = "evm"
    ipfs: int = 3
    block_time: float | None = None
    validators: int = 1

    def __post_init__(self) -> None:
        """Check them, and fill in a Cosmos chain's block time."""
        if self.chain not in ("evm", "cosmos"):
            raise SettingsRefused(f"a chain is evm or cosmos, not {self.chain!r}")
        if self.chain == "evm" and self.validators != 1:
            raise SettingsRefused(
                "an EVM chain has one node here; validators are of a Cosmos chain"
            )
        if self.validators < 1:
            raise SettingsRefused("a chain needs a validator")
        if self.chain == "cosmos" and self.block_time is None:
            object.__setattr__(self, "block_time", BLOCK_TIME)

    def __str__(self) -> str:
        """Return them in words."""
        every = f"a block every {self.block_time:g} s" if self.block_time else "instant blocks"
        if self.chain == "evm":
            return f"{self.ipfs} IPFS nodes and an EVM chain with {every}"
        nodes = "1 validator" if self.validators == 1 else f"{self.validators} validators"
        return f"{self.ipfs} IPFS nodes and a Cosmos chain of {nodes} with {every}"


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """The chain, as one of its nodes has it.

    Attributes:
        url: of the node's RPC.
        chain_id: a number (EIP-155), or a Cosmos chain's text.
        pid: of the node; None when it is not there.
        block: the newest; None when the node does not answer.
        grpc: URL of a Cosmos node's gRPC.
        rest: URL of a Cosmos node's REST server.
    """

    url: str
    chain_id: int | str
    pid: int | None
    block: int | None
    grpc: str | None = None
    rest: str | None = None


@dataclass(frozen=True, slots=True)
class ValidatorStatus:
    """A node of a Cosmos chain; ``block`` and ``peers`` are None when it does not answer."""

    name: str
    rpc: str
    grpc: str
    rest: str
    pid: int | None
    block: int | None
    peers: int | None


@dataclass(frozen=True, slots=True)
class IpfsStatus:
    """An IPFS node; ``peers`` counts its connections and is None when it does not answer."""

    name: str
    api: str
    api_url: str
    gateway: str
    address: str
    pid: int | None
    peers: int | None


@dataclass(frozen=True, slots=True)
class NetStatus:
    """A network as it is now.

    Attributes:
        folder: that holds it.
        settings: that it was last started with.
        chain: as its first node that answers has it.
        ipfs: its IPFS nodes.
        validators: the nodes of a Cosmos chain; none of an EVM chain.
    """

    folder: Path
    settings: Settings
    chain: ChainStatus
    ipfs: tuple[IpfsStatus, ...]
    validators: tuple[ValidatorStatus, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether every node answers."""
        peers = [node.peers for node in self.ipfs] + [node.peers for node in self.validators]
        return self.chain.block is not None and None not in peers


@dataclass(frozen=True, slots=True)
class Record:
    """What `net.json` holds.

    Attributes:
        settings: the network's.
        swarm: key of the IPFS nodes' private swarm, in hex.
        port: the EVM chain's; 0 before its first start.
    """

    settings: Settings
    swarm: str
    port: int = 0

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """Return a folder's record; None when there is no network and room for one.

        Raises:
            NetStateError: the folder holds something else, or the record can not be read.
        """
        path = folder / "net.json"
        try:
            held: dict[str, Any] = json.loads(path.read_text())
            return cls(Settings(**held["settings"]), held["swarm"], held["port"])
        except FileNotFoundError as error:
            if folder.is_dir() and any(folder.iterdir()):
                raise NetStateError(
                    f"{folder} holds something that is no local network: choose another folder"
                ) from error
            return None
        except (OSError, ValueError, KeyError, TypeError, SettingsRefused) as error:
            raise NetStateError(f"{path} can not be read: {error}") from error

    def write(self, folder: Path) -> None:
        """Write it, readable by nobody else: who has the swarm's key can join."""
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "net.json", json.dumps(asdict(self), indent=2).encode())

    @staticmethod
    def wipe(folder: Path) -> None:
        """Delete what a network has in a folder, its record last, and the folder when empty."""
        for pattern in reversed(_OWN):
            for path in folder.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        with suppress(OSError):
            folder.rmdir()
