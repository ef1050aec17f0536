"""Gather ballots that learners signed and submit them to the ledger in batches.

A relay needs no trust. It cannot change a ballot, because the ballot is signed, and it cannot make
a ballot count twice. If a ballot is missing from the ledger, the learner can see that and offer it
again or cast it directly. A relay keeps ballots in memory only: after a relay is lost, learners
offer their ballots again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event as StopSignal
from typing import Protocol

from colearn_ledger.backoff import Backoff
from colearn_ledger.keys.signing import ballot_signer, sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, LedgerUnavailable, LedgerView, Pending, Receipt
from colearn_ledger.protocol import (
    NO_ROUND,
    Account,
    AlreadyVoted,
    BallotSkipped,
    BallotState,
    Basis,
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
    WrongProposals,
    WrongRound,
)

_log = logging.getLogger(__name__)

_BATCH = 100
_MOST_WAITING = 10_000
_BACKOFF = Backoff(first=1.0, longest=60.0)
_TRANSACTION_TIMEOUT = 120.0  # seconds


class BallotRefused(LedgerError):
    """The ledger would not count the ballot; the message explains why."""


class RelayFull(LedgerError):
    """The relay has no room for more ballots; try again later."""


class BallotTaker(Protocol):
    """Anything that accepts signed ballots: a `Relay` in this process or one over HTTP."""

    def offer(self, basis: Basis, ballot: SignedBallot) -> None:
        """Hand over a ballot; doing so again has no effect.

        Raises:
            BallotRefused: the ballot will never be submitted.
            RelayFull, LedgerUnavailable: the ballot cannot be accepted now.
        """


class BallotCarrier(Protocol):
    """Anything that casts a learner's open ballots."""

    def vote(
        self, experiment: ExperimentId, round_index: int, proposals: bytes, vote: Vote
    ) -> Pending:
        """Cast a ballot on the proposals that have this digest."""


# --------------------------------------------------------------------------------- relay


@dataclass(slots=True)
class _Queue:
    """The waiting ballots on the same proposals of a round, in order of arrival.

    Args:
        since: time at which the oldest ballot arrived.
        ballots: the ballots by learner.
        failures: number of consecutive failed attempts.
        retry_at: earliest time of the next attempt.
    """

    since: float
    ballots: dict[str, SignedBallot] = field(default_factory=dict)
    failures: int = 0
    retry_at: float = 0.0


