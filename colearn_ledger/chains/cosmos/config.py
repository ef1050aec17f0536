"""Settings for a connection to a Cosmos chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from colearn_ledger.chains.cosmos.node import GrpcConfig, Node
from colearn_ledger.chains.errors import WrongChain


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """Limits on the cost of transactions, and settings for tracking them.

    Args:
        gas_ceiling: the most gas of a single transaction.
        call_ceilings: factor on the ceilings in `colearn_ledger.chains.cosmos.gas`, which limit
            each kind of call; raise it on chains where the same calls need more gas.
        gas_headroom: the factor by which a gas limit exceeds the simulated gas.
        gas_margin: gas on top of that: a ballot may turn out to be the last of its round, and then
            also closes it. Cosmos chains charge for the limit, not for the gas used.
        price_ceiling: how many times the network's gas price may be paid if a node demands more;
            the most that a unit of gas may cost if that price is 0.
        full_patience: seconds to wait for room in a node's mempool.
        daily_budget: the most that the transactions of one key may cost a day, in the network's
            denomination; no limit if ``None``.
        journal: the folder of the journals of transactions; the user's data folder by default.
            Processes that use the same key have to use the same folder.
    """

    gas_ceiling: int = 30_000_000
    call_ceilings: float = 1.0
    gas_headroom: float = 1.4
    gas_margin: int = 80_000
    price_ceiling: float = 5.0
    full_patience: float = 60.0
    daily_budget: int | None = None
    journal: Path | None = None


@dataclass(frozen=True, slots=True)
class CosmosConfig:
    """Settings for a connection to a Cosmos chain.

    Args:
        chain_id: the chain that the node must be on. Without it the ledger only reads.
        sending: limits and settings for transactions.
        poll_seconds: seconds between two checks for a new block.
        block_range: number of blocks in one request for events.
        grpc: timeouts and retries of requests.
    """

    chain_id: str | None = None
    sending: SenderConfig = field(default_factory=SenderConfig)
    poll_seconds: float = 0.25
    block_range: int = 1_000_000
    grpc: GrpcConfig = field(default_factory=GrpcConfig)


def check_chain(node: Node, wanted: str | None) -> str:
    """Return the id of a node's chain.

    Raises:
        WrongChain: the node is on another chain than ``wanted``.
    """
    found, _ = node.latest()
    if wanted not in (None, found):
        raise WrongChain(
            f"{node.name} is on chain {found[:60]} and chain {wanted} is wanted; connect to a node "
            "of that chain, or correct the network's profile"
        )
    return found
