"""The reference rules themselves: no stuck state, and what holds after any calls."""

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
    ContentRef,
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

E = ExperimentId(1)
DOMAIN = SigningDomain(0, Account("0x" + "11" * 20), bytes(32))
PEOPLE = [Account(f"0x{i:040x}") for i in range(1, 5)]
CREATOR = PEOPLE[0]
WINDOW = 10
SALT = b"s" * 32


def content_of(text: str) -> ContentRef:
    digest = hashlib.sha256(text.encode()).digest()
    return ContentRef.from_digest(0x55, digest, digest.hex(), len(text))


WEIGHTS = [content_of(f"weights {i}") for i in range(40)]
PARAMS = ExperimentParams(
    "x", content_of("spec"), None, 2, 2, 3, 5_000, WINDOW, WINDOW, late_join=True, max_strikes=1
)


def calls_of(e: ExperimentState, account: Account) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the calls that an account may try."""
    index = max(len(e.rounds) - 1, 0)
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
    """Return the state after a call, and whether it was taken; the given state stays as it is."""
    after = copy_of(state)
    try:
        getattr(Rules(after, DOMAIN), call)(Transaction(account, time, b"e" * 32), E, *arguments)
    except ProtocolError:
        return after, False
    return after, True


def copy_of(state: LedgerState) -> LedgerState:
    e = state.experiments[E]
    rounds = [
        replace(r, commitments=dict(r.commitments), ballots=dict(r.ballots)) for r in e.rounds
    ]
    copied = replace(
        e,
        admitted=set(e.admitted),
        members={account: replace(member) for account, member in e.members.items()},
        active=list(e.active),
        rounds=rounds,
        accepted=rounds[e.accepted.index] if e.accepted else None,
    )
    return LedgerState({E: copied})


def fingerprint(state: LedgerState, time: int) -> object:
    """Return what the rules can see of a state, so that different ways to it meet.

    Of time only what is left to the deadline; of closed rounds nothing but how many there are.
    """
    e = state.experiments[E]
    held = e.open_round if e.rounds else None
    seen = None
    if e.status == Status.RUNNING and held is not None:
        left = max(held.deadline - time, 0)
        ballots = frozenset(held.ballots.items())
        seen = (held.phase, held.proposer, held.needed, left, ballots, frozenset(held.commitments))
    members = frozenset(
        (m.account, m.active, m.from_round, m.until_round, min(m.strikes, 1))
        for m in e.members.values()
    )
    return e.status, len(e.rounds), e.position, tuple(e.active), members, seen


def comes_to_an_end(state: LedgerState, time: int) -> bool:
    """Tell whether time and `advance`, by an account that is nobody, end the experiment."""
    for _ in range(3 * state.experiments[E].params.rounds + 1):
        e = state.experiments[E]
        if e.status != Status.RUNNING:
            return e.status in (Status.COMPLETED, Status.CANCELLED)
        time = max(time, e.open_round.deadline)
        state, taken = attempt(state, time, Account("0x" + "ff" * 20), "advance", ())
        if not taken:
            return False
    return False


@pytest.mark.parametrize("settle_early", [False, True])
@pytest.mark.parametrize(("people", "reveal_window"), [(2, 0), (2, WINDOW), (3, 0), (3, WINDOW)])
def test_from_every_reachable_state_time_and_advance_lead_to_the_end(
    people: int, reveal_window: int, settle_early: bool
) -> None:
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
        e = state.experiments[E]
        if e.status != Status.ENROLLING:
            assert comes_to_an_end(state, time)
            ends.add(e.status)
        for account in PEOPLE[:people]:
            for call, arguments in calls_of(e, account):
                after, taken = attempt(state, time, account, call, arguments)
                if not taken:
                    assert after == state  # refused: nothing changed
                    continue
                mark = fingerprint(after, time)
                if mark not in seen:
                    seen.add(mark)
                    queue.append((after, time))
        if e.status == Status.RUNNING and time < e.open_round.deadline:
            late = e.open_round.deadline
            mark = fingerprint(state, late)
            if mark not in seen:
                seen.add(mark)
                queue.append((state, late))
    assert ends == {Status.RUNNING, Status.COMPLETED, Status.CANCELLED}


def test_the_seed_follows_from_entropy_and_revealed_salts() -> None:
    params = replace(PARAMS, rounds=9, selection=Selection.RANDOM, reveal_window=WINDOW)
    rules = Rules(state := LedgerState(), DOMAIN)
    rules.create(Transaction(CREATOR, 0, bytes(32)), params)
    for account in PEOPLE[:3]:  # the third one starts it
        rules.join(Transaction(account, 0, b"1" * 32), E, bytes(32))
    e = state.experiments[E]
    seed = hashlib.sha256(DOMAIN.separator + E.to_bytes(8, "big") + b"1" * 32).digest()
    assert e.seed == seed
    assert e.open_round.proposer == PEOPLE[int.from_bytes(seed, "big") % 3]

    voters = [account for account in PEOPLE[:3] if account != e.open_round.proposer]
    salts = [b"a" * 32, b"b" * 32]
    rules.propose(Transaction(e.open_round.proposer, 1, bytes(32)), E, 0, WEIGHTS[0], Scores())
    for account, salt in zip(voters, salts, strict=True):
        commitment = commitment_hash(DOMAIN, E, 0, account, Vote(True), salt)
        rules.commit(Transaction(account, 2, bytes(32)), E, 0, commitment)
    for account, salt in zip(voters, salts, strict=True):
        rules.reveal(Transaction(account, 3, account.encode()[-32:]), E, 0, Vote(True), salt)
    closing = voters[1].encode()[-32:]
    assert e.seed == hashlib.sha256(seed + closing + b"\x03" * 32).digest()
    assert len(e.rounds) == 2


@st.composite
def histories(draw: st.DrawFn) -> tuple[ExperimentParams, list[tuple[int, int, int]]]:
    """Draw parameters, and steps: who, which of its calls, how much later."""
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
def test_whatever_is_called_the_invariants_hold(
    history: tuple[ExperimentParams, list[tuple[int, int, int]]],
) -> None:
    params, steps = history
    state = LedgerState()
    Rules(state, DOMAIN).create(Transaction(CREATOR, 0, bytes(32)), params)
    e, time = state.experiments[E], 0
    events = []
    closed: dict[int, str] = {}
    for who, which, later in steps:
        time += later
        options = list(calls_of(e, PEOPLE[who]))
        call, arguments = options[which % len(options)]
        before = repr(state)
        tx = Transaction(PEOPLE[who], time, hashlib.sha256(str(time).encode()).digest())
        try:
            events += getattr(Rules(state, DOMAIN), call)(tx, E, *arguments)
        except ProtocolError:
            assert repr(state) == before
        check_invariants(e)
        for index, shown in closed.items():
            assert repr(e.rounds[index]) == shown  # a closed round never changes
        closed |= {r.index: repr(r) for r in e.rounds if r.phase == Phase.CLOSED}
    check_events(e, events)
    if e.status != Status.ENROLLING:
        assert comes_to_an_end(state, time)


def check_invariants(e: ExperimentState) -> None:
    assert len(e.active) <= e.params.max_learners
    assert sorted(e.active) == sorted(m.account for m in e.members.values() if m.active)
    assert [r.index for r in e.rounds] == list(range(len(e.rounds)))
    assert len(e.rounds) <= e.params.rounds
    assert all(r.phase == Phase.CLOSED for r in e.rounds[:-1])
    assert (e.status == Status.RUNNING) == bool(e.rounds and e.rounds[-1].phase != Phase.CLOSED)
    for held in e.rounds:
        electorate = [m for m in e.members.values() if m.in_electorate(held.index)]
        assert len(electorate) == held.eligible + 1
        assert 1 <= held.needed <= held.eligible
        assert len(held.ballots) <= held.eligible
        voters = {m.account for m in electorate} - {held.proposer}
        assert set(held.ballots) | set(held.commitments) <= voters
        if e.secret:
            assert set(held.ballots) <= set(held.commitments)
        if held.outcome in (Outcome.ACCEPTED, Outcome.REJECTED):
            assert (held.outcome == Outcome.ACCEPTED) == (held.approvals >= held.needed)
    accepted = [r for r in e.rounds if r.outcome == Outcome.ACCEPTED]
    assert e.current == (accepted[-1].content if accepted else e.params.initial)


def check_events(e: ExperimentState, events: list[object]) -> None:
    """The events alone tell every ballot and outcome."""
    for held in e.rounds:
        cast = {
            v.learner: v.vote.approve
            for v in events
            if isinstance(v, VoteCast) and v.round == held.index
        }
        assert cast == held.ballots
        ends = [v for v in events if isinstance(v, RoundClosed) and v.round == held.index]
        if held.phase == Phase.CLOSED:
            assert ends == [
                RoundClosed(
                    E, held.index, held.outcome, held.approvals, held.rejections, held.eligible
                )
            ]
        else:
            assert ends == []
