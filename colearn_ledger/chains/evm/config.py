"""How a chain is used, and whether it is the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass, field

from colearn_ledger.chains.errors import WrongChain
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.sender import SenderConfig

__all__ = ["EvmConfig", "checked_chain"]


@dataclass(frozen=True, slots=True)
class EvmConfig:
    """How a chain is used.

    Args:
        chain_id: the chain that it has to be; any if ``None``.
        sending: how transactions are paid for.
        poll_seconds: how often a waiting ledger looks for a new block, unless it is told.
        log_range: blocks asked for events at once; providers bound it.
        websocket: where the node tells of new blocks: ``auto`` for its own address, if it offers
            WebSocket there, ``off`` for polling only, or another address.
        http: how patiently the node is asked.
    """

    chain_id: int | None = None
    sending: SenderConfig = field(default_factory=SenderConfig)
    poll_seconds: float = 1.0
    log_range: int = 2_000
    websocket: str = "auto"
    http: HttpConfig = field(default_factory=HttpConfig)


def checked_chain(node: Node, wanted: int | None) -> int:
    """Return the number of a node's chain.

    Raises:
        WrongChain: it is not the one that is wanted.
    """
    found = node.chain_id()
    if wanted not in (None, found):
        raise WrongChain(
            f"{node.name} is on chain {found} and chain {wanted} is wanted; connect to a node of "
            "that chain, or correct the network's profile"
        )
    return found
