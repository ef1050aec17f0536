"""CosmosLedger: the CosmWasm contract as a `colearn_ledger.ledger.Ledger`.

The ledger's time is that of the last block, and queries are answered as of the last block. A block
is final once it is there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self, TypeVar

from colearn_ledger.cosmos.calls import Calls, Message, Queries, Query
from colearn_ledger.cosmos.config import CosmosConfig, checked_chain
from colearn_ledger.cosmos.deploying import deploy_contract
from colearn_ledger.cosmos.deployment import Deployment, SentTransaction
from colearn_ledger.cosmos.node import Node
from colearn_ledger.cosmos.sender import Sender
from colearn_ledger.cosmos.wire import account_to_wire
from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.networks import CosmosTerms
from colearn_ledger.protocol import (
    Account,
    Ballot,
    ContentRef,
    Duty,
    Experiment,
    ExperimentId,
    ExperimentParams,
    Learner,
    Round,
    Scores,
    SignedBallot,
    SigningDomain,
    Vote,
)
from colearn_ledger.wallet import Wallet

__all__ = ["CosmosLedger"]

T = TypeVar("T")


class CosmosLedger:
    """One account's view of the contract; implements `colearn_ledger.ledger.Ledger`.

    Views made with `acting_for` share the connection, and may be used by several threads.
    """

    def __init__(self, deployment: Deployment, wallet: Wallet) -> None:
        """Prefer `connect` and `deploy`."""
        self._deployment = deployment
        self._wallet = wallet
        self._seen = -1

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
        chain_id = checked_chain(node, config.chain_id)
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
        """Return the last block's time."""
        return self._deployment.node.latest()[1].time

    # ------------------------------------------------------------------ transactions

    def _send(self, call: Message) -> SentTransaction:
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
        return self._deployment.ask(query)

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

    def ballots_of(
        self, experiment: ExperimentId, rounds: Sequence[int], start: int = 0, limit: int = 100
    ) -> list[list[Ballot]]:
        """Return the same page of `ballots` for each of several rounds."""
        return [self.ballots(experiment, index, start, limit) for index in rounds]

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
