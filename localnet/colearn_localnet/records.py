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

KINDS = ("evm", "cosmos")
"""The kinds of chains that a network can have."""

_OWN_FILES = ("net.json*", "chain", "cosmos", "logs", "ipfs-*", ".repo-*")
"""The names that `Record.wipe` deletes; other files in the folder are kept."""


@dataclass(frozen=True, slots=True)
class EvmSettings:
    """The settings of an EVM chain.

    Attributes:
        block_time: seconds between blocks; 0 mines a block for each transaction immediately.
    """

    block_time: float = 0

    def __post_init__(self) -> None:
        """Check the block time."""
        if self.block_time < 0:
            raise SettingsRefused(
                f"the time between blocks is {self.block_time:g} s; use 0 or more"
            )

    def __str__(self) -> str:
        """Return the settings in words."""
        every = f"a block every {self.block_time:g} s" if self.block_time else "instant blocks"
        return f"an EVM chain with {every}"


@dataclass(frozen=True, slots=True)
class CosmosSettings:
    """The settings of a Cosmos chain.

    Attributes:
        block_time: seconds between blocks, above 0.
        validators: number of nodes that run the chain; it cannot change later.
        wasmd: name of the release of wasmd that runs the chain; it cannot change later.
    """

    block_time: float = BLOCK_TIME
    validators: int = 1
    wasmd: str = DEFAULT_RELEASE

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.block_time <= 0:
            raise SettingsRefused(
                "a Cosmos chain makes blocks at intervals; use --block-time 0.1 or more"
            )
        if self.validators < 1:
            raise SettingsRefused("a chain needs at least one validator")
        find_release(self.wasmd)

    def __str__(self) -> str:
        """Return the settings in words."""
        nodes = "1 validator" if self.validators == 1 else f"{self.validators} validators"
        every = f"a block every {self.block_time:g} s"
        return f"a Cosmos chain of {nodes} (wasmd {self.wasmd}) with {every}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a network.

    Attributes:
        evm: settings of the EVM chain; None if the network has none.
        cosmos: settings of the Cosmos chain; None if the network has none.
        ipfs: number of IPFS nodes.

    Raises:
        SettingsRefused: the network has no chain.
    """

    evm: EvmSettings | None = EvmSettings()
    cosmos: CosmosSettings | None = None
    ipfs: int = 3

    def __post_init__(self) -> None:
        """Check that there is a chain."""
        if not self.kinds:
            raise SettingsRefused("a network needs an EVM chain or a Cosmos chain")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of the network's chains: "evm", "cosmos" or both."""
        return tuple(kind for kind in KINDS if getattr(self, kind) is not None)

    def extends(self, known: Settings) -> bool:
        """Return whether these settings only add chains to those of a running network."""
        kept = all(getattr(self, kind) == getattr(known, kind) for kind in known.kinds)
        return kept and self.ipfs == known.ipfs

    def __str__(self) -> str:
        """Return the settings in words."""
        parts = [f"{self.ipfs} IPFS nodes", *(str(getattr(self, kind)) for kind in self.kinds)]
        return f"{', '.join(parts[:-1])} and {parts[-1]}"

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Settings:
        """Return the settings of a record.

        Raises:
            KeyError, TypeError, SettingsRefused: the record is damaged.
        """
        evm, cosmos = fields["evm"], fields["cosmos"]
        return cls(
            None if evm is None else EvmSettings(**evm),
            None if cosmos is None else CosmosSettings(**cosmos),
            fields["ipfs"],
        )


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
class ChainStatus:
    """The status of the chain, as reported by the first node that answers.

    Attributes:
        url: URL of the node's RPC.
        chain_id: the chain's id: a number (EIP-155), or a text for a Cosmos chain.
        pid: id of the node's process; None if it is not running.
        block: number of the newest block; None if the node does not answer.
        grpc: URL of a Cosmos node's gRPC server.
        rest: URL of a Cosmos node's REST server.
        validators: status of each node of a Cosmos chain; empty for an EVM chain.
    """

    url: str
    chain_id: int | str
    pid: int | None
    block: int | None
    grpc: str | None = None
    rest: str | None = None
    validators: tuple[ValidatorStatus, ...] = ()

    @property
    def healthy(self) -> bool:
        """Return whether every node of the chain answers."""
        return self.block is not None and None not in [node.peers for node in self.validators]


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
        chains: status of each chain, by kind: "evm", "cosmos".
        ipfs: status of each IPFS node.
    """

    folder: Path
    settings: Settings
    chains: dict[str, ChainStatus]
    ipfs: tuple[IpfsStatus, ...]

    @property
    def healthy(self) -> bool:
        """Return whether every node answers."""
        chains = all(chain.healthy for chain in self.chains.values())
        return chains and None not in [node.peers for node in self.ipfs]


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
            return cls(Settings.parse(content["settings"]), content["swarm"], content["port"])
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
