"""Frauds in the events that a ledger returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from colearn_ledger.ledger import RecordedEvent
from colearn_ledger.protocol import (
    Account,
    Announced,
    BallotSkipped,
    ContentRef,
    Event,
    ExperimentCreated,
    ExperimentStarted,
    LearnerAdmitted,
    LearnerJoined,
    LearnerLeft,
    Outcome,
    ProposalDeclined,
    RevealStarted,
    RoundClosed,
    RoundStarted,
    Scores,
    Selection,
    Vote,
    VoteCast,
    VoteCommitted,
    VotingStarted,
    WeightsProposed,
)
from tests.support.frauds.cases import Case, Fraud, Kinds, NotHere, alter, alter_content
from tests.support.samples import wallet_of

EVENTS = Kinds()


def _at(case: Case, at: int, what: str, *others: int | None) -> Fraud:
    """Return a fraud at an event, which may as well be found in other rounds."""
    name = type(case.events[at].event).__name__
    return Fraud(f"{what}: {name} at {at}", frozenset({case.places[at], *others}))


def _change(case: Case, at: int, name: str, change: Callable[[Any], Any]) -> Fraud:
    case.set_event(at, **{name: change(getattr(case.events[at].event, name))})
    return _at(case, at, name)


def stranger_of(case: Case) -> Account:
    """Return an account that never joined."""
    return wallet_of("stranger").account_on(case.ledger.domain)


# ---------------------------------------------------------------------- changed fields


@EVENTS.add("event: tally")
def tally(case: Case) -> Fraud:
    def change(counts: tuple[int, ...]) -> tuple[int, ...]:
        slot = case.random.randrange(len(counts))
        return (*counts[:slot], alter(case.random, counts[slot]), *counts[slot + 1 :])

    return _change(case, case.pick_event(RoundClosed), "approvals", change)


@EVENTS.add("event: outcome")
def outcome(case: Case) -> Fraud:
    at = case.pick_event(RoundClosed)
    if case.random.random() < 0.5:
        return _change(case, at, "accepted", lambda bits: bits ^ 1 << case.random.randrange(3))
    return _change(
        case, at, "outcome", lambda found: case.pick(set(Outcome) - {found, Outcome.NONE})
    )


@EVENTS.add("event: ballot")
def ballot(case: Case) -> Fraud:
    bit = 1 << case.random.randrange(3)
    return _change(
        case,
        case.pick_event(VoteCast),
        "vote",
        lambda vote: replace(vote, approvals=vote.approvals ^ bit),
    )


def alter_scores(case: Case, scores: Scores) -> Scores:
    return case.pick((replace(scores, vote_score=2.5), replace(scores, test_score=-3.0)))


@EVENTS.add("event: score", needs_calls=True)
def score(case: Case) -> Fraud:
    def change(vote: Vote) -> Vote:
        place = case.random.randrange(len(vote.scores))
        new = alter_scores(case, vote.scores[place])
        return replace(vote, scores=(*vote.scores[:place], new, *vote.scores[place + 1 :]))

    at = case.pick_event(VoteCast, WeightsProposed)
    if isinstance(case.events[at].event, VoteCast):
        return _change(case, at, "vote", change)
    return _change(case, at, "scores", lambda scores: alter_scores(case, scores))


@EVENTS.add("event: deadline")
def deadline(case: Case) -> Fraud:
    at = case.pick_event(RoundStarted, VotingStarted, RevealStarted)
    return _change(case, at, "deadline", lambda time: alter(case.random, time))


@EVENTS.add("event: content reference")
def content(case: Case) -> Fraud:
    known = [e.event.content for e in case.events if isinstance(e.event, WeightsProposed)]

    def change(found: ContentRef) -> ContentRef:
        others = [each for each in known if each != found]
        if others and case.random.random() < 0.3:
            return case.pick(others)
        return alter_content(case.random, found)

    return _change(case, case.pick_event(WeightsProposed), "content", change)


@EVENTS.add("event: digest of the proposals")
def digest(case: Case) -> Fraud:
    at = case.pick_event(VotingStarted)
    return _change(case, at, "proposals", lambda value: alter(case.random, value))


@EVENTS.add("event: electorate and majority")
def electorate(case: Case) -> Fraud:
    at = case.pick_event(RoundStarted, RoundClosed)
    names = ("eligible", "needed") if isinstance(case.events[at].event, RoundStarted) else ()
    return _change(case, at, case.pick(names or ("eligible",)), lambda n: alter(case.random, n))


@EVENTS.add("event: proposers")
def proposers(case: Case) -> Fraud:
    """Put another account into a slot of a round, or leave a slot out."""
    at = case.pick_event(RoundStarted)

    is_drawn = case.experiment.params.selection == Selection.RANDOM

    def change(names: tuple[Account, ...]) -> tuple[Account, ...]:
        others = [row.account for row in case.learners if row.account not in names]
        slot = case.random.randrange(len(names))
        how = case.random.randrange(3)
        if how == 0 and len(names) > 1:
            return (*names[:slot], *names[slot + 1 :])
        # without the entropy, any other learner may have been drawn
        takes_other = bool(others) and how == 1 and (case.has_calls or not is_drawn)
        other = case.pick(others) if takes_other else stranger_of(case)
        return (*names[:slot], other, *names[slot + 1 :])

    return _change(case, at, "proposers", change)


@EVENTS.add("event: commitment", needs_calls=True)
def commitment(case: Case) -> Fraud:
    at = case.pick_event(VoteCommitted)
    return _change(case, at, "commitment", lambda value: alter(case.random, value))


@EVENTS.add("event: actor")
def actor(case: Case) -> Fraud:
    """Name another account in an event of a round."""
    kinds = (VoteCast, VoteCommitted, WeightsProposed, ProposalDeclined, LearnerLeft)
    at = case.pick_event(*kinds)
    event = case.events[at].event
    name = "proposer" if isinstance(event, WeightsProposed | ProposalDeclined) else "learner"
    found = getattr(event, name)
    others = [row.account for row in case.learners if row.account != found]
    other = case.pick((stranger_of(case), case.pick(others)))
    return _change(case, at, name, lambda _: other)


@EVENTS.add("event: learner")
def learner(case: Case) -> Fraud:
    """Change who joined, or its index."""
    at = case.pick_event(LearnerJoined)
    rounds: tuple[int | None, ...] = ()
    if case.random.random() < 0.5:
        return _change(case, at, "index", lambda n: alter(case.random, n))
    if not case.has_calls:  # it shows once the true learner acts, or is selected
        rounds = tuple(range(case.places[at] or 0, case.last + 1))
    case.set_event(at, learner=stranger_of(case))
    return _at(case, at, "learner", *rounds)


@EVENTS.add("event: slot")
def slot(case: Case) -> Fraud:
    at = case.pick_event(WeightsProposed, ProposalDeclined)
    return _change(case, at, "slot", lambda n: alter(case.random, n))


@EVENTS.add("event: rules")
def rules(case: Case) -> Fraud:
    [at] = [i for i, e in enumerate(case.events) if isinstance(e.event, ExperimentCreated)]
    name = case.pick(("approval_bps", "rounds", "vote_window", "spec", "late_join"))
    fraud = _change(
        case,
        at,
        "params",
        lambda params: replace(params, **{name: alter(case.random, getattr(params, name))}),
    )
    # without the call, the events contradict the false rules before the state does
    return replace(fraud, is_first=case.has_calls)


# ---------------------------------------------------------------------- lists


def _is_checked(case: Case, event: Event) -> bool:
    """Return whether an audit notices that an event is missing; docs/audit.md names the others."""
    if isinstance(event, BallotSkipped):
        return case.has_calls
    return not isinstance(event, Announced)


@EVENTS.add("event dropped")
def dropped(case: Case) -> Fraud:
    at = case.pick_event(Event, where=lambda event: _is_checked(case, event))
    case.set_events([*case.events[:at], *case.events[at + 1 :]])
    return _at(case, at, "dropped", *_list_later(case, at))


def _list_later(case: Case, at: int) -> tuple[int | None, ...]:
    """Return the rounds in which it shows that an account was not admitted or did not join."""
    event = case.events[at].event
    if isinstance(event, ExperimentStarted):
        return (0,)  # round 0 begins in the same call
    if not isinstance(event, LearnerJoined | LearnerAdmitted):
        return ()
    for place in range(at + 1, len(case.events)):
        if getattr(case.events[place].event, "learner", None) == event.learner:
            return tuple(range(case.places[at] or 0, (case.places[place] or 0) + 1))
    return tuple(range(case.last + 1))


@EVENTS.add("event doubled")
def doubled(case: Case) -> Fraud:
    at = case.pick_event(Event, where=lambda event: _is_checked(case, event))
    again = replace(case.events[at], cursor=case.events[at].cursor + 1)
    case.set_events([*case.events[: at + 1], again, *case.events[at + 1 :]])
    is_start = isinstance(case.events[at].event, ExperimentStarted)
    return _at(case, at, "doubled", *((0,) if is_start else ()))


@EVENTS.add("events reordered")
def reordered(case: Case) -> Fraud:
    """Swap an event with the next one, with their transactions and times but not their places."""
    at = case.pick(at for at in range(len(case.events) - 1) if _order_matters(case, at))
    first, second = case.events[at : at + 2]
    swapped = [replace(second, cursor=first.cursor), replace(first, cursor=second.cursor)]
    case.set_events([*case.events[:at], *swapped, *case.events[at + 2 :]])
    others = {case.places[at + 1]}
    for each, place in zip((first, second), case.places[at:], strict=False):
        if isinstance(each.event, RoundStarted) and place:
            others.add(place - 1)  # the other event is in the round before now
    return _at(case, at, "swapped", *others)


def _order_matters(case: Case, at: int) -> bool:
    first, second = case.events[at : at + 2]
    if first.time != second.time:
        return True
    is_caused = isinstance(second.event, VotingStarted | RoundClosed | RoundStarted | RevealStarted)
    return is_caused and first.transaction == second.transaction


@EVENTS.add("event invented")
def invented(case: Case) -> Fraud:
    """Put an event between two others, which is in its own transaction or in that before it."""
    at = case.random.randrange(1, len(case.events))
    before = case.events[at - 1]
    event = _invent(case, at)
    own = "0x" + case.random.randbytes(32).hex()
    transaction = case.pick((own, before.transaction))
    found = RecordedEvent(before.cursor + 1, before.time, transaction, event)
    case.set_events([*case.events[:at], found, *case.events[at:]])
    place = getattr(event, "round", case.places[at - 1])
    return Fraud(f"{type(event).__name__} invented at {at}", frozenset({place}))


def _invent(case: Case, at: int) -> Event:
    """Return an event that cannot have happened there."""
    begun, learners = case.places[at - 1], [row.account for row in case.learners]
    if begun is None:
        known = [e.event for e in case.events[:at]]
        joined = {e.learner for e in known if isinstance(e, LearnerJoined)}
        return LearnerLeft(case.id, case.pick((stranger_of(case), *(set(learners) - joined))))
    slots = case.rounds[begun].slots
    contents = [s.content for s in slots if s.content]
    vote = Vote(1, (Scores(1.0, 1.0),) * (1 + len(contents)))
    voted = [e.event for e in case.events[:at] if isinstance(e.event, VoteCast)]
    options: list[Event] = [
        VoteCast(case.id, begun, stranger_of(case), vote),
        LearnerLeft(case.id, stranger_of(case)),
        ProposalDeclined(case.id, begun, stranger_of(case), 0),
        *(e for e in voted if e.round == begun),
        RoundClosed(case.id, begun, Outcome.ACCEPTED, 1, (9,) * len(slots), 3),
    ]
    if contents:
        options.append(WeightsProposed(case.id, begun, stranger_of(case), 0, contents[0], Scores()))
    return case.pick(options)


@EVENTS.add("log truncated")
def truncated_log(case: Case) -> Fraud:
    at = case.random.randrange(1, len(case.events))
    case.set_events(case.events[:at])
    return _at(case, at, "truncated", *_list_until_state(case, at))


def _list_until_state(case: Case, at: int) -> tuple[int | None, ...]:
    """Return the rounds in which the state first shows more than the events before one led to.

    The events that follow in the same call are missing in the round of the call.
    """
    before = case.places[at - 1]
    return (0, None) if before is None else (before, min(before + 1, case.last))


@EVENTS.add("page of events truncated")
def truncated_page(case: Case) -> Fraud:
    """Leave out a few events, as if a page had ended early."""
    at = case.pick_event(Event, where=lambda event: _is_checked(case, event))
    number = case.random.randrange(2, 6)
    if not any(_is_checked(case, e.event) for e in case.events[at : at + number]):
        raise NotHere
    case.set_events([*case.events[:at], *case.events[at + number :]])
    later = [
        place
        for i in range(at, min(at + number, len(case.events)))
        for place in _list_later(case, i)
    ]
    return _at(case, at, f"{number} events missing", *later)


@EVENTS.add("time of an event")
def moved_in_time(case: Case) -> Fraud:
    at = case.random.randrange(len(case.events))
    changed = case.events[at].time + case.pick((-10_000, 10_000))
    events = [*case.events]
    events[at] = replace(events[at], time=changed)
    case.set_events(events)
    later = case.places[min(at + 1, len(case.events) - 1)]
    return _at(case, at, "moved in time", later)


@EVENTS.add("place of an event")
def moved(case: Case) -> Fraud:
    at = case.random.randrange(1, len(case.events))
    events = [*case.events]
    cursor = events[at - 1].cursor - case.pick((0, 1, 4))
    events[at] = replace(events[at], cursor=max(0, cursor))
    case.set_events(events)
    return _at(case, at, "moved to another place")


@EVENTS.add("transaction of an event", needs_calls=True)
def other_transaction(case: Case) -> Fraud:
    at = case.pick_event(VoteCast, WeightsProposed, VoteCommitted, LearnerJoined, RoundStarted)
    names = {e.transaction for e in case.events} - {case.events[at].transaction}
    events = [*case.events]
    events[at] = replace(events[at], transaction=case.pick(sorted(names)))
    case.set_events(events)
    return _at(case, at, "in another transaction", case.places[at - 1])


@EVENTS.add("another chain's events")
def other_chain(case: Case) -> Fraud:
    """Return the events of another chain, of the same shape, in one round."""
    other = case.pick(case.others)
    foreign = Case(other, (), case.random)
    index = case.pick(row.index for row in case.rounds if row.index <= foreign.last)
    inside = [e for e, p in zip(foreign.events, foreign.places, strict=True) if p == index]
    before = [e for e, p in zip(case.events, case.places, strict=True) if _precedes(p, index)]
    after = [e for e, p in zip(case.events, case.places, strict=True) if _precedes(index, p)]
    renamed = [replace(e, event=replace(e.event, experiment=case.id)) for e in inside]
    own = [e for e, p in zip(case.events, case.places, strict=True) if p == index]
    if [(e.time, e.event) for e in renamed] == [(e.time, e.event) for e in own]:
        raise NotHere
    joined = [*before, *renamed, *after]
    case.set_events([replace(e, cursor=4 * n) for n, e in enumerate(joined)])
    # the next round, which begins in the call that closes this one, contradicts it, too
    return Fraud(f"round {index} of another chain", frozenset({index}), is_first=False)


def _precedes(place: int | None, other: int | None) -> bool:
    return other is not None and (place is None or place < other)
