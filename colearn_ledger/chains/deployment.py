"""The result of deploying the contract on any chain."""

from __future__ import annotations

from dataclasses import dataclass

from colearn_ledger.protocol import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentReceipt:
    """A deployed contract: its address, its transaction and block, and the gas it cost."""

    contract: Account
    chain_id: int | str
    transaction: str
    block: int
    cost: int