class Relay:
    """Gather signed ballots and submit them. Safe to use from several threads.

    Args:
        ledger: sends the transactions, for the account that pays.
        experiments: experiments to accept ballots for; all if ``None``.
        wait: seconds to gather ballots for a batch, unless it is full or complete earlier.
        batch: most ballots in a transaction.
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
        self._queues: dict[Basis, _Queue] = {}
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self.carried = 0

    @property
    def waiting(self) -> int:
        """Return the number of ballots that are waiting to be submitted."""
        with self._lock:
            return self._count()

    def offer(self, basis: Basis, ballot: SignedBallot) -> None:
        """Accept a ballot if the ledger would count it now; the same ballot may be offered again.

        Raises:
            BallotRefused: the learner did not sign the ballot, the ledger would not count it, or
                another ballot of this learner is already waiting.
            RelayFull: there is no room for another ballot.
            LedgerUnavailable: the ledger does not answer.
        """
        self._check(basis, ballot)
        with self._lock:
            queue = self._queues.get(basis)
            known = queue.ballots.get(ballot.learner) if queue else None
            if known is not None and known.vote != ballot.vote:
                raise BallotRefused(
                    f"another ballot of {ballot.learner} on these proposals is already waiting; a "
                    "learner has one ballot"
                )
            if known is not None:
                return
            if self._count() >= _MOST_WAITING:
                raise RelayFull(f"{_MOST_WAITING:,} ballots are already waiting; try again later")
            queue = self._queues.setdefault(basis, _Queue(time.monotonic()))
            queue.ballots[ballot.learner] = ballot
            self._arrived.notify_all()

    def run(self, stop: StopSignal) -> None:
        """Submit ballots until ``stop`` is set, and then any that are still waiting.

        Ledger errors do not end this loop: the ballots of a failed batch are kept and submitted
        again after a growing pause.
        """
        while not stop.is_set():
            self.carry_due()
            with self._lock:
                self._arrived.wait(timeout=min(0.5, self._wait))
        self.carry_due(all_of_them=True)

    def carry_due(self, *, all_of_them: bool = False) -> None:
        """Submit every batch that is due: full, complete or old enough.

        Args:
            all_of_them: whether to submit the other batches too.
        """
        with self._lock:
            bases = list(self._queues)
        for basis in bases:
            try:
                if all_of_them or self._is_due(basis):
                    self._carry(basis)
            except ProtocolError as error:  # the round moved on, or has other proposals now
                self._drop(basis, error)
            except LedgerError as error:
                self._postpone(basis, error)

    def _count(self) -> int:
        return sum(len(queue.ballots) for queue in self._queues.values())

    def _check(self, basis: Basis, ballot: SignedBallot) -> None:
        if self._experiments is not None and basis.experiment not in self._experiments:
            raise BallotRefused(
                f"this relay does not carry ballots of experiment {basis.experiment}"
            )
        if ballot_signer(self._ledger.domain, basis, ballot) != ballot.learner:
            raise BallotRefused(f"the ballot is not signed by {ballot.learner} for this round")
        try:
            round_ = self._check_round(basis)
            recorded = self._ledger.ballot(basis.experiment, basis.round, ballot.learner)
            if not recorded.eligible:
                raise NotEligible(ballot.learner)
            if recorded.state != BallotState.NONE:
                raise AlreadyVoted(ballot.learner)
        except ProtocolError as error:
            raise BallotRefused(f"the ledger would not count it: {error}") from error
        _check_vote(round_, ballot)

    def _check_round(self, basis: Basis) -> Round:
        """Return the round of a ballot if the ledger counts ballots on these proposals now."""
        agenda = self._ledger.agenda(basis.experiment, self._ledger.account)
        round_ = agenda.round
        if round_ is None or round_.index != basis.round:
            raise WrongRound(round_.index if round_ else NO_ROUND)
        if round_.phase != Phase.VOTING or agenda.experiment.params.reveal_window:
            raise WrongPhase(round_.phase)
        if round_.proposals != basis.proposals:
            raise WrongProposals(round_.proposals)
        return round_

    def _is_due(self, basis: Basis) -> bool:
        now = time.monotonic()
        with self._lock:
            queue = self._queues[basis]
            waiting = len(queue.ballots)
        if now < queue.retry_at:
            return False
        if waiting >= self._batch or now - queue.since >= self._wait:
            return True
        round_ = self._check_round(basis)
        return waiting >= round_.voters - round_.ballots

    def _carry(self, basis: Basis) -> None:
        with self._lock:
            batch = list(self._queues[basis].ballots.values())[: self._batch]
        self._check_round(basis)
        pending = self._ledger.vote_signed(basis.experiment, basis.round, basis.proposals, batch)
        receipt = pending.wait(_TRANSACTION_TIMEOUT)
        skipped = [event for event in receipt.events if isinstance(event, BallotSkipped)]
        for event in skipped:
            _log.warning(
                "the ballot of %s was skipped: %s", event.learner, event.reason.name.lower()
            )
        self.carried += len(batch) - len(skipped)
        _log.info("submitted %d ballots of round %d", len(batch) - len(skipped), basis.round)
        with self._lock:
            queue = self._queues[basis]
            for ballot in batch:
                queue.ballots.pop(ballot.learner, None)
            queue.since, queue.failures, queue.retry_at = time.monotonic(), 0, 0.0
            if not queue.ballots:
                del self._queues[basis]

    def _postpone(self, basis: Basis, error: LedgerError) -> None:
        """Keep the ballots of a failed batch for a later attempt."""
        with self._lock:
            queue = self._queues[basis]
            queue.failures += 1
            pause = _BACKOFF.pause(queue.failures)
            queue.retry_at = time.monotonic() + pause
        _log.warning("ballots of round %d wait another %.0f s: %s", basis.round, pause, error)

    def _drop(self, basis: Basis, error: ProtocolError) -> None:
        """Forget ballots that the ledger will not count any more."""
        with self._lock:
            queue = self._queues.pop(basis)
        _log.warning("dropped %d ballots of round %d: %s", len(queue.ballots), basis.round, error)


def _check_vote(round_: Round, ballot: SignedBallot) -> None:
    """Check the contents of a ballot; one of the wrong length would spoil its whole batch."""
    allowed = sum(
        1 << slot for slot in round_.contents if round_.slots[slot].proposer != ballot.learner
    )
    if ballot.vote.approvals & ~allowed:
        raise BallotRefused(
            f"the ballot approves slots that {ballot.learner} may not approve: its own, or slots "
            "without a proposal"
        )
    needed, given = 1 + len(round_.contents), len(ballot.vote.scores)
    if given != needed:
        raise BallotRefused(
            f"the ballot has scores of {given} weights; it needs those of the current weights and "
            f"of each proposal, {needed} in all"
        )


# -------------------------------------------------------------------------------- learner


class RelayList:
    """Offer each ballot to the first of several relays that accepts it.

    Args:
        relays: the relays in the order in which to try them; at least one.
    """

    def __init__(self, relays: Sequence[BallotTaker]) -> None:
        self._relays = tuple(relays)

    def offer(self, basis: Basis, ballot: SignedBallot) -> None:
        """Hand over a ballot.

        Raises:
            BallotRefused: every relay refused the ballot.
            LedgerUnavailable: no relay accepted the ballot, but some may accept it later.
        """
        failures: list[LedgerError] = []
        for relay in self._relays:
            try:
                relay.offer(basis, ballot)
            except (BallotRefused, RelayFull, LedgerUnavailable) as error:
                failures.append(error)
                _log.info("trying the next relay: %s", error)
            else:
                return
        reasons = "; ".join(str(error) for error in failures)
        if failures and all(isinstance(error, BallotRefused) for error in failures):
            raise BallotRefused(reasons)
        raise LedgerUnavailable(reasons)


class RelayCarrier:
    """Cast a learner's open ballots through a relay, at no cost to the learner's account.

    Args:
        ledger: the ledger that counts the ballots; it is only read.
        wallet: signs the learner's ballots.
        relay: submits the signed ballots.
        poll: seconds between checks for whether a ballot is counted.
    """

    def __init__(
        self, ledger: LedgerView, wallet: Wallet, relay: BallotTaker, *, poll: float = 0.5
    ) -> None:
        self._ledger = ledger
        self._wallet = wallet
        self._relay = relay
        self._poll = poll

    def vote(
        self, experiment: ExperimentId, round_index: int, proposals: bytes, vote: Vote
    ) -> Pending:
        """Sign a ballot on the proposals that have this digest, and hand it to the relay.

        Raises:
            BallotRefused, RelayFull, LedgerUnavailable: see `BallotTaker.offer`.
        """
        basis = Basis(experiment, round_index, proposals)
        ballot = sign_ballot(self._wallet, self._ledger.domain, basis, vote)
        self._relay.offer(basis, ballot)
        return _Carried(self._ledger, ballot.learner, self._poll, basis)


@dataclass(frozen=True, slots=True)
class _Carried:
    """A ballot that a relay accepted."""

    _ledger: LedgerView
    _account: Account
    _poll: float
    _basis: Basis

    def wait(self, timeout: float | None = None) -> Receipt:
        """Wait until the ballot is counted and return the receipt of the relay's transaction.

        Raises:
            WrongPhase: the round closed without the ballot.
            WrongProposals: the round has other proposals now, so the ballot cannot count.
            LedgerUnavailable: the ballot was not counted within ``timeout`` seconds.
        """
        place = self._basis.experiment, self._basis.round
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            # Read the round first: this ballot may close it between the two reads.
            round_ = self._ledger.round(*place)
            recorded = self._ledger.ballot(*place, self._account)
            if recorded.state == BallotState.CAST:
                return Receipt("", self._ledger.now(), 0, ())
            if round_.outcome != Outcome.NONE:
                raise WrongPhase(round_.phase)
            if round_.proposals not in (None, self._basis.proposals):  # a reorg changed them
                raise WrongProposals(round_.proposals)
            if give_up is not None and time.monotonic() >= give_up:
                raise LedgerUnavailable(
                    "the relay accepted the ballot and did not submit it to the ledger in time"
                )
            self._ledger.wait_for_change(self._poll)
