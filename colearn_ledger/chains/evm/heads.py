"""Subscribe to the new blocks of an EVM node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colearn_ledger.chains.evm.node import Block, read_block
from colearn_ledger.chains.subscription import Dialect, Subscription


def subscribe(choose_url: Callable[[], str]) -> Subscription[Block]:
    """Return a subscription at the WebSocket of a node; it begins when it is used."""
    return Subscription(choose_url, Dialect("eth_subscribe", ["newHeads"], _read_message))


def _read_message(message: Mapping[str, Any]) -> Block | None:
    """Return the block of a message, ``None`` if it is another message.

    Raises:
        BadAnswer: the block is malformed.
    """
    params = message.get("params")
    header = params.get("result") if isinstance(params, Mapping) else None
    return read_block(header) if isinstance(header, Mapping) else None
