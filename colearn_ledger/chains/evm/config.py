"""Settings for a connection to an EVM chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from colearn_ledger.chains.errors import WrongChain
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.chains.evm.node import Node


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """Limits on the cost of transactions, and settings for tracking them.

    Args:
        gas_ceiling: the most gas of a single transaction.
        gas_headroom: the factor by which a gas limit exceeds the estimate, because the state may
            change in between.
        gas_margin: gas on top of that: a ballot may turn out to be the last of its round, and then
            also closes the round and begins the next. Unused gas costs nothing.
        fee_seconds: seconds for which the last known fees are reused.
        max_fee: the most that a unit of gas may cost, tip included, in wei.
        max_tip: the most that the tip may be, in wei per unit of gas.
        fee_patience: seconds to wait for the price to fall below ``max_fee``.
        bump_after: seconds without inclusion in a block after which a transaction is replaced by
            one that offers an eighth more.
        confirmations: number of blocks, including its own, after which a transaction counts. The
            state is read at the same depth.
        daily_budget: the most that the transactions of one key may cost a day, in wei; no limit if
            ``None``.
        journal: the folder of the journals of transactions; the user's data folder by default.
            Processes that use the same key have to use the same folder.
    """

    gas_ceiling: int = 12_000_000
    gas_headroom: float = 1.3
    gas_margin: int = 200_000
    fee_seconds: float = 12.0
    max_fee: int = 500_000_000_000
    max_tip: int = 10_000_000_000
    fee_patience: float = 60.0
    bump_after: float = 30.0
    confirmations: int = 1
    daily_budget: int | None = None
    journal: Path | None = None


@dataclass(frozen=True, slots=True)
class EvmConfig:
    """Settings for a connection to an EVM chain.

    Args:
        chain_id: the chain that the node must be on. Without it the ledger only reads.
        sending: limits and settings for transactions.
        poll_seconds: seconds between two checks for a new block, unless the node announces blocks.
        log_range: number of blocks in one request for events; providers limit it.
        websocket: the address to subscribe to new blocks at: ``auto`` for the node's own address,
            ``off`` for polling only, or another address.
        http: timeouts and retries of requests.
    """

    chain_id: int | None = None
    sending: SenderConfig = field(default_factory=SenderConfig)
    poll_seconds: float = 1.0
    log_range: int = 2_000
    websocket: str = "auto"
    http: HttpConfig = field(default_factory=HttpConfig)


def check_chain(node: Node, wanted: int | None) -> int:
    """Return the id of a node's chain.

    Raises:
        WrongChain: the node is on another chain than ``wanted``.
    """
    found = node.chain_id()
    if wanted not in (None, found):
        raise WrongChain(
            f"{node.name} is on chain {found} and chain {wanted} is wanted; connect to a node of "
            "that chain, or correct the network's profile"
        )
    return found
