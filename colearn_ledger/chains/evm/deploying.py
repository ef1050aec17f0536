"""Deploy the contract, after every check that is possible before a transaction is paid for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from web3.providers.base import BaseProvider

from colearn_ledger.chains.errors import (
    EmptyWallet,
    MissingChainId,
    NodeRefused,
    TransactionFailed,
    WrongContract,
)
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.config import EvmConfig, check_chain
from colearn_ledger.chains.evm.errors import Reverted
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.sender import Sender
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account

__all__ = ["Deployed", "deploy_contract"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed contract: its address, transaction and block, and the gas it cost."""

    contract: Account
    chain_id: int
    transaction: str
    block: int
    cost: int


def deploy_contract(
    endpoint: str | BaseProvider,
    wallet: Wallet,
    *,
    config: EvmConfig,
    timeout: float | None = None,
    on_sent: Callable[[str], None] | None = None,
) -> Deployed:
    """Deploy this package's contract.

    Args:
        endpoint: the URL of a node, or a provider of web3.py.
        wallet: the account that pays.
        config: settings for the connection.
        timeout: seconds to wait for the transaction to be included; without limit if ``None``.
        on_sent: called with the transaction's hash once it is sent.

    Raises:
        MissingChainId: ``config`` does not contain the chain's id.
        WrongChain: the node is on another chain than ``config`` requires; nothing was sent.
        EmptyWallet: the wallet cannot pay for the deployment; nothing was sent.
        TransactionFailed: the chain refused the contract.
        WrongContract: the new address has another contract; the node is faulty.
        LedgerUnavailable: the node cannot be reached, or the transaction is not in a block yet.
    """
    node = Node(endpoint, http=config.http)
    chain_id = check_chain(node, config.chain_id)
    if config.chain_id is None:
        raise MissingChainId(chain_id)
    artifact = load_artifact()
    _check_balance(node, wallet.address, artifact.bytecode)
    sender = Sender(node, chain_id, config.sending)
    try:
        sent = sender.send(wallet, None, artifact.bytecode)
    except Reverted as refusal:
        raise TransactionFailed("the chain does not take the contract") from refusal
    if on_sent is not None:
        on_sent(sent.hash)
    receipt = sender.wait(sent, timeout)
    if not receipt.succeeded or receipt.contract is None:
        raise TransactionFailed(f"deploying the contract failed in transaction {sent.hash}")
    if not artifact.is_deployed_as(node.code(receipt.contract)):
        raise WrongContract(
            f"transaction {sent.hash} left another contract at {receipt.contract} than was sent; "
            "the node can not be trusted, or its chain was reorganised: look again later"
        )
    contract = Account(receipt.contract)
    return Deployed(contract, chain_id, receipt.transaction, receipt.block, receipt.gas_used)


def _check_balance(node: Node, account: Account, bytecode: bytes) -> None:
    """Refuse to deploy if the wallet cannot pay for it at current fees."""
    balance = node.balance(account)
    block = node.latest()
    try:
        gas = node.estimate_gas({"from": account, "data": bytecode, "value": 0})
        tip = node.tip()
    except NodeRefused:
        if balance == 0:
            raise EmptyWallet(account, 0, block.base_fee * 21_000) from None
        raise
    except Reverted as refusal:
        raise TransactionFailed("the chain does not take the contract") from refusal
    needed = gas * (block.base_fee + tip)
    if balance < needed:
        raise EmptyWallet(account, balance, needed)
