"""Subscribe to the new blocks of an EVM node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colearn_ledger.chains.evm.node import Block, read_block
from colearn_ledger.chains.subscription import Dialect, Subscription


def subscribe(url: str) -> Subscription[Block]:
    """Return a subscription at a node's WebSocket; it begins when it is used."""
    return Subscription(url, Dialect("eth_subscribe", ["newHeads"], _read_message))


def _read_message(message: Mapping[str, Any]) -> Block | None:
    """Return the block of a message, ``None`` if it is another message.

    Raises:
        BadAnswer: the block is malformed.
    """
    params = message.get("params")
    header = params.get("result") if isinstance(params, Mapping) else None
    return read_block(header) if isinstance(header, Mapping) else None
