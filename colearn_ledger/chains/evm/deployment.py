"""Deploy the contract on an EVM chain, and exchange messages with a deployed contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from web3.providers.base import BaseProvider

from colearn_ledger.chains.config import check_chain_id
from colearn_ledger.chains.connection import ContractConnection
from colearn_ledger.chains.contract_ledger import Question
from colearn_ledger.chains.deployment import DeploymentReceipt
from colearn_ledger.chains.errors import (
    BadAnswer,
    EmptyWallet,
    MissingChainId,
    NodeRefused,
    TransactionFailed,
    TransactionMissing,
    WrongContract,
)
from colearn_ledger.chains.evm.abi import Artifact, load_artifact
from colearn_ledger.chains.evm.config import EvmConfig
from colearn_ledger.chains.evm.errors import Reverted
from colearn_ledger.chains.evm.event_codec import event_from_log
from colearn_ledger.chains.evm.events import EventReader
from colearn_ledger.chains.evm.heads import subscribe
from colearn_ledger.chains.evm.node import Block, Node, TransactionReceipt
from colearn_ledger.chains.evm.node_group import open_node
from colearn_ledger.chains.evm.origins import read_origins
from colearn_ledger.chains.evm.sender import Request, Sender, find_base_fee
from colearn_ledger.chains.evm.wire import error_from_wire
from colearn_ledger.chains.heads import Head, Heads
from colearn_ledger.chains.hooks import Sent
from colearn_ledger.chains.journal import Entry, Premise
from colearn_ledger.chains.subscription import Subscription
from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable, Origin, Receipt, RecordedEvent, TransactionCost
from colearn_ledger.protocol import Account, Event, ExperimentId, LedgerError, UnknownExperiment
from colearn_ledger.text.urls import Urls

T = TypeVar("T")


class DeployedContract(ContractConnection[Reverted]):
    """Connection to one contract, shared by all its views."""

    node: Node
    sender: Sender

    def __init__(self, node: Node, contract: Account, config: EvmConfig, sender: Sender) -> None:
        self.node = node
        self.contract = contract
        self.config = config
        self.sender = sender
        self.artifact = load_artifact()
        self.domain = signing_domain(sender.chain_id, contract)
        node.check_with(self.check_node)
        self.events = EventReader(node, contract, self.artifact.abi, range_size=config.log_range)
        self.heads = Heads(
            node.head, config.poll_seconds, _open_subscription(config.websocket, node)
        )
        if node.is_remote:  # a node in this process makes a block for each transaction
            sender.heads = self.heads

    def check(self) -> None:
        """Refuse an address that does not have this package's contract.

        Raises:
            WrongContract: the address has no contract, or another one.
        """
        self.check_contract(self.node)
        abi, function = self.artifact.abi, "domainSeparator"
        question = Question(abi.encode_call(function, ()), partial(abi.decode_answer, function))
        answered = self.ask_at_head(self.contract, question)
        if answered != self.domain.separator:
            raise WrongContract(
                f"the contract at {self.contract} on chain {self.domain.chain_id} was built for "
                "another chain or address"
            )

    def account_of(self, wallet: Wallet) -> Account:
        """Return the account of a wallet on this chain."""
        return wallet.address

    def now(self) -> int:
        """Return the time of the next block, estimated from the head if it is followed.

        The node is asked if it runs in this process, where the time is that of its clock.
        """
        estimated = self.heads.now() if self.node.is_remote else None
        return self.node.upcoming().time if estimated is None else estimated

    def read_events(
        self,
        experiment: ExperimentId,
        created_at: Callable[[], int],
        *,
        after: int,
        limit: int,
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        return self.events.events(experiment, created_at, after=after, limit=limit)

    def read_costs(self, transactions: Sequence[str]) -> list[TransactionCost]:
        """Return what each of the transactions cost, without fees beside the gas of the chain."""
        costs = []
        for name, receipt in zip(transactions, self.node.receipts(transactions), strict=True):
            if receipt is None or receipt.sender is None:
                raise TransactionMissing(self.node.name, name)
            gas, price = receipt.gas_used, receipt.gas_price
            fee = None if price is None else gas * price
            costs.append(TransactionCost(Account(receipt.sender), gas, fee, "wei"))
        return costs

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return the senders, calls and entropies of the events' transactions."""
        return read_origins(self.node, self.contract, self.artifact.abi, recorded)

    def wait_past(self, seen: Head | None, timeout: float) -> Block | None:
        """Return the head once it is not ``seen``; otherwise after ``timeout`` seconds."""
        return self.heads.wait_past(seen, timeout)

    def ask_all(self, questions: Sequence[Question[bytes, T]]) -> list[T]:
        """Return the answers to several questions, in one exchange if the node allows it.

        The answers are as of the last block that has the configured confirmations.
        """
        block = self._confirmed_block()
        try:
            return self._ask(self.contract, questions, block)
        except (BadAnswer, NodeRefused):
            self._check_depth(block)
            raise

    def ask_at_head(self, contract: Account, question: Question[bytes, T]) -> T:
        """Return a contract's answer as of the last block."""
        return self._ask(contract, [question], "latest")[0]

    def _ask(
        self, contract: Account, questions: Sequence[Question[bytes, T]], block: int | str
    ) -> list[T]:
        calls = [{"from": contract, "to": contract, "data": q.message} for q in questions]

        def read(answers: Sequence[bytes]) -> list[T]:
            pairs = zip(questions, answers, strict=True)
            return [question.read(answer) for question, answer in pairs]

        with self.explain_failures():
            return self.node.calls(calls, block, read)

    def _confirmed_block(self) -> int | str:
        depth = self.config.sending.confirmations
        return "latest" if depth == 1 else max(0, self.sender.find_head_number() - depth + 1)

    def _check_depth(self, block: int | str) -> None:
        if not self.node.code(self.contract, block):
            raise LedgerUnavailable(
                f"the contract at {self.contract} is less than "
                f"{self.config.sending.confirmations} blocks deep; try again in a few blocks"
            )

    def send(self, wallet: Wallet, data: bytes, premise: Premise | None = None) -> SentTransaction:
        """Send a transaction, or raise the error with which the contract would refuse it.

        Raises:
            MissingChainId: the configuration does not contain the chain's id.
        """
        if self.config.chain_id is None:
            raise MissingChainId(self.sender.chain_id)
        with self.explain_failures():
            sent = self.sender.send(wallet, self.contract, data, premise=premise)
        return SentTransaction(
            self, sent, {"from": wallet.address, "to": self.contract, "data": data}
        )

    def explain(self, refusal: Reverted) -> LedgerError:
        """Return the protocol's error for a revert."""
        error = error_from_wire(self.artifact.abi, refusal.data)
        if error is None or isinstance(error, UnknownExperiment):
            self.check_place()
        if error is not None:
            return error
        reason = f"0x{refusal.data[:40].hex()}" if refusal.data else "the node gives no reason"
        return TransactionFailed(
            f"the contract at {self.contract} refused this call, but not by a rule of the protocol "
            f"({reason})"
        )

    def check_contract(self, node: Node) -> None:
        """Refuse a contract whose code, or whose queries' code, is not this package's.

        Raises:
            WrongContract: there is no code, or it is another contract's.
        """
        where = f"{self.contract} on chain {self.domain.chain_id}"
        code = node.code(self.contract)
        if not code:
            raise WrongContract.missing(where)
        if not _is_our_code(node, self.artifact, code):
            raise WrongContract.foreign(where)

    def find_time(self, receipt: TransactionReceipt, entry: Entry) -> int:
        """Return the time of a receipt's block; ask the node only if it is not known.

        The block counts as noticed, so that it need not be polled.

        Raises:
            BadAnswer: the node does not have the block.
        """
        head = self.heads.known
        if head is not None and head.hash == receipt.block_hash:
            return head.time
        times = [log.time for log in receipt.logs if log.time is not None]
        fee = find_base_fee(receipt, entry)
        if times and fee is not None:
            block: Block | None = Block(receipt.block, times[0], fee, receipt.block_hash)
        else:
            block = self.node.block(receipt.block)
        if block is None:
            raise BadAnswer(
                f"{self.node.name} has a receipt of block {receipt.block} but not the block"
            )
        if self.node.is_remote:
            self.heads.notice(block)
        return block.time

    def decode_events(self, receipt: TransactionReceipt) -> tuple[Event, ...]:
        """Return the contract's events from a receipt."""
        ours = (item for item in receipt.logs if item.address == self.contract)
        events = (event_from_log(self.artifact.abi, item.log) for item in ours)
        return tuple(event for event in events if event is not None)


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A transaction in flight; implements `colearn_ledger.ledger.Pending`."""

    _contract: DeployedContract
    _sent: Sent[Request]
    _call: dict[str, Any]

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the transaction has the configured number of confirmations.

        Raises:
            ProtocolError: the contract refused the call after all; nothing changed.
            TransactionFailed: it failed for another reason, such as running out of gas.
            LedgerUnavailable: it lacks confirmations after ``timeout`` seconds.
            TransactionLost: it can no longer be included in a block.
        """
        receipt = self._contract.sender.wait(self._sent, timeout)
        if not receipt.succeeded:
            raise self._why(receipt)
        events = self._contract.decode_events(receipt)
        if not events:  # an address without code accepts every call
            self._contract.check_place()
        moment = self._contract.find_time(receipt, self._sent.entry)
        return Receipt(receipt.transaction, moment, receipt.gas_used, events)

    def _why(self, receipt: TransactionReceipt) -> LedgerError:
        """Repeat the failed call at the transaction's block, whose state it did not change."""
        try:
            self._contract.node.call(self._call, receipt.block)
        except Reverted as refusal:
            return self._contract.explain(refusal)
        spent = "all" if receipt.gas_used >= self._sent.gas else "part"
        return TransactionFailed(
            f"transaction {receipt.transaction} failed in block {receipt.block}, having used "
            f"{spent} of its {self._sent.gas:,} gas; the same call would pass after that block: "
            "send it again"
        )


