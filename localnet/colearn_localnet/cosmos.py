"""Run a local Cosmos chain with CosmWasm: one or several wasmd validators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from colearn_localnet.cosmos_faucet import Faucet, check_payment
from colearn_localnet.cosmos_genesis import (
    ACCOUNTS,
    BLOCK_TIME,
    CHAIN_ID,
    DENOMINATION,
    GAS_PRICE,
    KEYS,
    PREFIX,
    create_chain,
    homes_of,
    release_of,
)
from colearn_localnet.errors import NetStateError, NodeFailed
from colearn_localnet.install import find_binary
from colearn_localnet.node import HEALTHY_WITHIN, Service
from colearn_localnet.processes import read_pid, rotate_log, wait_until
from colearn_localnet.records import ChainStatus, CosmosSettings, Record, ValidatorStatus
from colearn_localnet.toolchains import Report
from colearn_localnet.wasmd import Wasmd
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, Release, find_release

_FIRST_BLOCKS = 2


class CosmosChain(Service):
    """A chain in a folder.

    Args:
        folder: the chain's folder, created at the first start.
        validators: number of validators, which cannot change later; None uses the number in the
            folder, or one.
        wasmd: name of the release of wasmd, which cannot change later; None uses the one in the
            folder, or the default.
        block_time: seconds from a block to the proposal of the next one.
        host: IPv4 address for all nodes to listen on.
        logs: folder for the logs; None writes each log to its node's home.

    Raises:
        NetStateError: the folder has a chain of a release of wasmd that this package does not have.
        SettingsRefused: there is no such release of wasmd.
    """

    chain_id = CHAIN_ID
    prefix = PREFIX
    denomination = DENOMINATION
    gas_price = GAS_PRICE
    accounts = ACCOUNTS
    keys = KEYS

    def __init__(
        self,
        folder: Path,
        *,
        validators: int | None = None,
        wasmd: str | None = None,
        block_time: float = BLOCK_TIME,
        host: str = "127.0.0.1",
        logs: Path | None = None,
    ) -> None:
        self._folder = folder
        self._validators = validators or len(homes_of(folder)) or 1
        wanted = find_release(wasmd) if wasmd else None
        self._release = wanted or release_of(folder) or find_release(DEFAULT_RELEASE)
        names = [f"wasmd-{number}" for number in range(1, self._validators + 1)]
        self._block_time = block_time
        self._nodes = tuple(
            Wasmd(
                folder / name,
                release=self._release,
                block_time=block_time,
                host=host,
                log=logs / f"{name}.log" if logs else None,
            )
            for name in names
        )

    @property
    def release(self) -> Release:
        """Return the release of wasmd."""
        return self._release

    @property
    def nodes(self) -> tuple[Wasmd, ...]:
        """Return the validators."""
        return self._nodes

    @property
    def node(self) -> Wasmd:
        """Return the first validator that answers, or the first one if none does."""
        for node in self._nodes:
            with suppress(NodeFailed):
                node.height()
                return node
        return self._nodes[0]

    @property
    def rpc(self) -> str:
        """Return the URL of the first validator's RPC."""
        return self._nodes[0].rpc

    @property
    def rest(self) -> str:
        """Return the URL of the first validator's REST server."""
        return self._nodes[0].rest

    @property
    def grpc(self) -> str:
        """Return the URL of the first validator's gRPC server."""
        return self._nodes[0].grpc

    def height(self) -> int:
        """Return the highest block number of all validators.

        Raises:
            NodeFailed: no validator answers.
        """
        heights = _heights(self._nodes)
        if not heights:
            raise NodeFailed("no validator of the chain answers", log=self._nodes[0].log)
        return max(heights)

    def start(self, *, started: Callable[[Wasmd], object] = lambda node: None) -> Self:
        """Start the validators that are not running, and wait until all of them make blocks.

        On failure, end the validators that this call started.

        Args:
            started: called with each validator that was started.

        Raises:
            InstallFailed: wasmd is missing and cannot be installed.
            NetStateError: the folder's chain has another release or number of validators.
            NodeFailed: a validator did not start, or the chain does not make blocks.
        """
        self._create()
        missing = [node for node in self._nodes if not node.attach()]
        chosen: list[int] = []
        for node in missing:
            chosen += node.choose_ports(reserved=chosen)
        for node in missing:
            node.set_peers([other.peer for other in self._nodes if other is not node])
        try:
            for node in missing:
                node.start()
                started(node)
            if missing:
                self._await_blocks()
        except BaseException:
            for node in missing:
                node.kill()
            raise
        return self

    def _create(self) -> None:
        homes = homes_of(self._folder)
        if not homes:
            homes = create_chain(self._folder, self._validators, self._release)
        if len(homes) != self._validators:
            raise NetStateError(
                "the number of a chain's validators cannot change after its first block:"
                f" {self._folder} has {len(homes)}, not {self._validators}"
            )
        existing = release_of(self._folder)
        if existing is not None and existing != self._release:
            raise NetStateError(
                "the release of wasmd cannot change after a chain's first block:"
                f" {self._folder} has {existing.name}, not {self._release.name}"
            )

    def _await_blocks(self) -> None:
        """Wait until every validator is connected to all others and has a new block."""
        seen = {node: node.height() for node in self._nodes}

        def all_advance() -> bool:
            return all(
                _has_advanced(node, max(_FIRST_BLOCKS, height + 1), len(seen) - 1)
                for node, height in seen.items()
            )

        seconds = HEALTHY_WITHIN + 3 * self._block_time
        if not wait_until(all_advance, seconds=seconds):
            raise NodeFailed(
                f"the validators did not all make blocks within {seconds:g} s",
                log=self._nodes[0].log,
            )

    def fund(self, address: str, amount: Decimal) -> Decimal:
        """Send `DENOMINATION` from the faucet to an address, and wait for the block.

        Args:
            address: bech32 address with the chain's prefix.
            amount: positive whole number of `DENOMINATION`.

        Returns:
            The address's new balance.

        Raises:
            AddressRefused: the address is not one of this chain, or the amount is not a positive
                whole number.
            InstallFailed: wasmd is missing and cannot be installed.
            NodeFailed: no validator answers, or the payment failed.
        """
        node = self.node
        binary = find_binary(self._release.recipe)
        faucet = Faucet(binary, self._nodes[0].home, node.rpc, node.rest)
        return faucet.pay(address, amount, seconds=30 + self._block_time)

    def stop(self) -> None:
        """Stop all validators."""
        for node in self._nodes:
            node.stop()

    def kill(self) -> None:
        """End all validators at once, as `kill -9` does; `start` starts them again."""
        for node in self._nodes:
            node.kill()


