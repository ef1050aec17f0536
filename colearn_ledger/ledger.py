"""The port through which everything talks to a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    Account,
    Ballot,
    ContentRef,
    Duty,
    Event,
    Experiment,
    ExperimentCreated,
    ExperimentId,
    ExperimentParams,
    Learner,
    LedgerError,
    Round,
    Scores,
    SignedBallot,
    SigningDomain,
    Vote,
)

__all__ = ["Ledger", "LedgerUnavailable", "Pending", "Receipt", "RecordedEvent"]


class LedgerUnavailable(LedgerError):
    """The ledger could not be reached or did not answer in time; try again."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event and where it stands.

    Args:
        cursor: grows along the ledger; opaque, but for being comparable.
        time: block time, seconds since the epoch.
        transaction: the transaction's hash, hexadecimal.
        event: what happened.
    """

    cursor: int
    time: int
    transaction: str
    event: Event


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that took effect.

    Args:
        transaction: its hash, hexadecimal.
        time: of its block, seconds since the epoch.
        cost: gas used; 0 where the ledger charges nothing.
        events: what it made happen, in order.
    """

    transaction: str
    time: int
    cost: int
    events: tuple[Event, ...]

    @property
    def experiment(self) -> ExperimentId:
        """Return the id of the experiment that this transaction created."""
        for event in self.events:
            if isinstance(event, ExperimentCreated):
                return event.experiment
        raise LedgerError("this transaction created no experiment")


class Pending(Protocol):
    """A transaction that was sent."""

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the transaction took effect.

        Raises:
            ProtocolError: the protocol refused it; nothing changed.
            LedgerUnavailable: it was not seen to take effect within ``timeout`` seconds.
        """


class Ledger(Protocol):
    """One deployment of the protocol, seen by one account.

    A write raises the protocol's error at once where the ledger tells it before sending,
    else `Pending.wait` does. Queries raise `UnknownExperiment`, `WrongRound` (a round that has
    not begun) and `NotALearner` (an account that never joined). Lists start at ``start`` and
    return at most ``min(limit, MAX_PAGE)`` rows.
    """

    @property
    def account(self) -> Account:
        """The account that this view acts for."""

    @property
    def domain(self) -> SigningDomain:
        """What signed ballots and commitments are bound to."""

    def acting_for(self, wallet: Wallet) -> Self:
        """Return a view of the same deployment that signs with another wallet."""

    def now(self) -> int:
        """Return the ledger's time, seconds since the epoch."""

    # transactions
    def create(self, params: ExperimentParams) -> Pending:
        """Create an experiment; its id is in the receipt."""

    def admit(self, experiment: ExperimentId, accounts: Sequence[Account]) -> Pending:
        """Put accounts on the allowlist (creator only)."""

    def join(self, experiment: ExperimentId, encryption_key: bytes = bytes(32)) -> Pending:
        """Become a learner; ``encryption_key`` is a 32-byte X25519 public key, or zero."""

    def leave(self, experiment: ExperimentId) -> Pending:
        """Leave the experiment."""

    def remove(self, experiment: ExperimentId, learner: Account) -> Pending:
        """Remove a learner whose strikes reached the limit."""

    def start(self, experiment: ExperimentId) -> Pending:
        """Start the experiment (creator only)."""

    def cancel(self, experiment: ExperimentId) -> Pending:
        """Cancel the experiment (creator only)."""

    def propose(
        self, experiment: ExperimentId, round_index: int, content: ContentRef, scores: Scores
    ) -> Pending:
        """Propose weights (proposer only); the scores are for the record."""

    def decline(self, experiment: ExperimentId, round_index: int) -> Pending:
        """Close the round for want of a proposal (proposer only)."""

    def vote(self, experiment: ExperimentId, round_index: int, vote: Vote) -> Pending:
        """Cast an open ballot."""

    def commit(self, experiment: ExperimentId, round_index: int, commitment: bytes) -> Pending:
        """Commit to a secret ballot: 32 bytes of `commitment_hash`."""

    def reveal(
        self, experiment: ExperimentId, round_index: int, vote: Vote, salt: bytes
    ) -> Pending:
        """Reveal a committed ballot with its 32-byte salt."""

    def vote_signed(
        self, experiment: ExperimentId, round_index: int, ballots: Sequence[SignedBallot]
    ) -> Pending:
        """Carry ballots that learners signed; a bad one is skipped and reported."""

    def advance(self, experiment: ExperimentId) -> Pending:
        """Close or move on a phase whose deadline has passed."""

    # queries
    def experiment(self, experiment: ExperimentId) -> Experiment:
        """Return an experiment."""

    def experiments(self, start: int = 0, limit: int = 100) -> list[Experiment]:
        """Return experiments in order of id; ``start`` 0 is the first."""

    def learner(self, experiment: ExperimentId, account: Account) -> Learner:
        """Return a learner."""

    def learners(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Learner]:
        """Return learners in order of index, those who left included."""

    def round(self, experiment: ExperimentId, round_index: int) -> Round:
        """Return a round."""

    def rounds(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Round]:
        """Return rounds in order."""

    def ballot(self, experiment: ExperimentId, round_index: int, learner: Account) -> Ballot:
        """Return what is recorded of a learner in a round."""

    def ballots(
        self, experiment: ExperimentId, round_index: int, start: int = 0, limit: int = 100
    ) -> list[Ballot]:
        """Return a row for each learner in order of index."""

    def ballots_of(
        self, experiment: ExperimentId, rounds: Sequence[int], start: int = 0, limit: int = 100
    ) -> list[list[Ballot]]:
        """Return the same page of `ballots` for each of several rounds, in few requests."""

    def current_weights(self, experiment: ExperimentId) -> ContentRef | None:
        """Return the current weights, ``None`` while there are none."""

    def duty(self, experiment: ExperimentId, account: Account) -> Duty:
        """Return what an account should do now."""

    # events
    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""

    def wait_for_change(self, timeout: float) -> None:
        """Return when the ledger may have changed, or after ``timeout`` seconds.

        A hint only: it may return early, and callers must read the state again.
        """
