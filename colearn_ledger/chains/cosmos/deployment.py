"""Deploy the contract on a Cosmos chain, and exchange messages with a deployed contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from colearn_ledger.calls import EXPERIMENT
from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.connection import ContractConnection
from colearn_ledger.chains.contract_ledger import Question
from colearn_ledger.chains.cosmos.artifact import load_artifact
from colearn_ledger.chains.cosmos.config import CosmosConfig
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder, Message
from colearn_ledger.chains.cosmos.errors import Refused, find_contract_error
from colearn_ledger.chains.cosmos.event_codec import decode_events
from colearn_ledger.chains.cosmos.events import EventReader
from colearn_ledger.chains.cosmos.gas import find_experiment
from colearn_ledger.chains.cosmos.heads import subscribe
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.node_group import open_node
from colearn_ledger.chains.cosmos.origins import read_origins
from colearn_ledger.chains.cosmos.records import Block, ContractInfo, Executed, read_cost
from colearn_ledger.chains.cosmos.sender import Draft, Sender
from colearn_ledger.chains.cosmos.transactions import (
    execute_action,
    instantiate_action,
    store_action,
)
from colearn_ledger.chains.cosmos.wire import error_from_wire
from colearn_ledger.chains.deployment import DeploymentReceipt
from colearn_ledger.chains.errors import (
    BadAnswer,
    EmptyWallet,
    MissingChainId,
    TransactionFailed,
    TransactionMissing,
    WrongContract,
)
from colearn_ledger.chains.heads import Head, Heads
from colearn_ledger.chains.hooks import Sent
from colearn_ledger.chains.journal import Premise
from colearn_ledger.keys.signing import cosmos_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Origin, Receipt, RecordedEvent, TransactionCost
from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.protocol import Account, ExperimentId, LedgerError, UnknownExperiment

_LABEL = "colearn"

T = TypeVar("T")


class DeployedContract(ContractConnection[Refused]):
    """Connection to one contract, shared by all its views.

    Args:
        node: a node of the chain.
        contract: the contract's address.
        config: settings for the connection.
        sender: sends transactions on the chain.

    Raises:
        WrongContract: this package's contract is not at the address.
    """

    node: Node
    sender: Sender

    def __init__(self, node: Node, contract: Account, config: CosmosConfig, sender: Sender) -> None:
        self.node = node
        self.contract = contract
        self.config = config
        self.sender = sender
        self.domain = cosmos_domain(sender.chain_id, contract)
        socket = config.websocket
        subscription = None if socket is None else subscribe(socket, sender.chain_id)
        self.heads = Heads(node.head, config.poll_seconds, subscription)
        sender.heads = self.heads
        self._slots: dict[str, int] = {}
        node.check_with(self.check_node)
        info = self.check_contract(node)
        self.events = EventReader(
            node, contract, lambda: info.created, range_size=config.block_range
        )

    def account_of(self, wallet: Wallet) -> Account:
        """Return the account of a wallet on this chain."""
        return self.sender.address(wallet)

    def now(self) -> int:
        """Return the time of the last block; the node is asked if it may have another one."""
        head = self.heads.refresh()
        return self.node.head().time if head is None else head.time

    def read_events(
        self,
        experiment: ExperimentId,
        created_at: Callable[[], int],
        *,
        after: int,
        limit: int,
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        found = self.events.events(experiment, after=after, limit=limit)
        if not found:
            created_at()  # raises UnknownExperiment
        return found

    def read_costs(self, transactions: Sequence[str]) -> list[TransactionCost]:
        """Return what each of the transactions cost, in one request for each."""
        costs = []
        for name in transactions:
            if (executed := self.node.transaction(name)) is None:
                raise TransactionMissing(self.node.name, name)
            costs.append(read_cost(executed))
        return costs

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return the senders, calls and entropies of the events' transactions."""
        return read_origins(self.node, self.contract, recorded)

    def wait_past(self, seen: Head | None, timeout: float) -> Block | None:
        """Return the head once it is not ``seen``; otherwise after ``timeout`` seconds."""
        return self.heads.wait_past(seen, timeout)

    def ask_all(self, questions: Sequence[Question[Message, T]]) -> list[T]:
        """Return the answers to several questions, or raise the contract's refusal."""
        return [self.ask_at_head(self.contract, question) for question in questions]

    def ask_at_head(self, contract: Account, question: Question[Message, T]) -> T:
        """Return a contract's answer as of the last block."""
        with self.explain_failures():
            return self.node.query(contract, question.message, question.read)

    def send(
        self, wallet: Wallet, message: Message, premise: Premise | None = None
    ) -> SentTransaction:
        """Send a transaction, or raise the error with which the contract would refuse it.

        Raises:
            MissingChainId: the configuration does not contain the chain's id.
        """
        if self.config.chain_id is None:
            raise MissingChainId(self.sender.chain_id)
        action = execute_action(self.sender.address(wallet), self.contract, message)
        with self.explain_failures():
            more_gas = self._find_closing_gas(message)
            sent = self.sender.send(wallet, action, premise=premise, more_gas=more_gas)
        return SentTransaction(self, sent)

    def _find_closing_gas(self, message: Message) -> int:
        """Return the gas that a call needs in addition if it turns out to begin a round."""
        experiment = find_experiment(message)
        if experiment is None:
            return 0
        if experiment not in self._slots:  # parameters never change
            encoder, arguments = CosmosEncoder(), (ExperimentId(int(experiment)),)
            found = self.node.query(
                self.contract,
                encoder.encode(EXPERIMENT, arguments),
                lambda answer: encoder.decode(EXPERIMENT, arguments, answer),
            )
            self._slots[experiment] = found.params.proposers
        return self.config.sending.slot_margin * (self._slots[experiment] - 1)

    def explain(self, refusal: Refused) -> LedgerError:
        """Return the protocol's error for a refusal."""
        error = error_from_wire(refusal)
        if isinstance(error, UnknownExperiment):
            self.check_place()
        return error

    def check_contract(self, node: Node) -> ContractInfo:
        """Return a contract's data; refuse a foreign one, and one whose code can change.

        Raises:
            WrongContract: it is not this package's contract, or it has an admin.
        """
        where = f"{self.contract} on chain {self.sender.chain_id}"
        info = node.contract(self.contract)
        if info is None:
            raise WrongContract.missing(where)
        if info.checksum != load_artifact().checksum:
            raise WrongContract.foreign(where)
        if info.admin:
            raise WrongContract(
                f"the contract at {where} has the admin {info.admin[:80]}, which can replace its "
                "code; use a contract without an admin"
            )
        return info


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A transaction in flight; implements `colearn_ledger.ledger.Pending`."""

    _contract: DeployedContract
    _sent: Sent[Draft]

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the transaction is in a block; blocks are final.

        Raises:
            ProtocolError: the contract refused the call after all; nothing changed.
            TransactionFailed: it failed for another reason, such as running out of gas.
            LedgerUnavailable: it is not in a block after ``timeout`` seconds.
            TransactionLost: it can no longer be included in a block.
        """
        executed = self._contract.sender.wait(self._sent, timeout)
        self._contract.heads.notice(Block(executed.height, "", executed.time))
        if executed.code:
            raise self._why(executed)
        events = tuple(decode_events(executed.events, self._contract.contract))
        return Receipt(executed.hash, executed.time, executed.gas_used, events)

    def _why(self, executed: Executed) -> LedgerError:
        if refusal := find_contract_error(executed.log):
            return self._contract.explain(refusal)
        return TransactionFailed(
            f"transaction {executed.hash} failed in block {executed.height}, having used "
            f"{executed.gas_used:,} gas: {executed.log[:300]}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CosmosDeploymentReceipt(DeploymentReceipt):
    """A deployed contract. ``code`` is the id of its code; ``cost`` includes storing the code."""

    code: int


def deploy_contract(
    access: CosmosAccess,
    wallet: Wallet,
    *,
    config: CosmosConfig | None = None,
    timeout: float | None = None,
    on_sent: Callable[[str], None] | None = None,
) -> CosmosDeploymentReceipt:
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
    node = open_node(access.grpc, config)
    chain_id = check_chain_id(node.name, node.chain_id(), config.chain_id)
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
    stored = _check_success(sender.wait(sent, timeout), "storing the contract's code")
    code = _find_attribute(stored, "store_code", "code_id")
    if not code.isdecimal():
        raise BadAnswer(f"{node.name} returned {code[:40]!r} as the id of the stored code")
    deployed = instantiate_contract(
        node, sender, wallet, code=int(code), timeout=timeout, on_sent=on_sent
    )
    info = node.contract(deployed.contract)
    if info is None or info.checksum != artifact.checksum or info.admin:
        raise WrongContract(
            f"transaction {deployed.transaction} created another contract at {deployed.contract} "
            "than the stored one; the node is faulty: use another one"
        )
    return replace(deployed, cost=deployed.cost + stored.gas_used)


def instantiate_contract(
    node: Node,
    sender: Sender,
    wallet: Wallet,
    *,
    code: int,
    timeout: float | None = None,
    on_sent: Callable[[str], None] | None = None,
) -> CosmosDeploymentReceipt:
    """Create a contract from stored code, without an admin.

    Raises:
        TransactionFailed: the chain refused to create the contract.
        LedgerUnavailable: the node cannot be reached, or the transaction is not in a block yet.
    """
    sent = sender.send(wallet, instantiate_action(sender.address(wallet), code, _LABEL))
    if on_sent is not None:
        on_sent(sent.hash)
    created = _check_success(sender.wait(sent, timeout), "creating the contract")
    return CosmosDeploymentReceipt(
        contract=Account(_find_attribute(created, "instantiate", "_contract_address")),
        chain_id=sender.chain_id,
        code=code,
        transaction=created.hash,
        block=created.height,
        cost=created.gas_used,
    )


def _check_success(executed: Executed, what: str) -> Executed:
    if executed.code:
        raise TransactionFailed(
            f"{what} failed in transaction {executed.hash}: {executed.log[:300]}"
        )
    return executed


def _find_attribute(executed: Executed, event: str, name: str) -> str:
    for item in executed.events:
        if item.type == event and name in dict(item.attributes):
            return dict(item.attributes)[name]
    raise BadAnswer(f"transaction {executed.hash} has no event {event} with {name}")
