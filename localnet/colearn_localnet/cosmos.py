"""A local Cosmos chain with CosmWasm: one wasmd, or several validators that replace each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from colearn_localnet.cosmos_faucet import pay
from colearn_localnet.cosmos_genesis import (
    ACCOUNTS,
    CHAIN_ID,
    DENOMINATION,
    GAS_PRICE,
    KEYS,
    PREFIX,
    found_chain,
    homes_of,
)
from colearn_localnet.errors import NetStateError, NodeFailed
from colearn_localnet.install import WASMD, find_binary
from colearn_localnet.node import HEALTHY_WITHIN
from colearn_localnet.processes import wait_until
from colearn_localnet.wasmd import Wasmd

__all__ = ["BLOCK_TIME", "CosmosChain"]

BLOCK_TIME = 0.5
"""Seconds between blocks, if nothing else is said."""

_FIRST_BLOCKS = 2


class CosmosChain:
    """A chain in a folder; as a context manager it is started on entry and stopped on exit.

    Args:
        folder: keeps all of it, made at the first start.
        validators: how many; None takes those the folder has, or one. It can not change later.
        block_time: seconds from a block to the next one's proposal.
        host: IPv4 address that all nodes listen on.
        logs: folder for their logs; None puts each into its node's home.
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
        block_time: float = BLOCK_TIME,
        host: str = "127.0.0.1",
        logs: Path | None = None,
    ) -> None:
        self._folder = folder
        self._validators = validators or len(homes_of(folder)) or 1
        names = [f"wasmd-{number}" for number in range(1, self._validators + 1)]
        self._block_time = block_time
        self._nodes = tuple(
            Wasmd(
                folder / name,
                block_time=block_time,
                host=host,
                log=logs / f"{name}.log" if logs else None,
            )
            for name in names
        )

    @property
    def nodes(self) -> tuple[Wasmd, ...]:
        """Its validators."""
        return self._nodes

    @property
    def node(self) -> Wasmd:
        """The first validator that answers; the first of all if none does."""
        for node in self._nodes:
            with suppress(NodeFailed):
                node.height()
                return node
        return self._nodes[0]

    @property
    def rpc(self) -> str:
        """URL of the first validator's RPC."""
        return self._nodes[0].rpc

    @property
    def rest(self) -> str:
        """URL of the first validator's REST server."""
        return self._nodes[0].rest

    @property
    def grpc(self) -> str:
        """URL of the first validator's gRPC server."""
        return self._nodes[0].grpc

    def height(self) -> int:
        """Return the number of the newest block that a validator knows.

        Raises:
            NodeFailed: none answers.
        """
        heights = _heights(self._nodes)
        if not heights:
            raise NodeFailed("no node of the chain answers", log=self._nodes[0].log)
        return max(heights)

    def start(self, *, started: Callable[[Wasmd], object] = lambda node: None) -> Self:
        """Start the validators that do not run, and wait until all make blocks.

        When it fails, those that it started are ended again.

        Args:
            started: is told of each that had to be started.

        Raises:
            InstallFailed: there is no wasmd.
            NetStateError: the folder's chain has another number of validators.
            NodeFailed: one did not start, or the chain makes no blocks.
        """
        self._found()
        missing = [node for node in self._nodes if not node.attach()]
        chosen: list[int] = []
        for node in missing:
            chosen += node.choose_ports(besides=chosen)
        for node in missing:
            node.know([other.peer for other in self._nodes if other is not node])
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

    def _found(self) -> None:
        homes = homes_of(self._folder)
        if not homes:
            homes = found_chain(self._folder, self._validators, find_binary(WASMD))
        if len(homes) != self._validators:
            raise NetStateError(
                "the number of a chain's validators stays what it was at its first block:"
                f" {len(homes)} in {self._folder}, and not {self._validators}"
            )

    def _await_blocks(self) -> None:
        """Wait until every validator knows all others and has a further block, past the first."""
        seen = {node: node.height() for node in self._nodes}

        def all_go_on() -> bool:
            return all(
                _goes_on(node, max(_FIRST_BLOCKS, height + 1), len(seen) - 1)
                for node, height in seen.items()
            )

        seconds = HEALTHY_WITHIN + 3 * self._block_time
        if not wait_until(all_go_on, seconds=seconds):
            raise NodeFailed(
                f"the chain's validators do not make blocks together after {seconds:g} s",
                log=self._nodes[0].log,
            )

    def fund(self, address: str, amount: Decimal) -> Decimal:
        """Send `DENOMINATION` from the faucet to an address, and wait for its block.

        Args:
            address: bech32 with the chain's prefix.
            amount: whole and positive, in `DENOMINATION`.

        Returns:
            its balance then.

        Raises:
            AddressRefused: no address, or no amount.
            NodeFailed: no validator answers, or the payment failed.
        """
        return pay(self._nodes[0].home, self.node, address, amount, seconds=30 + self._block_time)

    def stop(self) -> None:
        """Stop all validators."""
        for node in self._nodes:
            node.stop()

    def kill(self) -> None:
        """End all at once, as `kill -9` does; `start` starts them again."""
        for node in self._nodes:
            node.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _goes_on(node: Wasmd, height: int, peers: int) -> bool:
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
