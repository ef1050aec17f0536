"""Deploy the contract, after every check that is possible before a transaction is paid for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from colearn_ledger.chains.cosmos.artifact import load_artifact
from colearn_ledger.chains.cosmos.config import CosmosConfig, check_chain
from colearn_ledger.chains.cosmos.node import Executed, Node
from colearn_ledger.chains.cosmos.sender import Sender
from colearn_ledger.chains.cosmos.transactions import instantiate_action, store_action
from colearn_ledger.chains.errors import (
    BadAnswer,
    EmptyWallet,
    MissingChainId,
    TransactionFailed,
    WrongContract,
)
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import Account

__all__ = ["Deployed", "deploy_contract", "instantiate_contract"]

_LABEL = "colearn"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed contract: its address, code, transaction, block and cost.

    ``cost`` is the gas used to store the code and to create the contract.
    """

    contract: Account
    chain_id: str
    code: int
    transaction: str
    block: int
    cost: int


def deploy_contract(
    access: CosmosAccess,
    wallet: Wallet,
    *,
    config: CosmosConfig | None = None,
    timeout: float | None = None,
    on_sent: Callable[[str], None] | None = None,
) -> Deployed:
    """Store this package's contract on a chain, and create an instance of it without an admin.

    Args:
        access: the chain's endpoint and fees.
        wallet: the account that pays.
        config: settings for the connection.
        timeout: seconds to wait for each of the two transactions; without limit if ``None``.
        on_sent: called with each transaction's hash once it is sent.

    Raises:
        MissingChainId: ``config`` does not contain the chain's id.
        WrongChain: the node is on another chain; nothing was sent.
        EmptyWallet: the wallet cannot pay for the deployment; nothing was sent.
        TransactionFailed: the chain refused the contract.
        WrongContract: the new address has another contract; the node is faulty.
        LedgerUnavailable: the node cannot be reached, or a transaction is not in a block yet.
    """
    config = config or CosmosConfig()
    node = Node(access.grpc, config.grpc)
    chain_id = check_chain(node, config.chain_id)
    if config.chain_id is None:
        raise MissingChainId(chain_id)
    sender = Sender(node, chain_id, access, config.sending)
    account, artifact = sender.address(wallet), load_artifact()
    if access.gas_price and (balance := node.balance(account, access.denomination)) == 0:
        needed = int(access.gas_price * config.sending.gas_margin) + 1
        raise EmptyWallet(account, balance, needed, access.denomination)
    sent = sender.send(wallet, store_action(account, artifact.wasm))
    if on_sent is not None:
        on_sent(sent.hash)
    stored = _succeeded(sender.wait(sent, timeout), "storing the contract's code")
    code = _attribute(stored, "store_code", "code_id")
    if not code.isdecimal():
        raise BadAnswer(f"{node.name} gave {code[:40]!r} as the number of the code")
    deployed = instantiate_contract(
        node, sender, wallet, code=int(code), timeout=timeout, on_sent=on_sent
    )
    info = node.contract(deployed.contract)
    if info is None or info.checksum != artifact.checksum or info.admin:
        raise WrongContract(
            f"transaction {deployed.transaction} left another contract at {deployed.contract} than "
            "was sent; the node can not be trusted"
        )
    return Deployed(
        deployed.contract,
        sender.chain_id,
        int(code),
        deployed.transaction,
        deployed.block,
        deployed.cost + stored.gas_used,
    )


def instantiate_contract(
    node: Node,
    sender: Sender,
    wallet: Wallet,
    *,
    code: int,
    timeout: float | None = None,
    on_sent: Callable[[str], None] | None = None,
) -> Deployed:
    """Create a contract from stored code, without an admin.

    Raises:
        TransactionFailed: the chain refused to create the contract.
        LedgerUnavailable: the node cannot be reached, or the transaction is not in a block yet.
    """
    sent = sender.send(wallet, instantiate_action(sender.address(wallet), code, _LABEL))
    if on_sent is not None:
        on_sent(sent.hash)
    made = _succeeded(sender.wait(sent, timeout), "making the contract")
    contract = Account(_attribute(made, "instantiate", "_contract_address"))
    return Deployed(contract, sender.chain_id, code, made.hash, made.height, made.gas_used)


def _succeeded(executed: Executed, what: str) -> Executed:
    if executed.code:
        raise TransactionFailed(
            f"{what} failed in transaction {executed.hash}: {executed.log[:300]}"
        )
    return executed


def _attribute(executed: Executed, event: str, name: str) -> str:
    for item in executed.events:
        if item.type == event and name in dict(item.attributes):
            return dict(item.attributes)[name]
    raise BadAnswer(f"transaction {executed.hash} has no event {event} with {name}")
