"""EvmLedger: the Solidity contract as a `colearn_ledger.ledger.Ledger`.

The ledger's time is that of the last block, and queries are answered as of the last block. A
development node that makes blocks only for transactions must be told to make them by the clock
(anvil: ``--block-time 1``), or its time stands still; `EmbeddedChain` needs no such help.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from web3.providers.base import BaseProvider

from colearn_ledger.evm.abi import load_artifact
from colearn_ledger.evm.calls import Calls, ContractCall, Queries, Query
from colearn_ledger.evm.errors import (
    BadAnswer,
    NodeRefused,
    Reverted,
    TransactionFailed,
    WrongChain,
    WrongContract,
)
from colearn_ledger.evm.events import EventReader
from colearn_ledger.evm.heads import NewHeads
from colearn_ledger.evm.http_provider import HttpConfig
from colearn_ledger.evm.node import Node, TransactionReceipt
from colearn_ledger.evm.sender import Sender, SenderConfig, Sent
from colearn_ledger.evm.wire import account_to_wire, error_from_wire, event_from_log
from colearn_ledger.ledger import LedgerUnavailable, Receipt, RecordedEvent
from colearn_ledger.protocol import (
    Account,
    Ballot,
    ContentRef,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    ExperimentParams,
    Learner,
    LedgerError,
    Round,
    Scores,
    SignedBallot,
    SigningDomain,
    UnknownExperiment,
    Vote,
)
from colearn_ledger.signing import signing_domain
from colearn_ledger.wallet import Wallet

__all__ = ["EvmConfig", "EvmLedger", "SentTransaction"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EvmConfig:
    """How a chain is used.

    Args:
        chain_id: the chain that it has to be; any if ``None``.
        sending: how transactions are paid for.
        poll_seconds: how often a waiting ledger looks for a new block, unless it is told.
        log_range: blocks asked for events at once; providers bound it.
        websocket: where the node tells of new blocks: ``auto`` for its own address, if it offers
            WebSocket there, ``off`` for polling only, or another address.
        http: how patiently the node is asked.
    """

    chain_id: int | None = None
    sending: SenderConfig = field(default_factory=SenderConfig)
    poll_seconds: float = 1.0
    log_range: int = 2_000
    websocket: str = "auto"
    http: HttpConfig = field(default_factory=HttpConfig)


class _Deployment:
    """What all views of one contract share."""

    def __init__(self, node: Node, contract: Account, config: EvmConfig, sender: Sender) -> None:
        self.node = node
        self.contract = contract
        self.config = config
        self.sender = sender
        self.artifact = load_artifact()
        self.domain = signing_domain(sender.chain_id, contract)
        self.events = EventReader(node, contract, self.artifact.abi, range_size=config.log_range)
        self.heads = NewHeads(_told_at(config.websocket, node))

    def ask(self, account: Account, query: Query[T]) -> T:
        """Return a query's answer, or raise what the contract refuses it with."""
        data = query.call.encode(self.artifact.abi)
        try:
            answer = self.node.call({"from": account, "to": self.contract, "data": data})
            return query.read(self.artifact.abi, answer)
        except Reverted as refusal:
            raise self.explained(refusal) from None
        except (BadAnswer, NodeRefused):
            self.check_place()
            raise

    def send(self, wallet: Wallet, call: ContractCall) -> SentTransaction:
        """Send a transaction, or raise what the contract would refuse it with."""
        data = call.encode(self.artifact.abi)
        try:
            sent = self.sender.send(wallet, self.contract, data)
        except Reverted as refusal:
            raise self.explained(refusal) from None
        except (BadAnswer, NodeRefused):
            self.check_place()
            raise
        return SentTransaction(
            self, sent, {"from": wallet.address, "to": self.contract, "data": data}
        )

    def explained(self, refusal: Reverted) -> LedgerError:
        """Return the protocol's error behind a revert."""
        error = error_from_wire(self.artifact.abi, refusal.data)
        if error is None or isinstance(error, UnknownExperiment):
            self.check_place()
        if error is not None:
            return error
        reason = f"0x{refusal.data[:40].hex()}" if refusal.data else "the node does not say why"
        return TransactionFailed(
            f"the contract at {self.contract} refuses this call, by none of the protocol's rules "
            f"({reason})"
        )

    def check_place(self) -> None:
        """Look whether chain and contract are still those that were connected to.

        Called when an answer is not what the contract gives: the node's address may have
        become another chain's, or the chain have begun anew.

        Raises:
            WrongChain, WrongContract: they are not.
        """
        with suppress(LedgerUnavailable, BadAnswer, NodeRefused):
            found, wanted = self.node.chain_id(), self.domain.chain_id
            if found != wanted:
                raise WrongChain(
                    f"{self.node.name} is on chain {found} now, and was on chain {wanted}; "
                    "connect to a node of that chain"
                )
            self.check_code(self.node.code(self.contract))

    def check_code(self, code: bytes) -> None:
        """Refuse code that is not this package's contract.

        Raises:
            WrongContract: it is not.
        """
        where = f"{self.contract} on chain {self.domain.chain_id}"
        if not code:
            raise WrongContract(
                f"there is no contract at {where}; check the address and the network"
            )
        if not self.artifact.is_deployed_as(code):
            raise WrongContract(
                f"the contract at {where} is not the one that this version of colearn-ledger "
                "speaks with; check the address, or install the version that deployed it"
            )

    def happened(self, receipt: TransactionReceipt) -> tuple[Event, ...]:
        """Return the contract's events in a receipt."""
        ours = (item for item in receipt.logs if item.address == self.contract)
        events = (event_from_log(self.artifact.abi, item.log) for item in ours)
        return tuple(event for event in events if event is not None)


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A transaction on its way; implements `colearn_ledger.ledger.Pending`."""

    _deployment: _Deployment
    _sent: Sent
    _call: dict[str, Any]

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the transaction is as deep in the chain as configured.

        Raises:
            ProtocolError: the contract refused it after all; nothing changed.
            TransactionFailed: it failed for another reason, running out of gas perhaps.
            LedgerUnavailable: it is not deep enough after ``timeout`` seconds.
            TransactionLost: it can not get into a block any more.
        """
        node = self._deployment.node
        receipt = self._deployment.sender.wait(self._sent, timeout)
        if not receipt.succeeded:
            raise self._why(receipt)
        block = node.block(receipt.block)
        if block is None:
            raise BadAnswer(f"{node.name} has a receipt of block {receipt.block} but not the block")
        events = self._deployment.happened(receipt)
        if not events:  # what has no code takes every call
            self._deployment.check_place()
        return Receipt(receipt.transaction, block.time, receipt.gas_used, events)

    def _why(self, receipt: TransactionReceipt) -> LedgerError:
        """Ask for the same call again at the transaction's block: it changed nothing there."""
        try:
            self._deployment.node.call(self._call, receipt.block)
        except Reverted as refusal:
            return self._deployment.explained(refusal)
        spent = "all" if receipt.gas_used >= self._sent.gas else "part"
        return TransactionFailed(
            f"transaction {receipt.transaction} failed in block {receipt.block}, having used "
            f"{spent} of its {self._sent.gas:,} gas; the same call would pass after that block: "
            "send it again"
        )


