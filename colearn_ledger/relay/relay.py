"""A relay: gathers ballots that learners signed and carries them to the ledger in batches.

It needs no trust. It can not change a ballot, for it is signed; it can not count one twice; and
what it withholds its learner sees missing on the ledger, and sends again or casts itself.
Ballots are held in memory only: whose ballot is lost with the relay offers it again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Event as StopSignal
from typing import Protocol

from colearn_ledger.keys.signing import ballot_signer, sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, LedgerUnavailable, LedgerView, Pending, Receipt
from colearn_ledger.protocol import (
    Account,
    AlreadyVoted,
    BallotSkipped,
    BallotState,
    ExperimentId,
    LedgerError,
    NotEligible,
    Outcome,
    Phase,
    ProtocolError,
    Round,
    SignedBallot,
    Vote,
    WrongPhase,
    WrongRound,
)

__all__ = ["BallotCarrier", "BallotRefused", "BallotTaker", "Relay", "RelayCarrier", "RelayFull"]

_log = logging.getLogger(__name__)

_BATCH = 100
_MOST_HELD = 10_000
_TRANSACTION_TIMEOUT = 120.0  # seconds


class BallotRefused(LedgerError):
    """The ballot can not be counted as the ledger stands; says why."""


class RelayFull(LedgerError):
    """The relay holds as many ballots as it can; try again later."""


class BallotTaker(Protocol):
    """Where signed ballots go: a `Relay` here, or one behind HTTP."""

    def offer(self, experiment: ExperimentId, round_index: int, ballot: SignedBallot) -> None:
        """Hand a ballot over; doing so again changes nothing.

        Raises:
            BallotRefused: it will never be carried.
            RelayFull, LedgerUnavailable: not now.
        """


class BallotCarrier(Protocol):
    """How a learner's open ballots get onto the ledger."""

    def vote(self, experiment: ExperimentId, round_index: int, vote: Vote) -> Pending:
        """Cast a ballot."""


# --------------------------------------------------------------------------------- relay


@dataclass(slots=True)
class _Held:
    """The ballots of one round that wait, in the order in which they came."""

    since: float
    ballots: dict[str, SignedBallot] = field(default_factory=dict)


