"""EvmLedger: the Solidity contract as a `colearn_ledger.ledger.Ledger`.

The ledger's time is that of the last block, and queries are answered as of the last block. A
development node that makes blocks only for transactions must be told to make them by the clock
(anvil: ``--block-time 1``), or its time stands still; `EmbeddedChain` needs no such help.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

from web3.providers.base import BaseProvider

from colearn_ledger.chains.contract_ledger import ContractLedger
from colearn_ledger.chains.evm.calls import Calls, Queries
from colearn_ledger.chains.evm.config import EvmConfig, check_chain
from colearn_ledger.chains.evm.deploying import deploy_contract
from colearn_ledger.chains.evm.deployment import Deployment
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.sender import Sender
from colearn_ledger.chains.evm.wire import account_to_wire
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import (
    Account,
    Ballot,
    ExperimentId,
)

__all__ = ["EvmLedger"]


class EvmLedger(ContractLedger):
    """One account's view of the contract; implements `colearn_ledger.ledger.Ledger`."""

    _calls = Calls
    _queries = Queries
    _deployment: Deployment

    @classmethod
    def connect(
        cls,
        endpoint: str | BaseProvider,
        contract: Account,
        wallet: Wallet,
        *,
        config: EvmConfig | None = None,
    ) -> Self:
        """Connect to a deployed contract.

        Args:
            endpoint: the URL of a node, or a provider of web3.py.
            contract: the contract's address.
            wallet: whose view is returned.
            config: how the chain is used.

        Raises:
            WrongChain: the node is on another chain than ``config`` says.
            WrongContract: this package's contract is not at the address.
            LedgerUnavailable: the node can not be reached.
        """
        config = config or EvmConfig()
        node = Node(endpoint, http=config.http)
        sender = Sender(node, check_chain(node, config.chain_id), config.sending)
        address = Account(account_to_wire(contract, "contract"))
        deployment = Deployment(node, address, config, sender)
        deployment.check()
        return cls(deployment, wallet)

    @classmethod
    def deploy(
        cls, endpoint: str | BaseProvider, wallet: Wallet, *, config: EvmConfig | None = None
    ) -> Self:
        """Deploy the contract, paid for by ``wallet``, and connect to it.

        Raises:
            WrongChain: the node is on another chain than ``config`` says.
            EmptyWallet: the wallet can not pay for it.
            TransactionFailed: the chain did not take the contract.
            LedgerUnavailable: the node can not be reached.
        """
        config = config or EvmConfig()
        deployed = deploy_contract(endpoint, wallet, config=config)
        return cls.connect(endpoint, deployed.contract, wallet, config=config)

    @property
    def account(self) -> Account:
        """The account that this view acts for."""
        return self._wallet.address

    def now(self) -> int:
        """Return the time of the block in the making, or of the last one if that is not told."""
        return self._deployment.node.upcoming().time

    def ballots_of(
        self, experiment: ExperimentId, rounds: Sequence[int], start: int = 0, limit: int = 100
    ) -> list[list[Ballot]]:
        """Return the same page of `ballots` for each of several rounds, in batches."""
        queries = [Queries.ballots(experiment, index, start, limit) for index in rounds]
        return self._deployment.ask_all(queries)

    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        return self._deployment.events.events(
            experiment,
            lambda: self.experiment(experiment).created_at,
            after=after,
            limit=limit,
        )

    def wait_for_change(self, timeout: float) -> None:
        """Return when there is a block since the last such wait, or after ``timeout`` seconds."""
        deployment = self._deployment
        ends = time.monotonic() + timeout
        pause, told = deployment.config.poll_seconds, deployment.heads
        told.listen()
        while (head := told.number or deployment.node.block_number()) == self._seen:
            left = ends - time.monotonic()
            if left <= 0:
                return
            told.wait_past(head, min(pause, left))
        self._seen = head
