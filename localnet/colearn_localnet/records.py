"""The settings, the stored record and the status of a local network."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from colearn_ledger.home import write_private
from colearn_localnet.cosmos_genesis import BLOCK_TIME
from colearn_localnet.errors import NetStateError, SettingsRefused
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, find_release

_OWN_FILES = ("net.json*", "chain", "cosmos", "logs", "ipfs-*", ".repo-*")
"""The names that `Record.wipe` deletes; other files in the folder are kept."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a network.

    Attributes:
        chain: kind of the chain, "evm" or "cosmos".
        ipfs: number of IPFS nodes.
        block_time: seconds between blocks. None mines a block for each transaction on an EVM chain
            and becomes 0.5 on a Cosmos chain, which makes blocks at fixed intervals.
        validators: number of nodes that run the chain; always one for an EVM chain.
        wasmd: name of the release of wasmd that runs a Cosmos chain; None becomes the default.
            Always None for an EVM chain.

    Raises:
        SettingsRefused: the settings contradict each other or are out of range.
    """

    chain: str = "evm"
    ipfs: int = 3
    block_time: float | None = None
    validators: int = 1
    wasmd: str | None = None

    def __post_init__(self) -> None:
        """Check the settings and fill in the defaults of a Cosmos chain."""
        if self.chain not in ("evm", "cosmos"):
            raise SettingsRefused(f"the chain must be evm or cosmos, not {self.chain!r}")
        if self.chain == "evm" and self.validators != 1:
            raise SettingsRefused(
                "a local EVM chain has one node; only a Cosmos chain has several validators"
            )
        if self.chain == "evm" and self.wasmd is not None:
            raise SettingsRefused(
                f"a local EVM chain does not run wasmd {self.wasmd}; choose --chain cosmos"
            )
        if self.wasmd is not None:
            find_release(self.wasmd)
        if self.validators < 1:
            raise SettingsRefused("a chain needs at least one validator")
        if self.chain == "cosmos" and self.block_time is None:
            object.__setattr__(self, "block_time", BLOCK_TIME)
        if self.chain == "cosmos" and self.wasmd is None:
            object.__setattr__(self, "wasmd", DEFAULT_RELEASE)

    def __str__(self) -> str:
        """Return the settings in words."""
        every = f"a block every {self.block_time:g} s" if self.block_time else "instant blocks"
        if self.chain == "evm":
            return f"{self.ipfs} IPFS nodes and an EVM chain with {every}"
        nodes = "1 validator" if self.validators == 1 else f"{self.validators} validators"
        chain = f"a Cosmos chain of {nodes} (wasmd {self.wasmd})"
        return f"{self.ipfs} IPFS nodes and {chain} with {every}"


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """The status of the chain, as reported by the first node that answers.

    Attributes:
        url: URL of the node's RPC.
        chain_id: the chain's id: a number (EIP-155), or a text for a Cosmos chain.
        pid: id of the node's process; None if it is not running.
        block: number of the newest block; None if the node does not answer.
        grpc: URL of a Cosmos node's gRPC server.
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
    """The status of a Cosmos node, with ``block`` and ``peers`` None if it does not answer."""

    name: str
    rpc: str
    grpc: str
    rest: str
    pid: int | None
    block: int | None
    peers: int | None


@dataclass(frozen=True, slots=True)
class IpfsStatus:
    """The status of an IPFS node, with its number of connections, None if it does not answer."""

    name: str
    api: str
    api_url: str
    gateway: str
    address: str
    pid: int | None
    peers: int | None


@dataclass(frozen=True, slots=True)
class NetStatus:
    """The status of a network.

    Attributes:
        folder: the network's folder.
        settings: the settings of the network's last start.
        chain: status of the chain.
        ipfs: status of each IPFS node.
        validators: status of each node of a Cosmos chain; empty for an EVM chain.
    """

    folder: Path
    settings: Settings
    chain: ChainStatus
    ipfs: tuple[IpfsStatus, ...]
    validators: tuple[ValidatorStatus, ...] = ()

    @property
    def healthy(self) -> bool:
        """Return whether every node answers."""
        peers = [node.peers for node in self.ipfs] + [node.peers for node in self.validators]
        return self.chain.block is not None and None not in peers


@dataclass(frozen=True, slots=True)
class Record:
    """The content of `net.json`.

    Attributes:
        settings: the network's settings.
        swarm: key of the private IPFS swarm, in hex.
        port: the EVM chain's port; 0 before its first start.
    """

    settings: Settings
    swarm: str
    port: int = 0

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """Return a folder's record; None if the folder is empty or missing.

        Raises:
            NetStateError: the folder contains something else, or the record cannot be read.
        """
        path = folder / "net.json"
        try:
            content: dict[str, Any] = json.loads(path.read_text())
            return cls(Settings(**content["settings"]), content["swarm"], content["port"])
        except FileNotFoundError as error:
            if folder.is_dir() and any(folder.iterdir()):
                raise NetStateError(
                    f"{folder} contains files, but not a local network: choose another folder"
                ) from error
            return None
        except (OSError, ValueError, KeyError, TypeError, SettingsRefused) as error:
            raise NetStateError(f"{path} cannot be read: {error}") from error

    def write(self, folder: Path) -> None:
        """Write the record so that only its owner can read the swarm's key."""
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "net.json", json.dumps(asdict(self), indent=2).encode())

    @staticmethod
    def wipe(folder: Path) -> None:
        """Delete a network's files, the record last, and the folder if it is then empty."""
        for pattern in reversed(_OWN_FILES):
            for path in folder.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        with suppress(OSError):
            folder.rmdir()


def log_path(folder: Path, name: str) -> Path:
    """Return the log file of a network's node."""
    return folder / "logs" / f"{name}.log"