class WasmdChain:
    """The Cosmos chain of a local network, in the network's folder.

    Args:
        folder: the network's folder.
        record: the network's record.
    """

    def __init__(self, folder: Path, record: Record) -> None:
        self._record = record
        settings = record.settings.cosmos or CosmosSettings()
        self._chain = CosmosChain(
            chain_folder(folder),
            validators=settings.validators,
            wasmd=settings.wasmd,
            block_time=settings.block_time,
            logs=folder / "logs",
        )

    def find_binary(self, report: Report) -> None:
        """Find wasmd, or install it."""
        find_binary(self._chain.release.recipe, report=report)

    def up(self, undo: ExitStack, report: Report) -> Record:
        """Start the validators that are not running, and return the unchanged record."""
        for node in self._chain.nodes:
            if node.attach():
                report(f"{node.log.stem} runs already: {node.rpc}")
            else:
                rotate_log(node.log)
                undo.callback(node.stop)
        self._chain.start(
            started=lambda node: report(f"{node.log.stem}: {node.rpc}, gRPC {node.grpc}")
        )
        report(f"chain: {CHAIN_ID}, block {self._chain.height()}")
        return self._record

    def status(self) -> ChainStatus:
        """Return the status of the chain and of its validators."""
        nodes = tuple(_validator_status(node) for node in self._chain.nodes)
        first = next((node for node in nodes if node.block is not None), nodes[0])
        blocks = [node.block for node in nodes if node.block is not None]
        newest = max(blocks, default=None)
        return ChainStatus(
            first.rpc, CHAIN_ID, first.pid, newest, first.grpc, first.rest, validators=nodes
        )

    def check_payment(self, addresses: Sequence[str], amount: Decimal) -> None:
        """Raise `AddressRefused` if the chain cannot pay this amount to these addresses."""
        check_payment(addresses, amount)

    def fund(self, addresses: Sequence[str], amount: Decimal, report: Report) -> dict[str, Decimal]:
        """Send `DENOMINATION` to each address and return the new balances."""
        balances = {}
        for address in addresses:
            report(f"sending {amount:f} {DENOMINATION} to {address}; waiting for the next block")
            balances[address] = self._chain.fund(address, amount)
        return balances


def chain_folder(folder: Path) -> Path:
    """Return the Cosmos chain's folder in a network's folder."""
    return folder / "cosmos"


def check_chain(folder: Path, wanted: CosmosSettings) -> None:
    """Check that the settings fit a network's Cosmos chain, if it has one already.

    Raises:
        NetStateError: the chain has another number of validators or release of wasmd.
    """
    existing = read_chain_settings(folder)
    advice = "delete the chain with colearn localnet down --wipe, or use another --folder"
    if existing.get("validators", wanted.validators) != wanted.validators:
        raise NetStateError(
            "the number of a Cosmos chain's validators cannot change after its first block:"
            f" this chain has {existing['validators']}. For {wanted.validators}, {advice}"
        )
    if existing.get("wasmd", wanted.wasmd) != wanted.wasmd:
        raise NetStateError(
            "the release of wasmd cannot change after a chain's first block:"
            f" this chain has {existing['wasmd']}. For {wanted.wasmd}, {advice}"
        )


def read_chain_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that a network's Cosmos chain fixes; empty before its creation."""
    chain = chain_folder(folder)
    release = release_of(chain)
    if release is None:
        return {}
    return {"validators": len(homes_of(chain)), "wasmd": release.name}


def _validator_status(node: Wasmd) -> ValidatorStatus:
    pid, block, peers = read_pid(node.log), None, None
    if pid is not None:
        with suppress(NodeFailed):
            block, peers = node.height(), node.connections()
    return ValidatorStatus(node.log.stem, node.rpc, node.grpc, node.rest, pid, block, peers)


def _has_advanced(node: Wasmd, height: int, peers: int) -> bool:
    if not node.process.is_running():
        raise NodeFailed(f"{node.home.name} ended before the chain made blocks", log=node.log)
    with suppress(NodeFailed):
        return node.height() >= height and node.connections() >= peers
    return False


def _heights(nodes: Sequence[Wasmd]) -> list[int]:
    heights = []
    for node in nodes:
        with suppress(NodeFailed):
            heights.append(node.height())
    return heights
