"""Settings for a connection to an EVM chain."""

from __future__ import annotations

from dataclasses import dataclass, field

from colearn_ledger.chains.config import SenderConfig
from colearn_ledger.chains.evm.http_provider import HttpConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EvmSenderConfig(SenderConfig):
    """Limits on the cost of transactions on an EVM chain, in addition to those of every chain.

    Unused gas costs nothing. ``gas_margin`` covers a call that closes a round with 16 proposers and
    begins the next one although its estimate did not: 115,000, and 27,000 for each proposer.

    Args:
        fee_seconds: seconds for which the last known fees are reused.
        max_fee: the most that a unit of gas may cost, tip included, in wei.
        max_tip: the most that the tip may be, in wei per unit of gas.
        fee_patience: seconds to wait for the price to fall below ``max_fee``.
        bump_after: seconds after which a transaction that two new blocks have left out is replaced
            by one that offers an eighth more.
        confirmations: number of blocks, including its own, after which a transaction counts. The
            state is read at the same depth.
    """

    gas_ceiling: int = 12_000_000
    gas_headroom: float = 1.3
    gas_margin: int = 700_000
    fee_seconds: float = 12.0
    max_fee: int = 500_000_000_000
    max_tip: int = 10_000_000_000
    fee_patience: float = 60.0
    bump_after: float = 30.0
    confirmations: int = 1


@dataclass(frozen=True, slots=True)
class EvmConfig:
    """Settings for a connection to an EVM chain.

    Args:
        chain_id: the chain that the node must be on. Without it the ledger only reads.
        sending: limits and settings for transactions.
        poll_seconds: fewest seconds between two checks for a new block, unless the node announces
            blocks. Checks adapt to the time between blocks, up to 16 times as many seconds.
        log_range: number of blocks in one request for events; providers limit it.
        websocket: the address to subscribe to new blocks at: ``auto`` for the node's own address,
            ``off`` for polling only, or another address.
        http: timeouts and retries of requests. Of several nodes, the next one is asked instead of
            the same one again.
        agree: number of nodes that have to give the same answer.
    """

    chain_id: int | None = None
    sending: EvmSenderConfig = field(default_factory=EvmSenderConfig)
    poll_seconds: float = 1.0
    log_range: int = 2_000
    websocket: str = "auto"
    http: HttpConfig = field(default_factory=HttpConfig)
    agree: int = 1
