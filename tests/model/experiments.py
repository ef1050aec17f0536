"""The calls that create, fill and end experiments."""

from __future__ import annotations

from colearn_ledger.protocol import (
    Admission,
    ContentRef,
    ExperimentParams,
    Outcome,
    Phase,
    SlotState,
    Status,
)
from tests.model.facts import (
    Block,
    Events,
    Facts,
    active,
    check_creator,
    check_member,
    open_slots,
    phase_of,
    strikes_of,
)
from tests.model.hashes import hash_experiment
from tests.model.rounds import begin_experiment, describe_closing, end_experiment, end_proposing
from tests.model.values import check_params, check_topic, refuse

FOREVER = 2**32
"""The ``until`` of a learner that has not left."""


def create(world: Facts, block: Block, params: ExperimentParams) -> Events:
    check_params(params)
    e: Facts = {
        "id": len(world["experiments"]) + 1,
        "world": world,
        "creator": block.caller,
        "params": params,
        "hash": hash_experiment(block.caller, params),
        "status": Status.ENROLLING,
        "cancel_requested": False,
        "created_at": block.now,
        "started_at": None,
        "ended_at": None,
        "admitted": set(),
        "members": {},
        "drawn": [],
        "waiting": [],
        "position": -1,
        "seed": bytes(32),
        "rounds": [],
    }
    world["experiments"].append(e)
    yield "ExperimentCreated", e["id"], block.caller, params


def admit(e: Facts, block: Block, accounts: list[str]) -> Events:
    check_creator(e, block)
    if e["params"].admission == Admission.OPEN:
        refuse("InvalidParameter", "admission")
    for account in dict.fromkeys(accounts):
        if account not in e["admitted"]:
            e["admitted"].add(account)
            yield "LearnerAdmitted", account


def join(e: Facts, block: Block, hash_: bytes, key: bytes = bytes(32)) -> Events:
    if hash_ != e["hash"]:
        refuse("WrongExperiment", e["hash"])
    if block.caller in e["members"]:
        refuse("AlreadyJoined", block.caller)
    if e["params"].admission == Admission.ALLOWLIST and block.caller not in e["admitted"]:
        refuse("NotAdmitted", block.caller)
    if len(active(e)) >= e["params"].max_learners:
        refuse("ExperimentFull", e["params"].max_learners)
    index = len(e["members"])
    e["members"][block.caller] = {
        "account": block.caller,
        "index": index,
        "key": key,
        "from": len(e["rounds"]),  # the current round + 1, or 0 before the first one
        "until": FOREVER,
        "proposing": "",
        "voting": "",
    }
    e["waiting"].append(block.caller)
    yield "LearnerJoined", block.caller, index, key
    if e["status"] == Status.ENROLLING and len(active(e)) == e["params"].max_learners:
        yield from begin_experiment(e, block)


def set_encryption_key(e: Facts, block: Block, key: bytes) -> Events:
    check_member(e, block.caller)["key"] = key
    yield from ()


def leave(e: Facts, block: Block) -> Events:
    check_member(e, block.caller)
    yield "LearnerLeft", block.caller
    yield from deactivate(e, block, block.caller)


def remove(e: Facts, block: Block, account: str) -> Events:
    member = check_member(e, account)
    limit, strikes = e["params"].max_strikes, strikes_of(member)
    if limit == 0 or strikes < limit:
        refuse("NotRemovable", strikes)
    yield "LearnerRemoved", account
    yield from deactivate(e, block, account)


def deactivate(e: Facts, block: Block, account: str) -> Events:
    """Take an account off the active list; its open slot is declined."""
    e["members"][account]["until"] = len(e["rounds"])
    drawn, waiting = e["drawn"], e["waiting"]
    if account in drawn:
        replace_by_last(drawn, account)
        waiting[:] = waiting[-1:] + waiting[:-1]
    else:
        replace_by_last(waiting, account)
    if not e["rounds"]:
        return
    r = e["rounds"][-1]
    own = [slot for slot in open_slots(r) if slot["proposer"] == account]
    for slot in own:
        slot["state"] = SlotState.DECLINED
    if own:
        yield from end_proposing(e, block, by_deadline=False)


def replace_by_last(accounts: list[str], account: str) -> None:
    """Remove an account from a list, and put the last one in its place."""
    last = accounts.pop()
    if last != account:
        accounts[accounts.index(account)] = last


def start(e: Facts, block: Block) -> Events:
    check_creator(e, block)
    if len(active(e)) < e["params"].min_learners:
        refuse("InvalidParameter", "min_learners")
    yield from begin_experiment(e, block)


def cancel(e: Facts, block: Block) -> Events:
    check_creator(e, block)
    r = e["rounds"][-1] if e["rounds"] else None
    if r and phase_of(r) != Phase.PROPOSING:
        e["cancel_requested"] = True
        yield ("CancelRequested",)
        return
    if r:
        r.update(outcome=Outcome.ABANDONED, closed_at=block.now)
        yield describe_closing(r)
    yield from end_experiment(e, block, Status.CANCELLED)


def announce(e: Facts, block: Block, topic: str, content: ContentRef) -> Events:
    check_member(e, block.caller)
    check_topic(topic)
    yield "Announced", block.caller, topic, content
