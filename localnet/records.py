"""What a local network is, what is written down of it, and how it stands."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localnet.errors import NetStateError

__all__ = ["ChainStatus", "IpfsStatus", "NetStatus", "Record", "Settings"]

_OWN = ("net.json*", "chain", "logs", "ipfs-*", ".repo-*")
"""What the folder holds of ours; nothing else is ever deleted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a network consists of.

    Attributes:
        chain: its kind, "evm".
        ipfs: number of IPFS nodes.
        block_time: seconds between blocks; None mines a block as soon as a transaction comes.
    """

    chain: str = "evm"
    ipfs: int = 3
    block_time: float | None = None


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """The chain's node; ``block`` is None when it does not answer, ``pid`` when it is not there."""

    url: str
    chain_id: int
    pid: int | None
    block: int | None


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
    """A network as it is now; ``healthy`` when every node of its settings answers."""

    folder: Path
    settings: Settings
    chain: ChainStatus
    ipfs: tuple[IpfsStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether every node answers."""
        return self.chain.block is not None and all(node.peers is not None for node in self.ipfs)


@dataclass(frozen=True, slots=True)
class Record:
    """What `net.json` holds.

    Attributes:
        settings: the network's.
        swarm: key of the IPFS nodes' private swarm, in hex.
        port: the chain's; 0 before its first start.
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
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NetStateError(f"{path} can not be read: {error}") from error

    def write(self, folder: Path) -> None:
        """Write it, readable by nobody else: who has the swarm's key can join."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "net.json.partial"
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.replace(folder / "net.json")

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
