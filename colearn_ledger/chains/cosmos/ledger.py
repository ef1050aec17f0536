"""CosmosLedger: the CosmWasm contract as a `colearn_ledger.ledger.Ledger`.

The ledger's time is that of the last block, and queries are answered as of the last block. A block
is final once it is there.
"""

from __future__ import annotations

import time
from typing import Self

from colearn_ledger.chains.contract_ledger import ContractLedger
from colearn_ledger.chains.cosmos.calls import Calls, Queries
from colearn_ledger.chains.cosmos.config import CosmosConfig, check_chain
from colearn_ledger.chains.cosmos.deploying import deploy_contract
from colearn_ledger.chains.cosmos.deployment import Deployment
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.cosmos.wire import account_to_wire
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.networks.profiles import CosmosTerms
from colearn_ledger.protocol import (
    Account,
    ExperimentId,
)

__all__ = ["CosmosLedger"]


class CosmosLedger(ContractLedger):
    """One account's view of the contract; implements `colearn_ledger.ledger.Ledger`."""

    _calls = Calls
    _queries = Queries
    _deployment: Deployment

    @classmethod
    def connect(
        cls,
        terms: CosmosTerms,
        contract: Account,
        wallet: Wallet,
        *,
        config: CosmosConfig | None = None,
    ) -> Self:
        """Connect to a deployed contract.

        Args:
            terms: where the chain is, and what it costs.
            contract: the contract's address.
            wallet: whose view is returned.
            config: how the chain is used.

        Raises:
            WrongChain: the node is on another chain than ``config`` says.
            WrongContract: this package's contract is not at the address.
            LedgerUnavailable: the node can not be reached.
        """
        config = config or CosmosConfig()
        node = Node(terms.grpc, config.grpc)
        chain_id = check_chain(node, config.chain_id)
        address = Account(account_to_wire(contract, "contract"))
        sender = Sender(node, chain_id, terms, config.sending)
        return cls(Deployment(node, address, config, sender), wallet)

    @classmethod
    def deploy(
        cls, terms: CosmosTerms, wallet: Wallet, *, config: CosmosConfig | None = None
    ) -> Self:
        """Deploy the contract, paid for by ``wallet``, and connect to it.

        Raises:
            WrongChain, EmptyWallet, TransactionFailed, LedgerUnavailable: as `deploy_contract`.
        """
        done = deploy_contract(terms, wallet, config=config)
        return cls.connect(terms, done.contract, wallet, config=config)

    @property
    def account(self) -> Account:
        """The account that this view acts for."""
        return self._deployment.sender.address(self._wallet)

    def now(self) -> int:
        """Return the last block's time."""
        return self._deployment.node.latest()[1].time

    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        found = self._deployment.events.events(experiment, after=after, limit=limit)
        if not found:
            self.experiment(experiment)  # an unknown one is told
        return found

    def wait_for_change(self, timeout: float) -> None:
        """Return when there is a block since the last such wait, or after ``timeout`` seconds."""
        ends = time.monotonic() + timeout
        while (height := self._deployment.node.latest()[1].height) == self._seen:
            left = ends - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(self._deployment.config.poll_seconds, left))
        self._seen = height
