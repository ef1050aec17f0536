"""How a Cosmos chain is used, and whether it is the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from colearn_ledger.chains.cosmos.node import GrpcConfig, Node
from colearn_ledger.chains.errors import WrongChain

__all__ = ["CosmosConfig", "SenderConfig", "check_chain"]


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """How transactions are paid for, numbered and waited for.

    Args:
        gas_ceiling: gas that no single transaction may exceed.
        gas_headroom: by how much a gas limit exceeds what was simulated.
        gas_margin: gas on top of that: a ballot may turn out to be the last of its round, and then
            also closes it. Cosmos chains charge for the limit, not for what is used.
        price_ceiling: how many times the network's gas price may be paid where a node wants more;
            where that is 0, what a unit of gas may cost.
        full_patience: seconds to wait for room in a node's mempool.
        journal: the folder of what was sent; the user's data folder by default. Processes that
            use the same key have to use the same one.
    """

    gas_ceiling: int = 30_000_000
    gas_headroom: float = 1.4
    gas_margin: int = 80_000
    price_ceiling: float = 5.0
    full_patience: float = 60.0
    journal: Path | None = None


@dataclass(frozen=True, slots=True)
class CosmosConfig:
    """How a chain is used.

    Args:
        chain_id: the chain that it has to be; any if ``None``.
        sending: how transactions are paid for.
        poll_seconds: how often a waiting ledger looks for a new block.
        block_range: blocks asked for events at once.
        grpc: how patiently the node is asked.
    """

    chain_id: str | None = None
    sending: SenderConfig = field(default_factory=SenderConfig)
    poll_seconds: float = 0.25
    block_range: int = 1_000_000
    grpc: GrpcConfig = field(default_factory=GrpcConfig)


def check_chain(node: Node, wanted: str | None) -> str:
    """Return the id of a node's chain.

    Raises:
        WrongChain: it is not the one that is wanted.
    """
    found, _ = node.latest()
    if wanted not in (None, found):
        raise WrongChain(
            f"{node.name} is on chain {found[:60]} and chain {wanted} is wanted; connect to a node "
            "of that chain, or correct the network's profile"
        )
    return found
