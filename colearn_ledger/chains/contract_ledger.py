"""What the views of a contract have in common, whatever its chain."""

# mypy: disable-error-code="no-any-return"
# Messages and deployments are each chain's own; their types end where a chain's class begins.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Pending
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

__all__ = ["ContractLedger"]


class ContractLedger:
    """One account's view of a deployed contract: the calls and queries of the protocol.

    A chain's own ledger says how they become messages, connects, and tells of events and blocks.
    Views made with `acting_for` share the connection, and may be used by several threads.
    """

    _calls: ClassVar[Any]
    """The transactions of `colearn_ledger.ledger.Ledger` as the contract's, by the same names."""

    _queries: ClassVar[Any]
    """Its queries likewise."""

    def __init__(self, deployment: Any, wallet: Wallet) -> None:
        """Prefer `connect` and `deploy`.

        Args:
            deployment: the contract on its chain, of the chain's own class.
            wallet: whose view this is.
        """
        self._deployment = deployment
        self._wallet = wallet
        self._seen = -1

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

    def _send(self, call: Any) -> Pending:
        return self._deployment.send(self._wallet, call)

    def _ask(self, query: Any) -> Any:
        return self._deployment.ask(query)

    # ------------------------------------------------------------------ transactions

    def create(self, params: ExperimentParams) -> Pending:
        """Create an experiment; its id is in the receipt."""
        return self._send(self._calls.create(params))

    def admit(self, experiment: ExperimentId, accounts: Sequence[Account]) -> Pending:
        """Put accounts on the allowlist (creator only)."""
        return self._send(self._calls.admit(experiment, accounts))

    def join(self, experiment: ExperimentId, encryption_key: bytes = bytes(32)) -> Pending:
        """Become a learner; ``encryption_key`` is a 32-byte X25519 public key, or zero."""
        return self._send(self._calls.join(experiment, encryption_key))

    def leave(self, experiment: ExperimentId) -> Pending:
        """Leave the experiment."""
        return self._send(self._calls.leave(experiment))

    def remove(self, experiment: ExperimentId, learner: Account) -> Pending:
        """Remove a learner whose strikes reached the limit."""
        return self._send(self._calls.remove(experiment, learner))

    def start(self, experiment: ExperimentId) -> Pending:
        """Start the experiment (creator only)."""
        return self._send(self._calls.start(experiment))

    def cancel(self, experiment: ExperimentId) -> Pending:
        """Cancel the experiment (creator only)."""
        return self._send(self._calls.cancel(experiment))

    def propose(
        self, experiment: ExperimentId, round_index: int, content: ContentRef, scores: Scores
    ) -> Pending:
        """Propose weights (proposer only); the scores are for the record."""
        return self._send(self._calls.propose(experiment, round_index, content, scores))

    def decline(self, experiment: ExperimentId, round_index: int) -> Pending:
        """Close the round for want of a proposal (proposer only)."""
        return self._send(self._calls.decline(experiment, round_index))

    def vote(self, experiment: ExperimentId, round_index: int, vote: Vote) -> Pending:
        """Cast an open ballot."""
        return self._send(self._calls.vote(experiment, round_index, vote))

    def commit(self, experiment: ExperimentId, round_index: int, commitment: bytes) -> Pending:
        """Commit to a secret ballot: 32 bytes of `commitment_hash`."""
        return self._send(self._calls.commit(experiment, round_index, commitment))

    def reveal(
        self, experiment: ExperimentId, round_index: int, vote: Vote, salt: bytes
    ) -> Pending:
        """Reveal a committed ballot with its 32-byte salt."""
        return self._send(self._calls.reveal(experiment, round_index, vote, salt))

    def vote_signed(
        self, experiment: ExperimentId, round_index: int, ballots: Sequence[SignedBallot]
    ) -> Pending:
        """Carry ballots that learners signed; a bad one is skipped and reported."""
        return self._send(self._calls.vote_signed(experiment, round_index, ballots))

    def advance(self, experiment: ExperimentId) -> Pending:
        """Close or move on a phase whose deadline has passed."""
        return self._send(self._calls.advance(experiment))

    # ------------------------------------------------------------------ queries

    def experiment(self, experiment: ExperimentId) -> Experiment:
        """Return an experiment."""
        return self._ask(self._queries.experiment(experiment))

    def experiments(self, start: int = 0, limit: int = 100) -> list[Experiment]:
        """Return experiments in order of id; ``start`` 0 is the first."""
        return self._ask(self._queries.experiments(start, limit))

    def learner(self, experiment: ExperimentId, account: Account) -> Learner:
        """Return a learner."""
        return self._ask(self._queries.learner(experiment, account))

    def learners(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Learner]:
        """Return learners in order of index, those who left included."""
        return self._ask(self._queries.learners(experiment, start, limit))

    def round(self, experiment: ExperimentId, round_index: int) -> Round:
        """Return a round."""
        return self._ask(self._queries.round(experiment, round_index))

    def rounds(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Round]:
        """Return rounds in order."""
        return self._ask(self._queries.rounds(experiment, start, limit))

    def ballot(self, experiment: ExperimentId, round_index: int, learner: Account) -> Ballot:
        """Return what is recorded of a learner in a round."""
        return self._ask(self._queries.ballot(experiment, round_index, learner))

    def ballots(
        self, experiment: ExperimentId, round_index: int, start: int = 0, limit: int = 100
    ) -> list[Ballot]:
        """Return a row for each learner in order of index."""
        return self._ask(self._queries.ballots(experiment, round_index, start, limit))

    def ballots_of(
        self, experiment: ExperimentId, rounds: Sequence[int], start: int = 0, limit: int = 100
    ) -> list[list[Ballot]]:
        """Return the same page of `ballots` for each of several rounds."""
        return [self.ballots(experiment, index, start, limit) for index in rounds]

    def current_weights(self, experiment: ExperimentId) -> ContentRef | None:
        """Return the current weights, ``None`` while there are none."""
        return self._ask(self._queries.current_weights(experiment))

    def duty(self, experiment: ExperimentId, account: Account) -> Duty:
        """Return what an account should do now."""
        return self._ask(self._queries.duty(experiment, account))