class EvmLedger:
    """One account's view of the contract; implements `colearn_ledger.ledger.Ledger`.

    Views made with `acting_for` share the connection, and may be used by several threads.
    """

    def __init__(self, deployment: _Deployment, wallet: Wallet) -> None:
        """Prefer `connect` and `deploy`."""
        self._deployment = deployment
        self._wallet = wallet
        self._seen = -1

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
        chain_id = _checked_chain(node, config)
        address = Account(account_to_wire(contract, "contract"))
        sender = Sender(node, chain_id, config.sending)
        deployment = _Deployment(node, address, config, sender)
        _check_contract(deployment)
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
        node = Node(endpoint, http=config.http)
        sender = Sender(node, _checked_chain(node, config), config.sending)
        try:
            sent = sender.send(wallet, None, load_artifact().bytecode)
        except Reverted as refusal:
            raise TransactionFailed("the chain does not take the contract") from refusal
        receipt = sender.wait(sent, None)
        if not receipt.succeeded or receipt.contract is None:
            raise TransactionFailed(f"deploying the contract failed in transaction {sent.hash}")
        return cls(_Deployment(node, Account(receipt.contract), config, sender), wallet)

    @property
    def account(self) -> Account:
        """The account that this view acts for."""
        return self._wallet.address

    @property
    def contract(self) -> Account:
        """The contract's address."""
        return self._deployment.contract

    @property
    def domain(self) -> SigningDomain:
        """What signed ballots and commitments are bound to."""
        return self._deployment.domain

    def acting_for(self, wallet: Wallet) -> Self:
        """Return a view of the same contract that signs with another wallet."""
        return type(self)(self._deployment, wallet)

    def now(self) -> int:
        """Return the time of the block in the making, or of the last one if that is not told."""
        return self._deployment.node.upcoming().time

    # ------------------------------------------------------------------ transactions

    def _send(self, call: ContractCall) -> SentTransaction:
        return self._deployment.send(self._wallet, call)

    def create(self, params: ExperimentParams) -> SentTransaction:
        """Create an experiment; its id is in the receipt."""
        return self._send(Calls.create(params))

    def admit(self, experiment: ExperimentId, accounts: Sequence[Account]) -> SentTransaction:
        """Put accounts on the allowlist (creator only)."""
        return self._send(Calls.admit(experiment, accounts))

    def join(self, experiment: ExperimentId, encryption_key: bytes = bytes(32)) -> SentTransaction:
        """Become a learner; ``encryption_key`` is a 32-byte X25519 public key, or zero."""
        return self._send(Calls.join(experiment, encryption_key))

    def leave(self, experiment: ExperimentId) -> SentTransaction:
        """Leave the experiment."""
        return self._send(Calls.leave(experiment))

    def remove(self, experiment: ExperimentId, learner: Account) -> SentTransaction:
        """Remove a learner whose strikes reached the limit."""
        return self._send(Calls.remove(experiment, learner))

    def start(self, experiment: ExperimentId) -> SentTransaction:
        """Start the experiment (creator only)."""
        return self._send(Calls.start(experiment))

    def cancel(self, experiment: ExperimentId) -> SentTransaction:
        """Cancel the experiment (creator only)."""
        return self._send(Calls.cancel(experiment))

    def propose(
        self, experiment: ExperimentId, round_index: int, content: ContentRef, scores: Scores
    ) -> SentTransaction:
        """Propose weights (proposer only); the scores are for the record."""
        return self._send(Calls.propose(experiment, round_index, content, scores))

    def decline(self, experiment: ExperimentId, round_index: int) -> SentTransaction:
        """Close the round for want of a proposal (proposer only)."""
        return self._send(Calls.decline(experiment, round_index))

    def vote(self, experiment: ExperimentId, round_index: int, vote: Vote) -> SentTransaction:
        """Cast an open ballot."""
        return self._send(Calls.vote(experiment, round_index, vote))

    def commit(
        self, experiment: ExperimentId, round_index: int, commitment: bytes
    ) -> SentTransaction:
        """Commit to a secret ballot: 32 bytes of `commitment_hash`."""
        return self._send(Calls.commit(experiment, round_index, commitment))

    def reveal(
        self, experiment: ExperimentId, round_index: int, vote: Vote, salt: bytes
    ) -> SentTransaction:
        """Reveal a committed ballot with its 32-byte salt."""
        return self._send(Calls.reveal(experiment, round_index, vote, salt))

    def vote_signed(
        self, experiment: ExperimentId, round_index: int, ballots: Sequence[SignedBallot]
    ) -> SentTransaction:
        """Carry ballots that learners signed; a bad one is skipped and reported."""
        return self._send(Calls.vote_signed(experiment, round_index, ballots))

    def advance(self, experiment: ExperimentId) -> SentTransaction:
        """Close or move on a phase whose deadline has passed."""
        return self._send(Calls.advance(experiment))

    # ------------------------------------------------------------------ queries

    def _ask(self, query: Query[T]) -> T:
        return self._deployment.ask(self._wallet.address, query)

    def experiment(self, experiment: ExperimentId) -> Experiment:
        """Return an experiment."""
        return self._ask(Queries.experiment(experiment))

    def experiments(self, start: int = 0, limit: int = 100) -> list[Experiment]:
        """Return experiments in order of id; ``start`` 0 is the first."""
        return self._ask(Queries.experiments(start, limit))

    def learner(self, experiment: ExperimentId, account: Account) -> Learner:
        """Return a learner."""
        return self._ask(Queries.learner(experiment, account))

    def learners(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Learner]:
        """Return learners in order of index, those who left included."""
        return self._ask(Queries.learners(experiment, start, limit))

    def round(self, experiment: ExperimentId, round_index: int) -> Round:
        """Return a round."""
        return self._ask(Queries.round(experiment, round_index))

    def rounds(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Round]:
        """Return rounds in order."""
        return self._ask(Queries.rounds(experiment, start, limit))

    def ballot(self, experiment: ExperimentId, round_index: int, learner: Account) -> Ballot:
        """Return what is recorded of a learner in a round."""
        return self._ask(Queries.ballot(experiment, round_index, learner))

    def ballots(
        self, experiment: ExperimentId, round_index: int, start: int = 0, limit: int = 100
    ) -> list[Ballot]:
        """Return a row for each learner in order of index."""
        return self._ask(Queries.ballots(experiment, round_index, start, limit))

    def current_weights(self, experiment: ExperimentId) -> ContentRef | None:
        """Return the current weights, ``None`` while there are none."""
        return self._ask(Queries.current_weights(experiment))

    def duty(self, experiment: ExperimentId, account: Account) -> Duty:
        """Return what an account should do now."""
        return self._ask(Queries.duty(experiment, account))

    # ------------------------------------------------------------------ events

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


def _told_at(setting: str, node: Node) -> str | None:
    """Return where a node tells of new blocks, ``None`` where it can not."""
    if setting == "off":
        return None
    return node.websocket if setting == "auto" else setting


def _checked_chain(node: Node, config: EvmConfig) -> int:
    chain_id = node.chain_id()
    if config.chain_id not in (None, chain_id):
        raise WrongChain(
            f"{node.name} is on chain {chain_id} and chain {config.chain_id} is wanted; "
            "connect to a node of that chain"
        )
    return chain_id


def _check_contract(deployment: _Deployment) -> None:
    deployment.check_code(deployment.node.code(deployment.contract))
    where = f"{deployment.contract} on chain {deployment.domain.chain_id}"
    if (
        deployment.ask(deployment.contract, Queries.domain_separator())
        != deployment.domain.separator
    ):
        raise WrongContract(f"the contract at {where} was built for another chain or address")
