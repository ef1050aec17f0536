"""Subscribe to the new blocks of a Cosmos node, at the WebSocket of its CometBFT or Tendermint.

A node announces a block once it has the block's state. The header contains everything that is
needed of a block except its hash. Blocks are final, so the height identifies one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from colearn_ledger.chains.cosmos.answers import check_text, field_of, parse_number
from colearn_ledger.chains.cosmos.records import Block, decode_time
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.subscription import Dialect, Subscription

_QUERY = {"query": "tm.event='NewBlockHeader'"}
"""Selects headers. Whole blocks may have megabytes."""


def find_websocket(rpc: str) -> str:
    """Return the address of the WebSocket of a node, by the URL of its RPC (port 26657)."""
    return f"ws{rpc.removeprefix('http').rstrip('/')}/websocket"


def subscribe(url: str, chain_id: str) -> Subscription[Block]:
    """Return a subscription at a node's WebSocket; it begins when it is used.

    Args:
        url: the address of the WebSocket.
        chain_id: the chain that the node must be on.
    """
    return Subscription(lambda: url, Dialect("subscribe", _QUERY, partial(_read_message, chain_id)))


def _read_message(chain_id: str, message: Mapping[str, Any]) -> Block | None:
    """Return the block of a message, ``None`` if it is another message.

    Raises:
        BadAnswer: the block is malformed, or of another chain.
    """
    result = message.get("result")
    data = result.get("data") if isinstance(result, Mapping) else None
    if data is None:
        return None
    header = field_of(field_of(data, "value"), "header")
    if field_of(header, "chain_id") != chain_id:
        raise BadAnswer(f"the node announced a block of another chain than {chain_id}")
    height = parse_number(field_of(header, "height"))
    if height < 1:
        raise BadAnswer("the node announced a block without a height")
    return Block(height, "", decode_time(check_text(field_of(header, "time"))))
