"""Settings for a connection to a Cosmos chain."""

from __future__ import annotations

from dataclasses import dataclass, field

from colearn_ledger.chains.config import SenderConfig
from colearn_ledger.chains.cosmos.node import GrpcConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CosmosSenderConfig(SenderConfig):
    """Limits on the cost of transactions on a Cosmos chain, in addition to those of every chain.

    Cosmos chains charge for the gas limit, not for the gas used. On wasmd, the ballot that closes a
    round and draws the next proposer needs 54,700 gas more than the ballot before it, and 27,600
    more for each further proposer to draw.

    Args:
        slot_margin: gas on top of ``gas_margin`` for each slot after the first, in calls that may
            turn out to begin a round with that many proposers.
        call_ceilings: factor on the ceilings in `colearn_ledger.chains.cosmos.gas`, which limit
            each kind of call; raise it on chains where the same calls need more gas.
        price_ceiling: how many times the network's gas price may be paid if a node demands more;
            the most that a unit of gas may cost if that price is 0.
        full_patience: seconds to wait for room in a node's mempool.
    """

    gas_ceiling: int = 30_000_000
    gas_headroom: float = 1.4
    gas_margin: int = 80_000
    slot_margin: int = 28_000
    call_ceilings: float = 1.0
    price_ceiling: float = 5.0
    full_patience: float = 60.0


@dataclass(frozen=True, slots=True)
class CosmosConfig:
    """Settings for a connection to a Cosmos chain.

    Args:
        chain_id: the chain that the node must be on. Without it the ledger only reads.
        sending: limits and settings for transactions.
        poll_seconds: fewest seconds between two checks for a new block, unless the node announces
            blocks. Checks adapt to the time between blocks, up to 16 times as many seconds.
        websocket: the address to subscribe to new blocks at (``ws://host:26657/websocket``);
            ``None`` for polling only.
        block_range: number of blocks in one request for events.
        grpc: timeouts and retries of requests. Of several nodes, the next one is asked instead of
            the same one for long.
        agree: number of nodes that have to give the same answer.
    """

    chain_id: str | None = None
    sending: CosmosSenderConfig = field(default_factory=CosmosSenderConfig)
    poll_seconds: float = 0.25
    websocket: str | None = None
    block_range: int = 1_000_000
    grpc: GrpcConfig = field(default_factory=GrpcConfig)
    agree: int = 1