def _open_subscription(setting: str, node: Node) -> Subscription[Block] | None:
    """Return a subscription to new blocks, ``None`` to poll only."""
    if setting == "off" or node.websocket is None:
        return None
    return subscribe(lambda: node.websocket or "" if setting == "auto" else setting)


def deploy_contract(
    endpoint: Urls | BaseProvider,
    wallet: Wallet,
    *,
    config: EvmConfig,
    timeout: float | None = None,
    on_sent: Callable[[str], None] | None = None,
) -> DeploymentReceipt:
    """Deploy this package's contract.

    Args:
        endpoint: the URLs of nodes, or a provider of web3.py.
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
    node = open_node(endpoint, config)
    chain_id = check_chain_id(node.name, node.chain_id(), config.chain_id)
    if config.chain_id is None:
        raise MissingChainId(chain_id)
    artifact = load_artifact()
    _check_balance(node, wallet.address, artifact.bytecode)
    sender = Sender(node, chain_id, config.sending)
    try:
        sent = sender.send(wallet, None, artifact.bytecode)
    except Reverted as refusal:
        raise TransactionFailed("the chain refuses the contract") from refusal
    if on_sent is not None:
        on_sent(sent.hash)
    receipt = sender.wait(sent, timeout)
    if not receipt.succeeded or receipt.contract is None:
        raise TransactionFailed(f"deploying the contract failed in transaction {sent.hash}")
    if not _is_our_code(node, artifact, node.code(receipt.contract)):
        raise WrongContract(
            f"transaction {sent.hash} created another contract at {receipt.contract} than the one "
            "it contains; the node is faulty, or its chain was reorganised: check again later"
        )
    return DeploymentReceipt(
        contract=Account(receipt.contract),
        chain_id=chain_id,
        transaction=receipt.transaction,
        block=receipt.block,
        cost=receipt.gas_used,
    )


def _is_our_code(node: Node, artifact: Artifact, code: bytes) -> bool:
    """Return whether a contract's code is this package's, and that of the queries it refers to."""
    if not artifact.is_deployed_as(code):
        return False
    return node.code(artifact.queries_address(code)) == artifact.queries


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
        raise TransactionFailed("the chain refuses the contract") from refusal
    needed = gas * (block.base_fee + tip)
    if balance < needed:
        raise EmptyWallet(account, balance, needed)
