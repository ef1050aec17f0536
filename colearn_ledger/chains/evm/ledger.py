"""EvmLedger: the Solidity contract as a `colearn_ledger.ledger.Ledger`.

The ledger's time is that of the last block, and queries are answered as of the last block. Start a
development node so that it makes blocks by the clock (anvil: ``--block-time 1``); otherwise its
time does not advance between transactions. `EmbeddedChain` needs no such setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, overload

from colearn_ledger.arguments import check_account
from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.contract_ledger import ContractLedger, ContractView
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.config import EvmConfig
from colearn_ledger.chains.evm.deployment import DeployedContract, deploy_contract
from colearn_ledger.chains.evm.encoder import EvmEncoder
from colearn_ledger.chains.evm.node_group import open_node
from colearn_ledger.chains.evm.sender import Sender
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account, SigningScheme
from colearn_ledger.text.urls import Urls

if TYPE_CHECKING:
    from web3.providers.base import BaseProvider


class EvmLedger(ContractLedger[bytes]):
    """The contract on an EVM chain; implements `colearn_ledger.ledger.Ledger`."""

    @overload
    @classmethod
    def connect(
        cls, endpoint: Urls | BaseProvider, contract: Account, *, config: EvmConfig | None = None
    ) -> ContractView[bytes]: ...

    @overload
    @classmethod
    def connect(
        cls,
        endpoint: Urls | BaseProvider,
        contract: Account,
        wallet: Wallet,
        *,
        config: EvmConfig | None = None,
    ) -> Self: ...

    @classmethod
    def connect(
        cls,
        endpoint: Urls | BaseProvider,
        contract: Account,
        wallet: Wallet | None = None,
        *,
        config: EvmConfig | None = None,
    ) -> Self | ContractView[bytes]:
        """Connect to a deployed contract.

        Args:
            endpoint: the URL of a node, the URLs of several nodes, or a provider of web3.py.
            contract: the contract's address.
            wallet: signs transactions; without one, the result is a view that only reads.
            config: settings for the connection.

        Raises:
            InvalidParameter: ``contract`` is not an address.
            WrongChain: each node is on another chain than ``config`` requires.
            WrongContract: this package's contract is not at the address.
            LedgerUnavailable: the node cannot be reached.
        """
        config = config or EvmConfig()
        node = open_node(endpoint, config)
        chain_id = check_chain_id(node.name, node.chain_id(), config.chain_id)
        address = check_account(contract, SigningScheme.EIP712, "contract")
        deployed = DeployedContract(node, address, config, Sender(node, chain_id, config.sending))
        deployed.check()
        encoder = EvmEncoder(load_artifact().abi)
        if wallet is None:
            return ContractView(encoder, deployed)
        return cls(encoder, deployed, wallet)

    @classmethod
    def deploy(
        cls, endpoint: Urls | BaseProvider, wallet: Wallet, *, config: EvmConfig | None = None
    ) -> Self:
        """Deploy the contract at the expense of ``wallet``, and connect to it.

        Raises:
            WrongChain: the node is on another chain than ``config`` requires.
            EmptyWallet: the wallet cannot pay for it.
            TransactionFailed: the chain refused the contract.
            LedgerUnavailable: the node cannot be reached.
        """
        config = config or EvmConfig()
        deployed = deploy_contract(endpoint, wallet, config=config)
        return cls.connect(endpoint, deployed.contract, wallet, config=config)
