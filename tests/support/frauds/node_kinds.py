"""Frauds of an EVM node in its answers over JSON-RPC, for both implementations of the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.support.frauds.cases import Fraud, NotHere
from tests.support.frauds.node_case import NodeCase
from tests.support.samples import wallet_of
from tests.support.second_audit import (
    EVENTS,
    FUNCTIONS,
    Log,
    change_answer,
    change_call,
    change_log,
    change_result,
    lie_about_logs,
)

Plant = Callable[[NodeCase], Fraud]
NODE_KINDS: dict[str, Plant] = {}


def add(name: str) -> Callable[[Plant], Plant]:
    """Return a decorator that adds a kind."""

    def decorate(plant: Plant) -> Plant:
        NODE_KINDS[name] = plant
        return plant

    return decorate


# ---------------------------------------------------------------------- events


def _lie(case: NodeCase, logs: list[Log]) -> None:
    lie_about_logs(case.node, lambda _: logs)


def _shift(logs: list[Log], block: str) -> list[Log]:
    """Move the first events, which are of one block, by one place."""
    moved = [log for log in logs if log["blockNumber"] == block]
    shifted = [{**log, "logIndex": hex(int(log["logIndex"], 16) + 1)} for log in moved]
    return [*shifted, *logs[len(moved) :]]


def _change_field(case: NodeCase, at: int, field: str) -> Fraud:
    log, name = case.logs[at], case.name_of(case.logs[at])
    path = {"params": ["params", "voteWindow"], "content": ["content", "size"]}.get(field, [field])
    is_indexed = any(each["name"] == field and each["indexed"] for each in EVENTS[name]["inputs"])
    change: Any = case.find_change(field)
    rounds: list[int | None] = []
    if is_indexed and field == "round":
        change = int(log["topics"][2], 16) + 1
        rounds.append(change)
    elif is_indexed:
        change = wallet_of("stranger").address
    changed = change_log(log, name, path, change)
    if changed == log:
        raise NotHere
    _lie(case, [*case.logs[:at], changed, *case.logs[at + 1 :]])
    return case.fraud(at, field, *rounds)


def _add_field(event: str, field: str) -> None:
    @add(f"{event}.{field}")
    def plant(case: NodeCase) -> Fraud:
        return _change_field(case, case.pick_log(event), field)


for _event, _fields in {
    "RoundStarted": ("proposers", "deadline", "needed"),
    "WeightsProposed": ("content", "voteScore", "proposer"),
    "VotingStarted": ("proposals", "deadline"),
    "VoteCast": ("approvals", "scores", "learner"),
    "VoteCommitted": ("commitment",),
    "RoundClosed": ("approvals", "accepted", "outcome"),
    "BallotSkipped": ("reason",),
    "LearnerJoined": ("learner", "encryptionKey"),
    "ExperimentCreated": ("params", "creator"),
}.items():
    for _field in _fields:
        _add_field(_event, _field)


@add("any field of any event")
def any_field(case: NodeCase) -> Fraud:
    at = case.pick_log()
    names = [each["name"] for each in EVENTS[case.name_of(case.logs[at])]["inputs"]]
    return _change_field(case, at, case.pick(set(names) - {"experiment"}))


@add("event dropped")
def dropped(case: NodeCase) -> Fraud:
    at = case.pick_log()
    _lie(case, [*case.logs[:at], *case.logs[at + 1 :]])
    return case.fraud(at, "dropped", *_list_later(case, at))


def _list_later(case: NodeCase, at: int) -> list[int | None]:
    """Return the rounds in which a missing admission or learner shows."""
    if case.name_of(case.logs[at]) not in ("LearnerJoined", "LearnerAdmitted"):
        return []
    return list(range(case.places[at] or 0, case.last + 1))


@add("event doubled")
def doubled(case: NodeCase) -> Fraud:
    at = case.pick_log()
    later = _shift(case.logs[at:], case.logs[at]["blockNumber"])
    _lie(case, [*case.logs[: at + 1], *later])
    return case.fraud(at, "doubled")


@add("events reordered")
def reordered(case: NodeCase) -> Fraud:
    """Swap the contents of two events, but not their places and transactions."""
    at = case.pick_log()
    if at + 1 == len(case.logs):
        raise NotHere
    one, two = case.logs[at : at + 2]
    moved = ("topics", "data")
    if all(one[key] == two[key] for key in moved):
        raise NotHere
    first = {**one, **{key: two[key] for key in moved}}
    second = {**two, **{key: one[key] for key in moved}}
    _lie(case, [*case.logs[:at], first, second, *case.logs[at + 2 :]])
    others = {case.places[at + 1], *((p or 1) - 1 for p in case.places[at : at + 2])}
    return case.fraud(at, "swapped", *others)


@add("event invented")
def invented(case: NodeCase) -> Fraud:
    """Put an event of somebody else, or one of another round, before an event."""
    at = case.pick_log("VoteCast", "WeightsProposed", "VoteCommitted", "ProposalDeclined")
    name = case.name_of(case.logs[at])
    field = "proposer" if name in ("WeightsProposed", "ProposalDeclined") else "learner"
    false = change_log(case.logs[at], name, [field], wallet_of("stranger").address)
    later = _shift(case.logs[at:], case.logs[at]["blockNumber"])
    _lie(case, [*case.logs[:at], false, *later])
    return case.fraud(at, "invented")


@add("log truncated")
def truncated(case: NodeCase) -> Fraud:
    at = case.random.randrange(1, len(case.logs))
    _lie(case, case.logs[:at])
    before = case.places[at - 1]
    others = (0, None) if before is None else (before, min(before + 1, case.last))
    return case.fraud(at, "truncated", *others)


@add("page of events truncated")
def gap(case: NodeCase) -> Fraud:
    at, number = case.pick_log(), case.random.randrange(2, 6)
    _lie(case, [*case.logs[:at], *case.logs[at + number :]])
    gone = range(at, min(at + number, len(case.logs)))
    later = [place for each in gone for place in _list_later(case, each)]
    return case.fraud(at, f"{number} events missing", *later)


# ---------------------------------------------------------------------- state


def _change_row(case: NodeCase, query: str, row: int, numbers: list[int], rounds: Any) -> Fraud:
    fields = FUNCTIONS[query]["outputs"][0]["components"]
    names = [each["name"] for each in fields if not each["type"].startswith("tuple")]
    name = case.pick(set(names) - {"encryptionKey", "experiment", "id"})
    change_answer(case.node, query, [row, name], case.change_value, numbers=numbers)
    if name in ("fromRound", "untilRound"):
        rounds = range(case.last + 1)
        value = case.random.randrange(100, 200)  # the round is the true value, or the last one
        change_answer(case.node, query, [row, name], value, numbers=numbers)
    return Fraud(f"{name} of row {row} of {query}", frozenset(rounds))


@add("state: round")
def state_of_round(case: NodeCase) -> Fraud:
    index = case.random.randrange(case.last + 1)
    return _change_row(case, "rounds", index, [case.played.experiment], [index])


@add("state: slot")
def state_of_slot(case: NodeCase) -> Fraud:
    rows = case.played.view.rounds(case.played.experiment)
    index = case.random.randrange(len(rows))
    number = case.random.randrange(len(rows[index].slots))
    name = case.pick(("proposer", "approvals", "accepted", "proposedAt"))
    path = ["slots", number, name]
    change_answer(case.node, "rounds", [index, *path], case.change_value)
    return Fraud(f"{path} of round {index}", frozenset({index}))


@add("state: ballot")
def state_of_ballot(case: NodeCase) -> Fraud:
    index = case.random.randrange(case.last + 1)
    row = case.random.randrange(4)
    return _change_row(case, "ballots", row, [case.played.experiment, index], [index])


@add("state: learner")
def state_of_learner(case: NodeCase) -> Fraud:
    return _change_row(
        case, "learners", case.random.randrange(4), [case.played.experiment], [case.last]
    )


@add("state: current weights")
def current_weights(case: NodeCase) -> Fraud:
    found = case.played.view.experiment(case.played.experiment)
    case.pick(found.current)
    content = (0x70, case.random.randbytes(32), case.random.randbytes(32), 77)
    change_answer(case.node, "currentWeights", [0], content)
    return Fraud("current weights", frozenset({found.current_round}))


@add("state: experiment")
def state_of_experiment(case: NodeCase) -> Fraud:
    name = case.pick(("status", "activeLearners", "endedAt", "startedAt", "hash", "creator"))
    change_answer(case.node, "experiment", [name], case.change_value)
    fixed = name in ("hash", "creator")
    return Fraud(f"{name} of the experiment", frozenset({None if fixed else case.last}))


# ---------------------------------------------------------------------- transactions, blocks


def _pick_transaction(case: NodeCase, names: Iterable[str]) -> tuple[str, str, int | None]:
    """Return the hash, the call and the round of a transaction with one of these calls."""
    origins = case.played.view.read_origins(case.played.view.events(case.played.experiment))
    calls: dict[str, tuple[str, int | None]] = {}
    for log, place, origin in zip(case.logs, case.places, origins, strict=True):
        if origin is not None and origin.call is not None and origin.call.name in names:
            calls.setdefault(log["transactionHash"], (origin.call.name, place))
    name, (call, place) = case.pick(calls.items())
    return name, call, place


_CALLS = {
    "propose": ("propose", ["index", "voteScore", "testScore"]),
    "vote": ("vote", ["index", "proposals", "approvals", "scores"]),
    "commit": ("commit", ["index", "proposals", "hash"]),
    "reveal": ("reveal", ["index", "approvals", "scores", "salt"]),
    "vote_signed": ("voteSigned", ["index", "proposals", "ballots"]),
    "join": ("join", ["hash", "encryptionKey"]),
}


def _only(case: NodeCase, name: str) -> None:
    """Let the lie about transactions concern one transaction only."""
    lie = case.node.overrides["eth_getTransactionByHash"]
    case.node.overrides["eth_getTransactionByHash"] = lambda parameters, ask: (
        lie(parameters, ask) if parameters[0] == name else ask()
    )


@add("call: argument")
def argument(case: NodeCase) -> Fraud:
    name, call, place = _pick_transaction(case, _CALLS)
    function, fields = _CALLS[call]
    inputs = [each["name"] for each in FUNCTIONS[function]["inputs"]]
    field = case.pick([each for each in fields if each in inputs])
    change_call(case.node, function, [field], case.find_change(field))
    _only(case, name)
    return Fraud(f"{field} of {call}", frozenset({place}))


@add("call: sender")
def sender(case: NodeCase) -> Fraud:
    name, call, place = _pick_transaction(
        case, (*(_CALLS.keys() - {"vote_signed"}), "create", "start", "leave", "announce")
    )
    stranger = wallet_of("stranger").address
    change_result(case.node, "eth_getTransactionByHash", "from", lambda _: stranger)
    _only(case, name)
    return Fraud(f"sender of {call}", frozenset({place}))


@add("another chain's block")
def other_block(case: NodeCase) -> Fraud:
    """Return a block of another time, and events with this time."""
    at = case.pick_log("VoteCast", "WeightsProposed", "VoteCommitted", "RoundClosed")
    block = case.logs[at]["blockNumber"]
    shifted = hex(int(case.logs[at]["blockTimestamp"], 16) + case.pick((-5_000, 5_000)))

    def answer(parameters: list[Any], ask: Callable[[], Any]) -> Any:
        honest = ask()
        if parameters[0] != block:
            return honest
        return {**honest, "result": {**honest["result"], "timestamp": shifted}}

    case.node.overrides["eth_getBlockByNumber"] = answer
    _lie(
        case,
        [
            {**log, "blockTimestamp": shifted} if log["blockNumber"] == block else log
            for log in case.logs
        ],
    )
    inside = [i for i, log in enumerate(case.logs) if log["blockNumber"] == block]
    others = case.places[inside[0] : inside[-1] + 2]
    return case.fraud(at, "another block", *others)
