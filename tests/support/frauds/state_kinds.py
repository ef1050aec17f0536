"""Frauds in a ledger's answers about the state of an experiment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from colearn_ledger.protocol import (
    BallotState,
    Outcome,
    Phase,
    Round,
    Selection,
    SlotState,
    Status,
)
from tests.support.frauds.cases import Case, Fraud, Kinds, NotHere, alter, alter_content

STATE = Kinds()


def _in_round(case: Case, name: str, change: Callable[[Any], Any]) -> Fraud:
    """Change a field of a round that has it."""
    index = case.pick(row.index for row in case.rounds if getattr(row, name) is not None)

    def rewrite(row: Round) -> Round:
        if row.index != index:
            return row
        return replace(row, **{name: change(getattr(row, name))})

    case.set_rows("rounds", rewrite)
    return Fraud(f"{name} of round {index}", frozenset({index}))


def _in_slot(
    case: Case, name: str, change: Callable[[Any], Any], where: Callable[[Any], bool] = bool
) -> Fraud:
    """Change a field of a slot of a round."""
    index, number = case.pick(
        (row.index, number)
        for row in case.rounds
        for number, slot in enumerate(row.slots)
        if where(slot)
    )

    def rewrite(row: Round) -> Round:
        if row.index != index:
            return row
        slot = row.slots[number]
        slot = replace(slot, **{name: change(getattr(slot, name))})
        return replace(row, slots=(*row.slots[:number], slot, *row.slots[number + 1 :]))

    case.set_rows("rounds", rewrite)
    return Fraud(f"{name} of slot {number} in round {index}", frozenset({index}))


@STATE.add("state: tally")
def tally(case: Case) -> Fraud:
    return _in_slot(case, "approvals", lambda n: alter(case.random, n))


@STATE.add("state: outcome")
def outcome(case: Case) -> Fraud:
    def change(found: Outcome) -> Outcome:
        return case.pick(set(Outcome) - {found, Outcome.NONE})

    fraud = _in_round(case, "outcome", lambda _: other)
    [index] = fraud.rounds
    other = change(case.rounds[index or 0].outcome)
    return fraud


@STATE.add("state: accepted slot")
def accepted_slot(case: Case) -> Fraud:
    return _in_slot(case, "accepted", lambda yes: not yes)


@STATE.add("state: content reference")
def content(case: Case) -> Fraud:
    choice = case.random.random()
    known = {slot.content for row in case.rounds for slot in row.slots if slot.content}

    def change(found: Any) -> Any:
        others = sorted(known - {found}, key=lambda each: str(each.cid))
        return others[0] if others and choice < 0.3 else alter_content(case.random, found)

    return _in_slot(case, "content", change, lambda slot: slot.content is not None)


@STATE.add("state: proposer")
def proposer(case: Case) -> Fraud:
    accounts = [row.account for row in case.learners]
    number = case.random.randrange(1, len(accounts))
    return _in_slot(
        case,
        "proposer",
        lambda account: accounts[(accounts.index(account) + number) % len(accounts)],
    )


@STATE.add("state: slot")
def slot_state(case: Case) -> Fraud:
    shift = case.random.randrange(1, len(SlotState))
    states = list(SlotState)
    return _in_slot(
        case, "state", lambda found: states[(states.index(found) + shift) % len(states)]
    )


@STATE.add("state: times of a round")
def times(case: Case) -> Fraud:
    name = case.pick(("started_at", "voting_started_at", "closed_at"))
    return _in_round(case, name, lambda n: alter(case.random, n))


@STATE.add("state: phase and deadline")
def phase(case: Case) -> Fraud:
    index = case.pick(row.index for row in case.rounds)
    changes: dict[str, Any] = case.pick(
        ({"phase": Phase.VOTING}, {"deadline": case.rounds[index].started_at + 9}, {"late": True})
    )
    if "late" in changes:
        changes = {"by_deadline": not case.rounds[index].by_deadline}
    case.set_rows("rounds", lambda row: replace(row, **changes) if row.index == index else row)
    return Fraud(f"{changes} in round {index}", frozenset({index}))


@STATE.add("state: electorate and majority")
def electorate(case: Case) -> Fraud:
    name = case.pick(("eligible", "needed", "ballots", "commitments"))
    return _in_round(case, name, lambda n: alter(case.random, n))


@STATE.add("state: digest of the proposals")
def digest(case: Case) -> Fraud:
    return _in_round(case, "proposals", lambda value: alter(case.random, value))


def _in_ballot(case: Case, where: Callable[[Any], bool], **changes: Any) -> Fraud:
    row = case.pick(row for row in case.ballots if where(row))
    values = {
        name: change(getattr(row, name)) if callable(change) else change
        for name, change in changes.items()
    }
    case.set_rows("ballots", lambda each: replace(each, **values) if each == row else each)
    return Fraud(f"{values} of {row.learner} in round {row.round}", frozenset({row.round}))


@STATE.add("state: ballot")
def ballot(case: Case) -> Fraud:
    bit = 1 << case.random.randrange(3)
    return _in_ballot(case, lambda row: row.state == BallotState.CAST, approvals=lambda n: n ^ bit)


@STATE.add("state: ballot withheld")
def ballot_withheld(case: Case) -> Fraud:
    return _in_ballot(
        case, lambda row: row.state == BallotState.CAST, state=BallotState.NONE, approvals=0
    )


@STATE.add("state: ballot invented")
def ballot_invented(case: Case) -> Fraud:
    return _in_ballot(
        case, lambda row: row.state == BallotState.NONE, state=BallotState.CAST, approvals=1
    )


@STATE.add("state: right to vote")
def right_to_vote(case: Case) -> Fraud:
    return _in_ballot(case, lambda _: True, eligible=lambda yes: not yes)


@STATE.add("state: learner")
def learner(case: Case) -> Fraud:
    row = case.pick(case.learners)
    name = case.pick(
        ("from_round", "until_round", "missed_proposals", "missed_ballots", "active", "index")
    )
    value = getattr(row, name)
    other = case.random.randrange(len(case.rounds)) if value is None else alter(case.random, value)
    case.set_rows("learners", lambda each: replace(each, **{name: other}) if each == row else each)
    rounds: frozenset[int | None] = frozenset({case.last})
    if name in ("from_round", "until_round"):
        rounds = frozenset({min(n for n in (value, other, case.last) if n is not None)})
    return Fraud(f"{name} of {row.account}: {other}", rounds)


def _in_experiment(case: Case, rounds: frozenset[int | None], **changes: Any) -> Fraud:
    case.ledger.rewrites["experiment"] = lambda found: replace(found, **changes)
    return Fraud(f"experiment: {changes}", rounds)


@STATE.add("state: status and end")
def status(case: Case) -> Fraud:
    found = case.experiment
    changes = case.pick(
        (
            {"status": case.pick(set(Status) - {found.status})},
            {"ended_at": alter(case.random, found.ended_at)},
            {"started_at": alter(case.random, found.started_at)},
            {"cancel_requested": not found.cancel_requested},
            {"active_learners": alter(case.random, found.active_learners)},
            {"round": alter(case.random, found.round)},
        )
    )
    return _in_experiment(case, frozenset({case.last}), **changes)


@STATE.add("state: rules and creator")
def rules(case: Case) -> Fraud:
    found, random = case.experiment, case.random
    name = random.choice(("params", "hash", "creator", "created_at"))
    if name == "params":
        field = random.choice(
            ("rounds", "approval_bps", "propose_window", "vote_window", "late_join", "spec")
        )
        value = alter(random, getattr(found.params, field))
        changes: dict[str, Any] = {"params": replace(found.params, **{field: value})}
    elif name == "creator":
        changes = {"creator": case.learners[0].account}
    else:
        changes = {name: alter(random, getattr(found, name))}
    return _in_experiment(case, frozenset({None}), **changes)


@STATE.add("state: current weights")
def current_weights(case: Case) -> Fraud:
    found, random = case.experiment, case.random
    rounds = frozenset({found.current_round})
    other = alter_content(random, case.pick(found.current))
    how = random.randrange(3)
    if how == 0:
        case.ledger.rewrites["current_weights"] = lambda _: [other]
        return Fraud("answer about the current weights", rounds)
    if how == 1 and found.current_round is not None:
        accepted = case.pick(set(range(len(case.rounds))) - {found.current_round})
        return _in_experiment(case, rounds, current_round=accepted)
    return _in_experiment(case, rounds, current=(*found.current[1:], other))


@STATE.add("state: seed", needs_calls=True)
def seed(case: Case) -> Fraud:
    if case.experiment.params.selection != Selection.RANDOM:
        raise NotHere
    return _in_experiment(
        case, frozenset({case.last}), seed=alter(case.random, case.experiment.seed)
    )


def _cut(rows: Sequence[Any], number: int) -> list[Any]:
    return list(rows[: max(0, len(rows) - number)])


@STATE.add("state: truncated page")
def truncated_page(case: Case) -> Fraud:
    name = case.pick(("rounds", "ballots", "learners"))
    number = case.random.randrange(1, 3)
    if name == "rounds":
        number = min(number, len(case.rounds))
        case.ledger.rewrites[name] = lambda rows: _cut(rows, number)
        return Fraud(f"{number} rounds missing", frozenset({len(case.rounds) - number}))
    if name == "ballots":
        index = case.pick(row.index for row in case.rounds)

        def rewrite(rows: list[Any]) -> list[Any]:
            return _cut(rows, number) if rows and rows[0].round == index else rows

        case.ledger.rewrites[name] = rewrite
        return Fraud(f"{number} ballots of round {index} missing", frozenset({index}))
    case.ledger.rewrites[name] = lambda rows: _cut(rows, number)
    return Fraud(f"{number} learners missing", frozenset({case.last}))


@STATE.add("state: another experiment's answers")
def other_state(case: Case) -> Fraud:
    """Return the rounds, or the ballots, of another chain from a round on."""
    other = case.pick(case.others)
    name = case.pick(("rounds", "ballots"))
    if name == "rounds":
        foreign = {row.index: row for row in other.view.rounds(other.experiment)}
        differing = [r.index for r in case.rounds if r.index in foreign and r != foreign[r.index]]
        first = case.pick(differing)
        case.set_rows(
            name,
            lambda row: foreign.get(row.index, row) if row.index >= first else row,
        )
        return Fraud(f"rounds of another chain from {first} on", frozenset({first}))
    rows = {
        (row.round, row.learner): row
        for index in range(len(other.view.rounds(other.experiment)))
        for row in other.view.ballots(other.experiment, index)
    }
    index = case.pick({r.round for r in case.ballots if rows.get((r.round, r.learner), r) != r})
    case.set_rows(
        name, lambda row: rows.get((row.round, row.learner), row) if row.round == index else row
    )
    return Fraud(f"ballots of another chain in round {index}", frozenset({index}))
