"""CosmosLedger: the CosmWasm contract as a `colearn_ledger.ledger.Ledger`.

The ledger's time is that of the last block, and queries are answered as of the last block. Every
block is final.
"""

from __future__ import annotations

from typing import Self, overload

from colearn_ledger.arguments import check_account
from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.contract_ledger import ContractLedger, ContractView
from colearn_ledger.chains.cosmos.config import CosmosConfig
from colearn_ledger.chains.cosmos.deployment import DeployedContract, deploy_contract
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder, Message
from colearn_ledger.chains.cosmos.node_group import open_node
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import Account, SigningScheme


class CosmosLedger(ContractLedger[Message]):
    """The contract on a Cosmos chain; implements `colearn_ledger.ledger.Ledger`."""

    @overload
    @classmethod
    def connect(
        cls, access: CosmosAccess, contract: Account, *, config: CosmosConfig | None = None
    ) -> ContractView[Message]: ...

    @overload
    @classmethod
    def connect(
        cls,
        access: CosmosAccess,
        contract: Account,
        wallet: Wallet,
        *,
        config: CosmosConfig | None = None,
    ) -> Self: ...

    @classmethod
    def connect(
        cls,
        access: CosmosAccess,
        contract: Account,
        wallet: Wallet | None = None,
        *,
        config: CosmosConfig | None = None,
    ) -> Self | ContractView[Message]:
        """Connect to a deployed contract.

        Args:
            access: the chain's endpoint and fees.
            contract: the contract's address.
            wallet: signs transactions; without one, the result is a view that only reads.
            config: settings for the connection.

        Raises:
            InvalidParameter: ``contract`` is not an address.
            WrongChain: each node is on another chain than ``config`` requires.
            WrongContract: this package's contract is not at the address.
            LedgerUnavailable: the node cannot be reached.
        """
        config = config or CosmosConfig()
        node = open_node(access.grpc, config)
        chain_id = check_chain_id(node.name, node.chain_id(), config.chain_id)
        address = check_account(contract, SigningScheme.ADR036, "contract")
        sender = Sender(node, chain_id, access, config.sending)
        deployed = DeployedContract(node, address, config, sender)
        if wallet is None:
            return ContractView(CosmosEncoder(), deployed)
        return cls(CosmosEncoder(), deployed, wallet)

    @classmethod
    def deploy(
        cls, access: CosmosAccess, wallet: Wallet, *, config: CosmosConfig | None = None
    ) -> Self:
        """Deploy the contract at the expense of ``wallet``, and connect to it.

        Raises:
            WrongChain, EmptyWallet, TransactionFailed, LedgerUnavailable: as for `deploy_contract`.
        """
        done = deploy_contract(access, wallet, config=config)
        return cls.connect(access, done.contract, wallet, config=config)
