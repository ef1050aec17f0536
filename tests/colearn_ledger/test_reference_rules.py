"""The rules of the reference: no state is stuck, and the invariants survive any calls."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_ledger.protocol import (
    Account,
    Basis,
    ExperimentId,
    ExperimentParams,
    Merge,
    Outcome,
    Phase,
    ProtocolError,
    RoundClosed,
    Scores,
    Selection,
    SigningDomain,
    Status,
    Vote,
    VoteCast,
    commitment_hash,
)
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.state import ExperimentState, LedgerState, RoundState
from tests.support.samples import content_of

E = ExperimentId(1)
DOMAIN = SigningDomain(0, Account("0x" + "11" * 20), bytes(32))
PEOPLE = [Account(f"0x{i:040x}") for i in range(1, 5)]
CREATOR = PEOPLE[0]
WINDOW = 10
SALT = b"s" * 32


WEIGHTS = [content_of(f"weights {i}") for i in range(40)]
PARAMS = ExperimentParams(
    "x",
    content_of("spec"),
    content_of("initial"),
    rounds=2,
    min_learners=2,
    max_learners=3,
    propose_window=WINDOW,
    vote_window=WINDOW,
    late_join=True,
    max_strikes=1,
)


def calls_of(
    experiment: ExperimentState, account: Account
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the calls that an account may try."""
    index = max(len(experiment.rounds) - 1, 0)
    round_ = experiment.rounds[-1] if experiment.rounds else None
    yield "join", (experiment.hash, bytes(32))
    yield "leave", ()
    yield "advance", ()
    if account == CREATOR:
        yield "start", ()
    if account == CREATOR:
        yield "cancel", ()
    yield "propose", (index, WEIGHTS[index], Scores())
    yield "decline", (index,)
    contents = round_.contents if round_ else {}
    basis = Basis(E, index, (round_ and round_.proposals) or bytes(32))
    for approvals in {0, *list_approvals(experiment, account)}:
        vote = Vote(approvals, (Scores(),) * (1 + len(contents)))
        yield "vote", (index, basis.proposals, vote)
        yield (
            "commit",
            (index, basis.proposals, commitment_hash(DOMAIN, basis, account, vote, SALT)),
        )
        yield "reveal", (index, vote, SALT)
    yield "remove", (PEOPLE[1],)


def list_approvals(experiment: ExperimentState, account: Account) -> list[int]:
    """Return the bitmaps of one slot, and of all slots, that an account may approve."""
    if not experiment.rounds:
        return [1]
    slots = experiment.rounds[-1].slots
    allowed = [1 << i for i, slot in enumerate(slots) if slot.content and slot.proposer != account]
    return [*allowed, sum(allowed)]


def attempt(
    state: LedgerState, time: int, account: Account, call: str, arguments: tuple[object, ...]
) -> tuple[LedgerState, bool]:
    """Make a call on a copy of a state; return the copy, and whether the call was accepted."""
    after = copy_of(state)
    try:
        getattr(Rules(after, DOMAIN), call)(Transaction(account, time, b"e" * 32), E, *arguments)
    except ProtocolError:
        return after, False
    return after, True


def copy_of(state: LedgerState) -> LedgerState:
    experiment = state.experiments[E]
    rounds = [
        replace(
            r,
            slots=[replace(slot) for slot in r.slots],
            commitments=dict(r.commitments),
            ballots=dict(r.ballots),
        )
        for r in experiment.rounds
    ]
    copied = replace(
        experiment,
        admitted=set(experiment.admitted),
        members={account: replace(member) for account, member in experiment.members.items()},
        active=list(experiment.active),
        rounds=rounds,
        accepted=rounds[experiment.accepted.index] if experiment.accepted else None,
    )
    return LedgerState({E: copied})


def fingerprint(state: LedgerState, time: int) -> object:
    """Return the part of a state that the rules depend on, to recognise known states.

    It contains the time left to the deadline instead of the time, and the number of closed rounds.
    """
    experiment = state.experiments[E]
    round_ = experiment.open_round if experiment.rounds else None
    seen = None
    if experiment.status == Status.RUNNING and round_ is not None:
        left = max(round_.deadline - time, 0)
        ballots = frozenset(round_.ballots.items())
        seen = (
            round_.phase,
            tuple((slot.proposer, slot.state) for slot in round_.slots),
            round_.needed,
            left,
            ballots,
            frozenset(round_.commitments),
        )
    members = frozenset(
        (
            *(m.account, m.active, m.from_round, m.until_round),
            *(min(m.missed_proposals, 1), min(m.missed_ballots, 1)),
        )
        for m in experiment.members.values()
    )
    return (
        experiment.status,
        len(experiment.rounds),
        experiment.position,
        experiment.cancel_requested,
        experiment.accepted.index if experiment.accepted else None,
        tuple(experiment.active),
        members,
        seen,
    )


