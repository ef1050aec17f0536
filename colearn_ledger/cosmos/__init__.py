"""The CosmWasm contract: `CosmosLedger` on any Cosmos chain with CosmWasm.

Needs the extra ``cosmos``.
"""

from __future__ import annotations

from colearn_ledger.chain_errors import (
    BadAnswer,
    ChainError,
    EmptyWallet,
    GasTooHigh,
    NodeRefused,
    TransactionFailed,
    TransactionLost,
    WrongChain,
    WrongContract,
)
from colearn_ledger.cosmos.config import CosmosConfig, SenderConfig
from colearn_ledger.cosmos.errors import FeeTooHigh
from colearn_ledger.cosmos.ledger import CosmosLedger
from colearn_ledger.cosmos.node import GrpcConfig

__all__ = [
    "BadAnswer",
    "ChainError",
    "CosmosConfig",
    "CosmosLedger",
    "EmptyWallet",
    "FeeTooHigh",
    "GasTooHigh",
    "GrpcConfig",
    "NodeRefused",
    "SenderConfig",
    "TransactionFailed",
    "TransactionLost",
    "WrongChain",
    "WrongContract",
]
