"""The endpoint, address prefix and gas price of a Cosmos chain."""

from __future__ import annotations

from dataclasses import dataclass

from colearn_ledger.text.urls import Urls


@dataclass(frozen=True, slots=True)
class CosmosAccess:
    """The settings needed to reach a Cosmos chain and to pay on it.

    Args:
        grpc: the URL of a node's gRPC, ``http://host:port`` or ``https://host``; or those of
            several nodes.
        prefix: the beginning of the chain's addresses.
        denomination: the coin that fees are paid in.
        gas_price: the price of one unit of gas in that coin; 0 where gas is free.
    """

    grpc: Urls
    prefix: str
    denomination: str
    gas_price: float
