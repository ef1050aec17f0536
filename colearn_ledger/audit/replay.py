"""Replay an experiment's events through the rules of the reference.

Each event that a call emits first is turned back into that call. The rules return the events that
follow from it, and the ledger must have emitted exactly these. What events do not contain, such as
the salts of reveals, comes from the transactions where the ledger offers them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from colearn_ledger.audit.causes import ACTORS, CALLS
from colearn_ledger.audit.findings import AuditCounts, Finding, FindingKind, describe
from colearn_ledger.audit.meanings import meaning_of_event
from colearn_ledger.audit.origins import check_origin
from colearn_ledger.audit.voting import apply_ballot, apply_skipped, find_salt
from colearn_ledger.ledger import Origin, RecordedEvent
from colearn_ledger.protocol import (
    Account,
    Announced,
    BallotSkipped,
    Event,
    ExperimentCreated,
    LedgerError,
    ProtocolError,
    RoundStarted,
    SigningDomain,
    VoteCast,
)
from colearn_ledger.reference.ballots import is_settled
from colearn_ledger.reference.params import check_params
from colearn_ledger.reference.rounds import Transaction, close_vote
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.selection import ImpossibleDraw
from colearn_ledger.reference.state import ExperimentState, LedgerState

_BALLOTS = (VoteCast, BallotSkipped)


@dataclass(slots=True)
class Replayed:
    """The state to which events lead according to the rules, and what contradicts it.

    ``complete_rounds`` is the number of rounds before the first event that could not be replayed;
    it is ``None`` if all events were replayed. ``announced`` has the announcements, each with the
    round whose weights were current. ``without_call`` is the number of events whose transaction
    does not show the call that emitted them.
    """

    state: ExperimentState | None = None
    findings: list[Finding] = field(default_factory=list)
    complete_rounds: int | None = None
    announced: list[tuple[Announced, int | None]] = field(default_factory=list)
    seed_is_known: bool = True
    counts: AuditCounts = field(default_factory=AuditCounts)
    without_call: int = 0


class Replay:
    """Replays the events of one experiment.

    Args:
        domain: the ledger's signing domain.
        events: all events, in order.
        origins: what is known of the transaction of each event.
    """

    def __init__(
        self,
        domain: SigningDomain,
        events: Sequence[RecordedEvent],
        origins: Sequence[Origin | None],
    ) -> None:
        self._domain = domain
        self._events = events
        self._origins = origins
        self._rules: Rules | None = None
        self._due: deque[Event] = deque()
        self._cause: RecordedEvent | None = None
        self._failures = self._begun = 0
        self._first_failure: int | None = None
        self._is_lost = False
        self._done = Replayed()

    def run(self) -> Replayed:
        """Replay all events; stop where their meaning can no longer be known."""
        done = self._done
        for number in range(len(self._events)):
            if done.state is not None and not self._due:
                self._begun = len(done.state.rounds)
            self._check_order(number)
            known = len(done.findings)
            succeeded = self._take(number) if self._due else self._begin(number)
            if succeeded:
                self._failures, self._first_failure = 0, None
            elif self._failures or self._is_lost:
                if not self._is_lost:
                    del done.findings[known:]  # it follows from the one before
                done.complete_rounds = self._first_failure or 0
                return done
            else:
                self._failures = 1
            done.counts.events += 1
        for event in self._due:
            self._report_missing(event)
        return done

    # ------------------------------------------------------------------ events that follow

    def _take(self, number: int) -> bool:
        """Compare an event with the next one that is due; return whether the replay goes on."""
        recorded = self._events[number]
        event, due = recorded.event, self._due[0]
        if type(event) is type(due):
            self._compare(recorded, self._due.popleft())
            return True
        kinds = [type(each) for each in self._due]
        if type(event) in kinds:
            for _ in range(kinds.index(type(event))):
                self._report_missing(self._due.popleft())
            self._compare(recorded, self._due.popleft())
            return True
        later = self._events[number + 1].event if number + 1 < len(self._events) else None
        if type(later) is type(due):
            self._report(event, "does not follow from the rules", _name(due), _name(event))
            return self._fail(event)
        for each in self._due:
            self._report_missing(each)
        self._due.clear()
        return self._begin(number)

    def _compare(self, recorded: RecordedEvent, due: Event) -> None:
        event, cause = recorded.event, self._cause
        for name in (f.name for f in fields(due)):
            expected, found = getattr(due, name), getattr(event, name)
            if expected != found:
                subject = f"{name} of {_name(event)}"
                self._add(FindingKind.EVENT, due, subject, describe(expected), describe(found))
        place = recorded.transaction, recorded.time
        if cause is not None and place != (cause.transaction, cause.time):
            self._report(due, "is part of another transaction", cause.transaction, "another one")

    # ------------------------------------------------------------------ events that a call emits

    def _begin(self, number: int) -> bool:
        """Turn an event into its call and apply the rules; return whether they allow it."""
        recorded, done = self._events[number], self._done
        event = recorded.event
        if isinstance(event, ExperimentCreated) and done.state is None:
            self._create(recorded, event)
            return True
        if done.state is None:
            self._report(event, "comes before the experiment", "experiment created", _name(event))
            self._is_lost = True
            return False
        self._begun = len(done.state.rounds)
        tx = self._make_transaction(number)
        try:
            events = self._apply(tx, number)
        except ImpossibleDraw as error:
            begun = self._find_begun_round(number) or event
            self._report(begun, "is not allowed", "proposers that could be drawn", str(error))
            self._is_lost = True  # the call was applied in part
            return self._fail(begun)
        except LedgerError as error:
            if isinstance(error, ProtocolError):
                found = f"{_name(event)}, refused with {type(error).__name__}"
            else:
                found = f"{_name(event)}: {error}"
            self._report(event, "is not allowed", "an event that the rules allow here", found)
            return self._fail(event)
        self._check_origin(number)
        self._cause = recorded
        self._due.extend(events)
        if isinstance(event, _BALLOTS):
            return True
        if not self._due or type(self._due[0]) is not type(event):
            due = self._due[0] if self._due else event
            expected = _name(due) if self._due else "no event"
            subject = f"{_name(event)} does not follow from the rules"
            self._add(FindingKind.EVENT, due, subject, expected, _name(event))
            return self._fail(due)
        self._compare(recorded, self._due.popleft())
        return True

    def _fail(self, event: Event) -> bool:
        if self._first_failure is None:
            self._first_failure = self._find_round(event) or 0
        return False

    def _create(self, recorded: RecordedEvent, event: ExperimentCreated) -> None:
        try:
            check_params(event.params)
        except ProtocolError as error:
            self._report(event, "is out of bounds", "parameters within their bounds", str(error))
        state = ExperimentState(event.experiment, event.creator, event.params, recorded.time)
        self._done.state = state
        self._rules = Rules(LedgerState({state.id: state}), self._domain)
        self._check_origin(0)

    def _apply(self, tx: Transaction, number: int) -> list[Event]:
        event = self._events[number].event
        state, rules = self._done.state, self._rules
        if state is None or rules is None:
            raise LedgerError("nothing was created")
        if isinstance(event, VoteCast):
            origin = self._origins[number]
            apply_ballot(state, tx, event, origin, self._domain)
            return self._settle(tx, number)
        if isinstance(event, BallotSkipped):
            apply_skipped(state, tx, event)
            return self._settle(tx, number)
        if isinstance(event, Announced):
            accepted = state.accepted
            self._done.announced.append((event, accepted.index if accepted else None))
        call = CALLS.get(type(event))
        if call is None:
            raise LedgerError("no call emits this event first")
        return call(rules, tx, state, event)

    def _settle(self, tx: Transaction, number: int) -> list[Event]:
        """Close the round if its vote is settled. A batch is counted before that."""
        state = self._done.state
        if self._is_ballot_of(number + 1, number):
            return []
        if state is None or not is_settled(state, state.open_round, state.open_round.outstanding):
            return []
        return close_vote(state, tx, by_deadline=False)

    def _make_transaction(self, number: int) -> Transaction:
        recorded, origin, state = self._events[number], self._origins[number], self._done.state
        event = recorded.event
        caller = ACTORS.get(type(event), lambda _: None)(event)
        if caller is None:
            caller = state.creator if state is not None else Account("")
        if state is not None and state.at_random and self._lacks_salt(event, origin):
            self._done.seed_is_known = False
        entropy = None if origin is None else origin.entropy
        if entropy is not None and self._done.seed_is_known:
            return Transaction(caller, recorded.time, entropy)
        drawn = self._find_draw(number)
        return Transaction(caller, recorded.time, bytes(32), drawn)

    def _lacks_salt(self, event: Event, origin: Origin | None) -> bool:
        """Return whether an event is a reveal with an unknown salt, on which later seeds depend."""
        state = self._done.state
        is_reveal = isinstance(event, VoteCast) and state is not None and state.secret
        return is_reveal and find_salt(origin) is None

    def _find_draw(self, number: int) -> tuple[Account, ...] | None:
        """Return the drawn proposers of the round that the transaction of an event begins."""
        begun, state = self._find_begun_round(number), self._done.state
        if begun is None or state is None or not state.at_random:
            return None
        self._done.seed_is_known = False
        return begun.proposers

    def _find_begun_round(self, number: int) -> RoundStarted | None:
        """Return the next event that begins a round in the transaction of an event."""
        name = self._events[number].transaction
        for place in range(number, len(self._events)):
            recorded = self._events[place]
            if recorded.transaction != name:
                return None
            if isinstance(recorded.event, RoundStarted):
                return recorded.event
        return None

    # ------------------------------------------------------------------ checks

    def _check_origin(self, number: int) -> None:
        recorded, origin, state = self._events[number], self._origins[number], self._done.state
        if origin is None or (origin.call is None and not origin.fault):
            self._done.without_call += 1
        if origin is None or state is None:
            return
        begins = any(
            self._is_same_call(later, number)
            and isinstance(self._events[later].event, RoundStarted)
            for later in (number + 1, number + 2)
        )
        if begins and state.at_random and self._done.seed_is_known:
            self._done.counts.selections += 1
        for subject, expected, found in check_origin(
            state, recorded.event, origin, self._domain, self._done.counts, self._place(number)
        ):
            self._add(FindingKind.TRANSACTION, recorded.event, subject, expected, found)

    def _place(self, number: int) -> tuple[int, int]:
        """Return an event's position among the ballots of its transaction, and their number."""
        first = last = number
        while first and self._is_ballot_of(first - 1, number):
            first -= 1
        while self._is_ballot_of(last + 1, number):
            last += 1
        return number - first, last - first + 1

    def _is_ballot_of(self, number: int, other: int) -> bool:
        """Return whether an event is a ballot of the same call as another one."""
        is_same = self._is_same_call(number, other)
        return is_same and isinstance(self._events[number].event, _BALLOTS)

    def _is_same_call(self, number: int, other: int) -> bool:
        """Return whether there is an event of this number, of the same call as another one."""
        if number >= len(self._events):
            return False
        if self._events[number].transaction != self._events[other].transaction:
            return False
        calls = (self._origins[each] for each in (number, other))
        one, two = (each.number if each else 0 for each in calls)
        return one == two

    def _check_order(self, number: int) -> None:
        if number == 0:
            return
        before, recorded = self._events[number - 1], self._events[number]
        if recorded.cursor <= before.cursor or recorded.time < before.time:
            expected = f"a place after {before.cursor} and a time from {before.time} on"
            found = f"place {recorded.cursor}, time {recorded.time}"
            self._report(recorded.event, "is out of order", expected, found)

    def _report_missing(self, due: Event) -> None:
        self._report(due, "is missing", _name(due), "no such event")

    def _report(self, event: Event, what: str, expected: str, found: str) -> None:
        self._add(FindingKind.EVENT, event, f"{_name(event)} {what}", expected, found)

    def _add(
        self, kind: FindingKind, event: Event, subject: str, expected: str, found: str
    ) -> None:
        meaning = meaning_of_event(kind, event)
        place = self._find_round(event)
        self._done.findings.append(Finding(kind, place, subject, expected, found, meaning))

    def _find_round(self, event: Event) -> int | None:
        """Return the round of an event, at most the current one; ``None`` before the start."""
        own: int | None = getattr(event, "round", None)
        if own is None:
            return self._begun - 1 if self._begun else None
        rounds = self._done.state.rounds if self._done.state is not None else []
        begins = isinstance(event, RoundStarted) and rounds and rounds[-1].closed_at is not None
        return min(own, len(rounds) - (not begins)) if rounds else own


def _name(event: Event) -> str:
    kind = type(event).__name__
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()