def can_be_ended(state: LedgerState, time: int) -> bool:
    """Return whether time and an outsider's calls of `advance` end the experiment."""
    for _ in range(3 * state.experiments[E].params.rounds + 1):
        experiment = state.experiments[E]
        if experiment.status != Status.RUNNING:
            return experiment.status in (Status.COMPLETED, Status.CANCELLED)
        time = max(time, experiment.open_round.deadline)
        state, accepted = attempt(state, time, Account("0x" + "ff" * 20), "advance", ())
        if not accepted:
            return False
    return False


@pytest.mark.parametrize("proposers", [1, 2])
@pytest.mark.parametrize("settle_early", [False, True])
@pytest.mark.parametrize("reveal_window", [0, WINDOW])
def test_time_and_advance_end_the_experiment_from_every_reachable_state(
    reveal_window: int, settle_early: bool, proposers: int, is_long: bool
) -> None:
    people = 3 if is_long and proposers == 1 else 2
    params = replace(
        PARAMS,
        rounds=2 if is_long or proposers == 1 else 1,
        max_learners=people + 1,
        reveal_window=reveal_window,
        settle_early=settle_early,
        proposers=proposers,
        approval_bps=10_000,
    )
    state = LedgerState()
    Rules(state, DOMAIN).create(Transaction(CREATOR, 0, bytes(32)), params)
    queue, seen = deque([(state, 0)]), {fingerprint(state, 0)}
    ends = set()
    while queue:
        state, time = queue.popleft()
        experiment = state.experiments[E]
        if experiment.status != Status.ENROLLING:
            assert can_be_ended(state, time)
            ends.add(experiment.status)
        for account in PEOPLE[:people]:
            for call, arguments in calls_of(experiment, account):
                after, accepted = attempt(state, time, account, call, arguments)
                if not accepted:
                    assert after == state  # a refused call changes nothing
                    continue
                mark = fingerprint(after, time)
                if mark not in seen:
                    seen.add(mark)
                    queue.append((after, time))
        if experiment.status == Status.RUNNING and time < experiment.open_round.deadline:
            late = experiment.open_round.deadline
            mark = fingerprint(state, late)
            if mark not in seen:
                seen.add(mark)
                queue.append((state, late))
    assert ends == {Status.RUNNING, Status.COMPLETED, Status.CANCELLED}


def test_seed_is_derived_from_entropy_and_revealed_salts() -> None:
    params = replace(PARAMS, rounds=9, selection=Selection.RANDOM, reveal_window=WINDOW)
    rules = Rules(state := LedgerState(), DOMAIN)
    rules.create(Transaction(CREATOR, 0, bytes(32)), params)
    for account in PEOPLE[:3]:  # the third learner starts the experiment
        rules.join(Transaction(account, 0, b"1" * 32), E, state.experiments[E].hash, bytes(32))
    experiment = state.experiments[E]
    seed = hashlib.sha256(DOMAIN.separator + E.to_bytes(8, "big") + b"1" * 32).digest()
    assert experiment.seed == seed
    draw = hashlib.sha256(seed + b"\0").digest()
    proposer = experiment.open_round.slots[0].proposer
    assert proposer == PEOPLE[int.from_bytes(draw, "big") % 3]

    voters = [account for account in PEOPLE[:3] if account != proposer]
    salts, vote = [b"a" * 32, b"b" * 32], Vote(1, (Scores(), Scores()))
    basis = Basis(E, 0, bytes.fromhex(WEIGHTS[0].sha256))
    rules.propose(Transaction(proposer, 1, bytes(32)), E, 0, WEIGHTS[0], Scores())
    for account, salt in zip(voters, salts, strict=True):
        commitment = commitment_hash(DOMAIN, basis, account, vote, salt)
        rules.commit(Transaction(account, 2, bytes(32)), E, 0, basis.proposals, commitment)
    for account, salt in zip(voters, salts, strict=True):
        rules.reveal(Transaction(account, 3, account.encode()[-32:]), E, 0, vote, salt)
    closing = voters[1].encode()[-32:]
    assert experiment.seed == hashlib.sha256(seed + closing + b"\x03" * 32).digest()
    assert len(experiment.rounds) == 2


@st.composite
def histories(draw: st.DrawFn) -> tuple[ExperimentParams, list[tuple[int, int, int]]]:
    """Draw parameters and steps: an account, one of its calls, and the seconds before it."""
    params = replace(
        PARAMS,
        rounds=draw(st.integers(1, 4)),
        max_learners=draw(st.integers(2, 4)),
        approval_bps=draw(st.integers(1, 10_000)),
        reveal_window=draw(st.sampled_from([0, WINDOW])),
        selection=draw(st.sampled_from(Selection)),
        proposers=draw(st.integers(1, 4)),
        merge=draw(st.sampled_from(Merge)),
        late_join=draw(st.booleans()),
        settle_early=draw(st.booleans()),
        max_strikes=draw(st.integers(0, 2)),
        patience=draw(st.sampled_from([0, 0, 1, 2])),
    )
    step = st.tuples(st.integers(0, 3), st.integers(0, 30), st.sampled_from([0, 0, 0, 1, WINDOW]))
    return params, draw(st.lists(step, max_size=60))


