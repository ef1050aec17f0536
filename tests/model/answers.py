"""The queries of docs/protocol.md, as values that compare equal to a ledger's answers."""

from __future__ import annotations

from typing import Any

from colearn_ledger.protocol import (
    Agenda,
    Ballot,
    BallotState,
    ContentRef,
    Duty,
    Experiment,
    Learner,
    Phase,
    Round,
    Slot,
    SlotState,
    Status,
)
from tests.model.experiments import FOREVER
from tests.model.facts import (
    Facts,
    active,
    approvals_of,
    count_missed,
    current_of,
    deadline_of,
    is_voter,
    phase_of,
)
from tests.model.model import find_experiment
from tests.model.values import refuse

NOT_BEGUN = 2**32 - 1


def experiments(world: Facts, start: int, limit: int) -> list[Experiment]:
    every = range(1, len(world["experiments"]) + 1)
    return [experiment(world, id_) for id_ in page(every, start, limit)]


def page(rows: Any, start: int, limit: int) -> Any:
    return rows[start:][: min(limit, 100)]


def experiment(world: Facts, id_: int) -> Experiment:
    e = find_experiment(world, id_)
    current, accepted_by = current_of(e)
    return Experiment(
        id=e["id"],
        creator=e["creator"],
        params=e["params"],
        hash=e["hash"],
        status=e["status"],
        cancel_requested=e["cancel_requested"],
        created_at=e["created_at"],
        started_at=e["started_at"],
        ended_at=e["ended_at"],
        round=len(e["rounds"]) - 1 if e["rounds"] else None,
        active_learners=len(active(e)),
        joined_learners=len(e["members"]),
        current=current,
        current_round=accepted_by,
        seed=e["seed"],
    )


def current_weights(world: Facts, id_: int) -> list[ContentRef]:
    return list(current_of(find_experiment(world, id_))[0])


def learners(world: Facts, id_: int, start: int, limit: int) -> list[Learner]:
    e = find_experiment(world, id_)
    return [describe_learner(e, member) for member in page([*e["members"].values()], start, limit)]


def learner(world: Facts, id_: int, account: str) -> Learner:
    e = find_experiment(world, id_)
    if account not in e["members"]:
        refuse("NotALearner", account)
    return describe_learner(e, e["members"][account])


def describe_learner(e: Facts, member: Facts) -> Learner:
    return Learner(
        experiment=e["id"],
        account=member["account"],
        index=member["index"],
        active=member["until"] == FOREVER,
        from_round=member["from"],
        until_round=None if member["until"] == FOREVER else member["until"],
        missed_proposals=count_missed(member, "proposing"),
        missed_ballots=count_missed(member, "voting"),
        encryption_key=member["key"],
    )


def rounds(world: Facts, id_: int, start: int, limit: int) -> list[Round]:
    e = find_experiment(world, id_)
    return [describe_round(e, r) for r in page(e["rounds"], start, limit)]


def round_(world: Facts, id_: int, index: int) -> Round:
    e = find_experiment(world, id_)
    return describe_round(e, find_round(e, index))


def find_round(e: Facts, index: int) -> Facts:
    if not 0 <= index < len(e["rounds"]):
        refuse("WrongRound", e["rounds"][-1]["index"] if e["rounds"] else NOT_BEGUN)
    found: Facts = e["rounds"][index]
    return found


def describe_round(e: Facts, r: Facts) -> Round:
    return Round(
        experiment=e["id"],
        index=r["index"],
        phase=phase_of(r),
        outcome=r["outcome"],
        slots=tuple(
            Slot(
                proposer=slot["proposer"],
                state=slot["state"],
                content=slot["content"],
                proposed_at=slot["at"],
                approvals=approvals_of(r, i),
                accepted=i in r["accepted"],
            )
            for i, slot in enumerate(r["slots"])
        ),
        eligible=r["eligible"],
        needed=r["needed"],
        ballots=len(r["cast"]),
        commitments=len(r["commitments"]),
        proposals=r["digest"],
        started_at=r["started_at"],
        voting_started_at=r["voting_started_at"],
        reveal_started_at=r["reveal_started_at"],
        closed_at=r["closed_at"],
        deadline=deadline_of(e, r),
        by_deadline=r["by_deadline"],
    )


def ballots(world: Facts, id_: int, index: int, start: int, limit: int) -> list[Ballot]:
    e = find_experiment(world, id_)
    r = find_round(e, index)
    return [describe_ballot(e, r, account) for account in page([*e["members"]], start, limit)]


def ballot(world: Facts, id_: int, index: int, account: str) -> Ballot:
    e = find_experiment(world, id_)
    r = find_round(e, index)
    if account not in e["members"]:
        refuse("NotALearner", account)
    return describe_ballot(e, r, account)


def describe_ballot(e: Facts, r: Facts, account: str) -> Ballot:
    state = BallotState.COMMITTED if account in r["commitments"] else BallotState.NONE
    cast = r["cast"].get(account)
    return Ballot(
        experiment=e["id"],
        round=r["index"],
        learner=account,
        eligible=is_voter(e, r, account),
        state=BallotState.CAST if cast else state,
        approvals=cast.approvals if cast else 0,
    )


def duty(world: Facts, id_: int, account: str, now: int) -> Duty:
    e = find_experiment(world, id_)
    member = e["members"].get(account)
    if e["status"] != Status.RUNNING:
        return Duty.WAIT if e["status"] == Status.ENROLLING else Duty.DONE
    if member is None:
        return Duty.WAIT
    if member["until"] != FOREVER:
        return Duty.DONE
    r = e["rounds"][-1]
    deadline, phase = deadline_of(e, r), phase_of(r)
    if deadline is not None and now >= deadline:
        return Duty.ADVANCE
    has_voted = account in r["cast"] or account in r["commitments"]
    if phase == Phase.PROPOSING and (account, SlotState.OPEN) in [
        (slot["proposer"], slot["state"]) for slot in r["slots"]
    ]:
        return Duty.PROPOSE
    if phase == Phase.VOTING and is_voter(e, r, account) and not has_voted:
        return Duty.COMMIT if e["params"].reveal_window else Duty.VOTE
    if phase == Phase.REVEALING and account in r["commitments"] and account not in r["cast"]:
        return Duty.REVEAL
    return Duty.WAIT


def agenda(world: Facts, id_: int, account: str, now: int) -> Agenda:
    e = find_experiment(world, id_)
    return Agenda(
        experiment=experiment(world, id_),
        round=describe_round(e, e["rounds"][-1]) if e["rounds"] else None,
        learner=describe_learner(e, e["members"][account]) if account in e["members"] else None,
        duty=duty(world, id_, account, now),
    )
