"""The Solidity contract: `EvmLedger` on any EVM chain.

Needs the extra ``evm``. `colearn_ledger.chains.evm.embedded` has a chain that runs in this process.
"""

from __future__ import annotations

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
from colearn_ledger.chains.evm.config import EvmConfig, EvmSenderConfig
from colearn_ledger.chains.evm.errors import FeeTooHigh
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.chains.evm.ledger import EvmLedger

__all__ = [
    "BadAnswer",
    "BudgetSpent",
    "ChainError",
    "EmptyWallet",
    "EvmConfig",
    "EvmLedger",
    "EvmSenderConfig",
    "FeeTooHigh",
    "GasTooHigh",
    "HttpConfig",
    "MissingChainId",
    "NodeRefused",
    "TransactionFailed",
    "TransactionLost",
    "WrongChain",
    "WrongContract",
]
