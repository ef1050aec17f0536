"""The life of a round, apart from its ballots: selection, proposals, deadlines and closing."""

from __future__ import annotations

from functools import reduce
from typing import Any

from colearn_ledger.protocol import (
    ContentRef,
    Merge,
    Outcome,
    Phase,
    Selection,
    SlotState,
    Status,
)
from tests.model.facts import (
    Block,
    Events,
    Facts,
    active,
    approvals_of,
    check_deadline,
    check_round,
    current_of,
    deadline_of,
    open_slots,
    phase_of,
    proposals_of,
    voters_of,
)
from tests.model.hashes import digest_of_proposals, hash_words
from tests.model.values import refuse


def begin_experiment(e: Facts, block: Block) -> Events:
    e.update(status=Status.RUNNING, started_at=block.now)
    yield ("ExperimentStarted",)
    if e["params"].selection == Selection.RANDOM:
        e["seed"] = hash_words(e["world"]["separator"], e["id"].to_bytes(8, "big"), block.entropy)
    yield from begin_round(e, block)


def end_experiment(e: Facts, block: Block, status: Status) -> Events:
    e.update(status=status, ended_at=block.now)
    yield ("ExperimentCompleted" if status == Status.COMPLETED else "ExperimentCancelled",)


def begin_round(e: Facts, block: Block) -> Events:
    size = len(active(e))
    eligible = size - 1
    r: Facts = {
        "index": len(e["rounds"]),
        "started_at": block.now,
        "voting_started_at": None,
        "reveal_started_at": None,
        "closed_at": None,
        "by_deadline": False,
        "eligible": eligible,
        "needed": max(1, (eligible * e["params"].approval_bps + 9_999) // 10_000),
        "outcome": Outcome.NONE,
        "accepted": [],
        "digest": None,
        "slots": [
            {"proposer": account, "state": SlotState.OPEN, "content": None, "at": None}
            for account in select(e, min(e["params"].proposers, size))
        ],
        "commitments": {},
        "cast": {},
        "salts": [],
    }
    e["rounds"].append(r)
    accounts = tuple(slot["proposer"] for slot in r["slots"])
    yield "RoundStarted", r["index"], accounts, eligible, r["needed"], deadline_of(e, r)


def select(e: Facts, number: int) -> list[str]:
    """Return the accounts of the slots of a new round."""
    if e["params"].selection == Selection.ROUND_ROBIN:
        accounts = active(e)
        places = [(e["position"] + 1 + i) % len(accounts) for i in range(number)]
        e["position"] = places[-1]
        return [accounts[place] for place in places]
    drawn, waiting = e["drawn"], e["waiting"]
    chosen: list[str] = []
    left_out: list[str] = []
    for i in range(number):
        if not waiting:
            left_out = list(chosen)
            waiting[:], drawn[:] = drawn, []
        draw = int.from_bytes(hash_words(e["seed"], bytes([i])), "big")
        place = draw % (len(waiting) - len(left_out))
        chosen.append(waiting[place])
        drawn.append(waiting[place])
        waiting[place] = waiting[0]
        del waiting[0]
    return chosen


def propose(e: Facts, block: Block, index: int, content: ContentRef, scores: Any) -> Events:
    r, i = check_slot(e, block, index)
    current, _ = current_of(e)
    if [file.sha256 for file in current] == [content.sha256]:
        refuse("Unchanged")
    r["slots"][i].update(state=SlotState.PROPOSED, content=content, at=block.now)
    e["members"][block.caller]["proposing"] += "."
    yield "WeightsProposed", index, block.caller, i, content, scores
    yield from end_proposing(e, block, by_deadline=False)


def decline(e: Facts, block: Block, index: int) -> Events:
    r, i = check_slot(e, block, index)
    r["slots"][i]["state"] = SlotState.DECLINED
    yield "ProposalDeclined", index, block.caller, i
    yield from end_proposing(e, block, by_deadline=False)


def check_slot(e: Facts, block: Block, index: int) -> tuple[Facts, int]:
    """Return the current round and the caller's open slot."""
    r = check_round(e, block, index, Phase.PROPOSING)
    check_deadline(e, block, r)
    mine = [i for i, slot in enumerate(r["slots"]) if slot["proposer"] == block.caller]
    if not mine or r["slots"][mine[0]]["state"] != SlotState.OPEN:
        refuse("NotProposer", block.caller)
    return r, mine[0]


def end_proposing(e: Facts, block: Block, *, by_deadline: bool) -> Events:
    """Let voting begin once no slot is open, or close the round if nobody has proposed."""
    r = e["rounds"][-1]
    if open_slots(r):
        return
    if proposals := proposals_of(r):
        files = {i: slot["content"].sha256 for i, slot in proposals.items()}
        r.update(voting_started_at=block.now, digest=digest_of_proposals(files))
        yield "VotingStarted", r["index"], r["digest"], deadline_of(e, r)
    else:
        yield from close_round(e, block, by_deadline=by_deadline)


def advance(e: Facts, block: Block) -> Events:
    r = e["rounds"][-1]
    deadline, phase, params = deadline_of(e, r), phase_of(r), e["params"]
    if deadline is not None and block.now < deadline:
        refuse("DeadlineNotPassed", deadline)
    if phase == Phase.PROPOSING:
        for slot in open_slots(r):
            slot["state"] = SlotState.MISSED
            e["members"][slot["proposer"]]["proposing"] += "x"
        yield from end_proposing(e, block, by_deadline=True)
    elif (
        phase == Phase.VOTING
        and params.reveal_window
        and not (params.settle_early and is_decided(e, r, len(r["commitments"])))
    ):
        yield from begin_revealing(e, block, r)
    else:
        yield from close_round(e, block, by_deadline=True)


def begin_revealing(e: Facts, block: Block, r: Facts) -> Events:
    r["reveal_started_at"] = block.now
    yield "RevealStarted", r["index"], deadline_of(e, r)


def find_passing(r: Facts) -> list[int]:
    return [i for i in proposals_of(r) if approvals_of(r, i) >= r["needed"]]


def is_decided(e: Facts, r: Facts, outstanding: int) -> bool:
    passed = find_passing(r)
    open_ = [
        i
        for i in proposals_of(r)
        if i not in passed and approvals_of(r, i) + outstanding >= r["needed"]
    ]
    return not open_ and (e["params"].merge == Merge.MEAN or len(passed) <= 1)


def close_if_settled(e: Facts, block: Block, r: Facts) -> Events:
    """Close the round if the ballots counted so far allow it."""
    waiting_for = [account for account in voters_of(e, r) if account not in r["cast"]]
    outstanding = len(waiting_for)
    if phase_of(r) == Phase.REVEALING:
        outstanding = len(r["commitments"]) - len(r["cast"])
    if not waiting_for or (e["params"].settle_early and is_decided(e, r, outstanding)):
        yield from close_round(e, block, by_deadline=False)


def close_round(e: Facts, block: Block, *, by_deadline: bool) -> Events:
    r = e["rounds"][-1]
    accepted = find_passing(r)
    if e["params"].merge == Merge.BEST and accepted:
        most = max(approvals_of(r, i) for i in accepted)
        accepted = [i for i in accepted if approvals_of(r, i) == most][:1]
    outcome = Outcome.ACCEPTED if accepted else Outcome.REJECTED
    if not proposals_of(r):
        outcome = Outcome.NO_PROPOSAL
    elif by_deadline:
        for account in voters_of(e, r):
            if account not in r["cast"] and account in active(e):
                e["members"][account]["voting"] += "x"
    r.update(outcome=outcome, accepted=accepted, closed_at=block.now, by_deadline=by_deadline)
    yield describe_closing(r)
    yield from continue_experiment(e, block)


def describe_closing(r: Facts) -> tuple[Any, ...]:
    counts = tuple(approvals_of(r, i) for i in range(len(r["slots"])))
    bitmap = sum(1 << i for i in r["accepted"])
    return "RoundClosed", r["index"], r["outcome"], bitmap, counts, r["eligible"]


def continue_experiment(e: Facts, block: Block) -> Events:
    """Begin the next round, or end the experiment."""
    params, rounds = e["params"], e["rounds"]
    recent = rounds[-params.patience :] if 0 < params.patience <= len(rounds) else None
    if len(rounds) == params.rounds:
        yield from end_experiment(e, block, Status.COMPLETED)
    elif e["cancel_requested"]:
        yield from end_experiment(e, block, Status.CANCELLED)
    elif recent and not any(r["outcome"] == Outcome.ACCEPTED for r in recent):
        yield from end_experiment(e, block, Status.COMPLETED)
    elif len(active(e)) < 2:
        yield from end_experiment(e, block, Status.CANCELLED)
    else:
        if params.selection == Selection.RANDOM:
            salts = reduce(
                lambda a, b: bytes(x ^ y for x, y in zip(a, b, strict=True)),
                rounds[-1]["salts"],
                bytes(32),
            )
            e["seed"] = hash_words(e["seed"], block.entropy, salts)
        yield from begin_round(e, block)
