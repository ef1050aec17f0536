"""The rules of docs/protocol.md, written once more from that page alone.

The state is plain data: dictionaries and lists of facts, from which functions derive the rest. Each
call is a generator: it checks everything, then records facts and yields its events.
"""

from __future__ import annotations

from typing import Any

from colearn_ledger.protocol import Status
from tests.model import ballots, experiments, rounds
from tests.model.facts import Block, Facts
from tests.model.values import check_types, refuse

OPEN_TO = {
    "admit": (Status.ENROLLING, Status.RUNNING),
    "set_encryption_key": (Status.ENROLLING, Status.RUNNING),
    "leave": (Status.ENROLLING, Status.RUNNING),
    "start": (Status.ENROLLING,),
    "announce": tuple(Status),
}
"""The statuses in which a call is allowed, where that is not only Running."""


def new_world(separator: bytes) -> Facts:
    """Return a ledger without experiments.

    ``signed`` has every genuine signature, and what its account has signed.
    """
    return {"separator": separator, "experiments": [], "signed": {}}


def call(world: Facts, block: Block, name: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Make a call, and return its events as their names and fields.

    Raises:
        Refused: with the name and the values of the protocol's error.
    """
    check_types(name, arguments)
    if name == "create":
        return list(experiments.create(world, block, *arguments))
    e = find_experiment(world, arguments[0])
    is_open = e["status"] in OPEN_TO.get(name, (Status.RUNNING,))
    if name == "join":
        is_open = e["status"] == Status.ENROLLING or (
            e["status"] == Status.RUNNING and e["params"].late_join
        )
    if name == "cancel":
        is_open = e["status"] <= Status.RUNNING and not e["cancel_requested"]
    if not is_open:
        refuse("WrongStatus", e["status"])
    return [(event, e["id"], *fields) for event, *fields in CALLS[name](e, block, *arguments[1:])]


def find_experiment(world: Facts, id_: int) -> Facts:
    if not 1 <= id_ <= len(world["experiments"]):
        refuse("UnknownExperiment", id_)
    found: Facts = world["experiments"][id_ - 1]
    return found


CALLS: dict[str, Any] = {
    function.__name__: function
    for function in (
        *(experiments.admit, experiments.join, experiments.set_encryption_key, experiments.leave),
        *(experiments.remove, experiments.start, experiments.cancel, experiments.announce),
        *(rounds.propose, rounds.decline, rounds.advance),
        *(ballots.vote, ballots.commit, ballots.reveal, ballots.vote_signed),
    )
}
