"""Deploying the contract, with every check that can be made before a transaction is paid for."""

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
    """A contract that was deployed: where, of which code, by which transaction, for what gas.

    ``cost`` is the gas of storing the code and making the contract together.
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
    """Store this package's contract on a chain, and make an instance of it without an admin.

    Args:
        access: where the chain is, and what it costs.
        wallet: who pays.
        config: how the chain is used.
        timeout: seconds to wait for each of two transactions; for ever if ``None``.
        on_sent: called with each transaction's hash once it is on its way.

    Raises:
        MissingChainId: ``config`` does not contain the chain's id.
        WrongChain: the node is on another chain; nothing was sent.
        EmptyWallet: the wallet can not pay for it; nothing was sent.
        TransactionFailed: the chain did not take the contract.
        WrongContract: what stands at the new address is something else: a faulty node.
        LedgerUnavailable: the node can not be reached, or a transaction is in no block yet.
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
    """Make a contract of code that is stored already; no admin.

    Raises:
        TransactionFailed: the chain did not make it.
        LedgerUnavailable: the node can not be reached, or the transaction is in no block yet.
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