class Relay:
    """Gathers signed ballots and submits them. Safe to use from several threads.

    Args:
        ledger: acts for the account that pays.
        experiments: for which to carry ballots; for all if ``None``.
        wait: for how many seconds to gather before a batch goes out, unless it is full or
            complete before.
        batch: the most ballots in a transaction.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        experiments: Iterable[ExperimentId] | None = None,
        wait: float = 2.0,
        batch: int = _BATCH,
    ) -> None:
        self._ledger = ledger
        self._experiments = None if experiments is None else frozenset(experiments)
        self._wait = wait
        self._batch = batch
        self._held: dict[tuple[ExperimentId, int], _Held] = {}
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self.carried = 0

    @property
    def waiting(self) -> int:
        """How many ballots wait to be carried."""
        with self._lock:
            return sum(len(held.ballots) for held in self._held.values())

    def offer(self, experiment: ExperimentId, round_index: int, ballot: SignedBallot) -> None:
        """Take a ballot if the ledger would count it now; one that is held already is fine.

        Raises:
            BallotRefused: it is not signed by its learner, or the ledger would not count it.
            RelayFull: no room.
            LedgerUnavailable: the ledger can not be asked.
        """
        self._check(experiment, round_index, ballot)
        with self._lock:
            place = (experiment, round_index)
            held = self._held.get(place)
            known = held.ballots.get(ballot.learner) if held else None
            if known is not None:
                return
            if sum(len(held.ballots) for held in self._held.values()) >= _MOST_HELD:
                raise RelayFull(f"{_MOST_HELD:,} ballots wait already; try again later")
            held = self._held.setdefault(place, _Held(time.monotonic()))
            held.ballots[ballot.learner] = ballot
            self._news.notify_all()

    def run(self, stop: StopSignal) -> None:
        """Carry ballots until ``stop`` is set; what waits then goes out first."""
        while not stop.is_set():
            self.carry_due()
            with self._lock:
                self._news.wait(timeout=min(0.5, self._wait))
        self.carry_due(all_of_them=True)

    def carry_due(self, *, all_of_them: bool = False) -> None:
        """Submit every batch that is full, complete or old enough, or each that there is."""
        with self._lock:
            places = list(self._held)
        for place in places:
            try:
                if all_of_them or self._is_due(place):
                    self._carry(place)
            except LedgerUnavailable as error:
                _log.warning("ballots of round %d wait: %s", place[1], error)
            except ProtocolError as error:  # the round moved on
                _log.warning("ballots of round %d come too late: %s", place[1], error)
                self._drop(place)

    def _check(self, experiment: ExperimentId, round_index: int, ballot: SignedBallot) -> None:
        if self._experiments is not None and experiment not in self._experiments:
            raise BallotRefused(f"this relay does not carry ballots of experiment {experiment}")
        if ballot_signer(self._ledger.domain, experiment, round_index, ballot) != ballot.learner:
            raise BallotRefused(f"the ballot is not signed by {ballot.learner} for this round")
        try:
            self._check_round(experiment, round_index)
            recorded = self._ledger.ballot(experiment, round_index, ballot.learner)
            if not recorded.eligible:
                raise NotEligible(ballot.learner)
            if recorded.state != BallotState.NONE:
                raise AlreadyVoted(ballot.learner)
        except ProtocolError as error:
            raise BallotRefused(f"the ledger would not count it: {error}") from error

    def _check_round(self, experiment: ExperimentId, round_index: int) -> Round:
        current = self._ledger.experiment(experiment)
        if current.round != round_index:
            raise WrongRound(current.round)
        held = self._ledger.round(experiment, round_index)
        if held.phase != Phase.VOTING or current.params.reveal_window:
            raise WrongPhase(held.phase)
        return held

    def _is_due(self, place: tuple[ExperimentId, int]) -> bool:
        with self._lock:
            held = self._held[place]
            waiting, since = len(held.ballots), held.since
        if waiting >= self._batch or time.monotonic() - since >= self._wait:
            return True
        shown = self._ledger.round(*place)
        return waiting >= shown.eligible - shown.approvals - shown.rejections

    def _carry(self, place: tuple[ExperimentId, int]) -> None:
        experiment, round_index = place
        with self._lock:
            batch = list(self._held[place].ballots.values())[: self._batch]
        self._check_round(experiment, round_index)
        receipt = self._ledger.vote_signed(experiment, round_index, batch).wait(
            _TRANSACTION_TIMEOUT
        )
        skipped = [event for event in receipt.events if isinstance(event, BallotSkipped)]
        for event in skipped:
            _log.warning(
                "the ballot of %s was skipped: %s", event.learner, event.reason.name.lower()
            )
        self.carried += len(batch) - len(skipped)
        _log.info("carried %d ballots of round %d", len(batch) - len(skipped), round_index)
        with self._lock:
            held = self._held[place]
            for ballot in batch:
                held.ballots.pop(ballot.learner, None)
            held.since = time.monotonic()
            if not held.ballots:
                del self._held[place]

    def _drop(self, place: tuple[ExperimentId, int]) -> None:
        with self._lock:
            self._held.pop(place, None)


# -------------------------------------------------------------------------------- learner


class RelayCarrier:
    """Casts a learner's open ballots through a relay; the learner's account pays nothing.

    Args:
        ledger: where the ballots are counted; it is only read.
        wallet: signs the learner's ballots.
        relay: submits the signed ballots.
        poll: seconds between two checks whether a ballot is counted.
    """

    def __init__(
        self, ledger: LedgerView, wallet: Wallet, relay: BallotTaker, *, poll: float = 0.5
    ) -> None:
        self._ledger = ledger
        self._wallet = wallet
        self._relay = relay
        self._poll = poll

    def vote(self, experiment: ExperimentId, round_index: int, vote: Vote) -> Pending:
        """Sign a ballot and hand it over.

        Raises:
            BallotRefused, RelayFull, LedgerUnavailable: as the relay says.
        """
        ballot = sign_ballot(self._wallet, self._ledger.domain, experiment, round_index, vote)
        self._relay.offer(experiment, round_index, ballot)
        return _Carried(self._ledger, ballot.learner, self._poll, experiment, round_index)


@dataclass(frozen=True, slots=True)
class _Carried:
    """A ballot that a relay has."""

    _ledger: LedgerView
    _account: Account
    _poll: float
    _experiment: ExperimentId
    _round: int

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return once the ballot is counted; the transaction is the relay's.

        Raises:
            WrongPhase: the round closed without it.
            LedgerUnavailable: it was not counted within ``timeout`` seconds.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            # The round first: one that is open here may close before the ballot is read, counted.
            held = self._ledger.round(self._experiment, self._round)
            recorded = self._ledger.ballot(self._experiment, self._round, self._account)
            if recorded.state in (BallotState.APPROVED, BallotState.REJECTED):
                return Receipt("", self._ledger.now(), 0, ())
            if held.outcome != Outcome.NONE:
                raise WrongPhase(held.phase)
            if give_up is not None and time.monotonic() >= give_up:
                raise LedgerUnavailable(
                    "the relay took the ballot and did not carry it to the ledger in time"
                )
            self._ledger.wait_for_change(self._poll)
