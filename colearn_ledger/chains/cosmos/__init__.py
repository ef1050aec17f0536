"""The CosmWasm contract: `CosmosLedger` on any Cosmos chain with CosmWasm.

Needs the extra ``cosmos``.
"""

from __future__ import annotations

from colearn_ledger.chains.cosmos.config import CosmosConfig, CosmosSenderConfig
from colearn_ledger.chains.cosmos.errors import FeeTooHigh
from colearn_ledger.chains.cosmos.ledger import CosmosLedger
from colearn_ledger.chains.cosmos.node import GrpcConfig
from colearn_ledger.chains.errors import (
    BadAnswer,
    BudgetSpent,
    ChainError,
    EmptyWallet,
    GasTooHigh,
    MissingChainId,
    NodeRefused,
    TransactionFailed,
    TransactionLost,
    WrongChain,
    WrongContract,
)

__all__ = [
    "BadAnswer",
    "BudgetSpent",
    "ChainError",
    "CosmosConfig",
    "CosmosLedger",
    "CosmosSenderConfig",
    "EmptyWallet",
    "FeeTooHigh",
    "GasTooHigh",
    "GrpcConfig",
    "MissingChainId",
    "NodeRefused",
    "TransactionFailed",
    "TransactionLost",
    "WrongChain",
    "WrongContract",
]
