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
    ExperimentId,
    ExperimentParams,
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
from colearn_ledger.reference.state import ExperimentState, LedgerState
from tests.support.samples import content_of

E = ExperimentId(1)
DOMAIN = SigningDomain(0, Account("0x" + "11" * 20), bytes(32))
PEOPLE = [Account(f"0x{i:040x}") for i in range(1, 5)]
CREATOR = PEOPLE[0]
WINDOW = 10
SALT = b"s" * 32


WEIGHTS = [content_of(f"weights {i}") for i in range(40)]
PARAMS = ExperimentParams(
    "x", content_of("spec"), None, 2, 2, 3, 5_000, WINDOW, WINDOW, late_join=True, max_strikes=1
)


def calls_of(
    experiment: ExperimentState, account: Account
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the calls that an account may try."""
    index = max(len(experiment.rounds) - 1, 0)
    yield "join", (bytes(32),)
    yield "leave", ()
    yield "advance", ()
    if account == CREATOR:
        yield "start", ()
    yield "propose", (index, WEIGHTS[index], Scores())
    for approve in (True, False):
        ballot = (Vote(approve), SALT)
        yield "vote", (index, Vote(approve))
        yield "commit", (index, commitment_hash(DOMAIN, E, index, account, *ballot))
        yield "reveal", (index, *ballot)
    yield "remove", (PEOPLE[1],)


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
        replace(r, commitments=dict(r.commitments), ballots=dict(r.ballots))
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
            round_.proposer,
            round_.needed,
            left,
            ballots,
            frozenset(round_.commitments),
        )
    members = frozenset(
        (m.account, m.active, m.from_round, m.until_round, min(m.strikes, 1))
        for m in experiment.members.values()
    )
    return (
        experiment.status,
        len(experiment.rounds),
        experiment.position,
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


@pytest.mark.parametrize("settle_early", [False, True])
@pytest.mark.parametrize("reveal_window", [0, WINDOW])
def test_time_and_advance_end_the_experiment_from_every_reachable_state(
    reveal_window: int, settle_early: bool, is_long: bool
) -> None:
    people = 3 if is_long else 2
    params = replace(
        PARAMS,
        max_learners=people + 1,
        reveal_window=reveal_window,
        settle_early=settle_early,
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
        rules.join(Transaction(account, 0, b"1" * 32), E, bytes(32))
    experiment = state.experiments[E]
    seed = hashlib.sha256(DOMAIN.separator + E.to_bytes(8, "big") + b"1" * 32).digest()
    assert experiment.seed == seed
    assert experiment.open_round.proposer == PEOPLE[int.from_bytes(seed, "big") % 3]

    voters = [account for account in PEOPLE[:3] if account != experiment.open_round.proposer]
    salts = [b"a" * 32, b"b" * 32]
    rules.propose(
        Transaction(experiment.open_round.proposer, 1, bytes(32)), E, 0, WEIGHTS[0], Scores()
    )
    for account, salt in zip(voters, salts, strict=True):
        commitment = commitment_hash(DOMAIN, E, 0, account, Vote(True), salt)
        rules.commit(Transaction(account, 2, bytes(32)), E, 0, commitment)
    for account, salt in zip(voters, salts, strict=True):
        rules.reveal(Transaction(account, 3, account.encode()[-32:]), E, 0, Vote(True), salt)
    closing = voters[1].encode()[-32:]
    assert experiment.seed == hashlib.sha256(seed + closing + b"\x03" * 32).digest()
    assert len(experiment.rounds) == 2


@st.composite
def histories(draw: st.DrawFn) -> tuple[ExperimentParams, list[tuple[int, int, int]]]:
    """Draw parameters and steps: an account, one of its calls, and the seconds before it."""
    params = ExperimentParams(
        "x",
        content_of("spec"),
        None,
        draw(st.integers(1, 4)),
        2,
        draw(st.integers(2, 4)),
        draw(st.integers(1, 10_000)),
        WINDOW,
        WINDOW,
        draw(st.sampled_from([0, WINDOW])),
        draw(st.sampled_from(Selection)),
        late_join=draw(st.booleans()),
        settle_early=draw(st.booleans()),
        max_strikes=draw(st.integers(0, 2)),
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
        assert len(round_.ballots) <= round_.eligible
        voters = {m.account for m in electorate} - {round_.proposer}
        assert set(round_.ballots) | set(round_.commitments) <= voters
        if experiment.secret:
            assert set(round_.ballots) <= set(round_.commitments)
        if round_.outcome in (Outcome.ACCEPTED, Outcome.REJECTED):
            assert (round_.outcome == Outcome.ACCEPTED) == (round_.approvals >= round_.needed)
    accepted = [r for r in experiment.rounds if r.outcome == Outcome.ACCEPTED]
    assert experiment.current == (accepted[-1].content if accepted else experiment.params.initial)


def check_events(experiment: ExperimentState, events: list[object]) -> None:
    """Check that the events alone describe every ballot and outcome."""
    for round_ in experiment.rounds:
        cast = {
            v.learner: v.vote.approve
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
                    round_.approvals,
                    round_.rejections,
                    round_.eligible,
                )
            ]
        else:
            assert ends == []