@settings(max_examples=120, deadline=None)
@given(histories())
def test_invariants_hold_after_any_calls(
    history: tuple[ExperimentParams, list[tuple[int, int, int]]],
) -> None:
    params, steps = history
    state = LedgerState()
    Rules(state, DOMAIN).create(Transaction(CREATOR, 0, bytes(32)), params)
    experiment, time = state.experiments[E], 0
    events = []
    closed: dict[int, str] = {}
    for person, choice, seconds in steps:
        time += seconds
        options = list(calls_of(experiment, PEOPLE[person]))
        call, arguments = options[choice % len(options)]
        before = repr(state)
        tx = Transaction(PEOPLE[person], time, hashlib.sha256(str(time).encode()).digest())
        try:
            events += getattr(Rules(state, DOMAIN), call)(tx, E, *arguments)
        except ProtocolError:
            assert repr(state) == before
        check_invariants(experiment)
        for index, shown in closed.items():
            assert repr(experiment.rounds[index]) == shown  # a closed round never changes
        closed |= {r.index: repr(r) for r in experiment.rounds if r.phase == Phase.CLOSED}
    check_events(experiment, events)
    if experiment.status != Status.ENROLLING:
        assert can_be_ended(state, time)


def check_invariants(experiment: ExperimentState) -> None:
    assert len(experiment.active) <= experiment.params.max_learners
    assert sorted(experiment.active) == sorted(
        m.account for m in experiment.members.values() if m.active
    )
    assert [r.index for r in experiment.rounds] == list(range(len(experiment.rounds)))
    assert len(experiment.rounds) <= experiment.params.rounds
    assert all(r.phase == Phase.CLOSED for r in experiment.rounds[:-1])
    assert (experiment.status == Status.RUNNING) == bool(
        experiment.rounds and experiment.rounds[-1].phase != Phase.CLOSED
    )
    for round_ in experiment.rounds:
        electorate = [m for m in experiment.members.values() if m.in_electorate(round_.index)]
        assert len(electorate) == round_.eligible + 1
        assert 1 <= round_.needed <= round_.eligible
        assert len({slot.proposer for slot in round_.slots}) == len(round_.slots)
        contents = round_.contents
        proposers = [round_.slots[slot].proposer for slot in contents]
        voters = {m.account for m in electorate} - set(proposers if len(proposers) == 1 else [])
        assert set(round_.ballots) | set(round_.commitments) <= voters
        assert len(voters) == round_.voters or not contents
        for account, approvals in round_.ballots.items():
            own = round_.slot_of(account)
            assert not approvals & ~sum(1 << slot for slot in contents if slot != own)
        if experiment.secret:
            assert set(round_.ballots) <= set(round_.commitments)
        if round_.outcome in (Outcome.ACCEPTED, Outcome.REJECTED):
            check_outcome(experiment, round_)
        else:
            assert round_.accepted == ()
    accepted = [r for r in experiment.rounds if r.outcome == Outcome.ACCEPTED]
    initial = experiment.params.initial
    current = [accepted[-1].contents[slot] for slot in accepted[-1].accepted] if accepted else []
    assert experiment.current == tuple(current or [initial])


def check_outcome(experiment: ExperimentState, round_: RoundState) -> None:
    counts = {slot: round_.approvals(slot) for slot in round_.contents}
    passed = [slot for slot, count in counts.items() if count >= round_.needed]
    if experiment.params.merge == Merge.BEST and passed:
        most = max(counts[slot] for slot in passed)
        passed = [min(slot for slot in passed if counts[slot] == most)]
    assert round_.accepted == tuple(passed)
    assert (round_.outcome == Outcome.ACCEPTED) == bool(passed)


def check_events(experiment: ExperimentState, events: list[object]) -> None:
    """Check that the events alone describe every ballot and outcome."""
    for round_ in experiment.rounds:
        cast = {
            v.learner: v.vote.approvals
            for v in events
            if isinstance(v, VoteCast) and v.round == round_.index
        }
        assert cast == round_.ballots
        ends = [v for v in events if isinstance(v, RoundClosed) and v.round == round_.index]
        if round_.phase == Phase.CLOSED:
            assert ends == [
                RoundClosed(
                    E,
                    round_.index,
                    round_.outcome,
                    sum(1 << slot for slot in round_.accepted),
                    tuple(round_.approvals(slot) for slot in range(len(round_.slots))),
                    round_.eligible,
                )
            ]
        else:
            assert ends == []
