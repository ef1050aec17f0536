"""Audit an experiment, and compare the contract's state with its events."""

from __future__ import annotations

import http.client
import struct
from types import SimpleNamespace as Row
from typing import Any

from .facts import list_voters
from .reading import Reader, Send, Unchecked
from .rules import Replay

_UNREADABLE = (
    *(OSError, http.client.HTTPException, struct.error, ArithmeticError, AttributeError),
    *(LookupError, TypeError, ValueError),
)


def compare_state(reader: Reader, replay: Replay, found: Row) -> None:
    """Compare the contract's state with the one to which the events lead."""
    s, rounds, last = replay.state, replay.rounds, len(replay.rounds) - 1 if replay.rounds else None
    views = reader.query_all("rounds", reader.id)
    for r, view in zip(rounds[: last if replay.stopped else None], views, strict=False):
        hidden = r.hidden
        del r.hidden
        replay.compare(r.index, "round", r, view)
        r.hidden = hidden
        voters, rows = list_voters(r), []
        for account in replay.learners:
            state = 2 if account in hidden.cast else int(account in hidden.pledges)
            row = Row(learner=account, eligible=account in voters, state=state)
            row.approvals = hidden.cast.get(account, 0)
            rows.append(row)
        answer = reader.query_all("ballots", reader.id, r.index)
        replay.compare(r.index, "ballots", rows, answer[: len(rows) if replay.stopped else None])
    if replay.stopped:
        return
    replay.compare(min(len(rounds), len(views)), "rounds", len(rounds), len(views))
    s.activeLearners, s.joinedLearners = len(replay.active), len(replay.learners)
    known = {name: value for name, value in vars(s).items() if value is not None}
    for name, value in known.items():  # all but an unknown seed
        is_fixed = name in ("params", "hash", "creator", "createdAt")
        place = s.currentRound - 1 if name.startswith("current") else last
        place = None if is_fixed or place == -1 else place
        replay.compare(place, f"experiment.{name}", value, getattr(found, name))
    place = s.currentRound - 1 if s.currentRound else None
    replay.compare(place, "current weights", s.current, reader.query("currentWeights", reader.id))
    rows = reader.query_all("learners", reader.id)
    replay.compare(last, "learners", list(replay.learners), [row.account for row in rows])
    for learner, row in zip(replay.learners.values(), rows, strict=False):
        pairs = [(learner.fromRound, row.fromRound), (learner.untilRound, row.untilRound)]
        places = [min(pair) for pair in pairs if pair[0] != pair[1]]
        place = last if last is None else min([last, *places])
        replay.compare(place, "learner", learner, row)


def audit(send: Send, contract: str, experiment: int, first: int = 0) -> dict[str, Any]:
    """Audit an experiment, and return the report.

    Raises:
        Unchecked: the node does not answer, has no such experiment, or contradicts itself.
    """
    try:
        reader = Reader(send, contract, experiment)
        found = reader.query("experiment", experiment)
        replay = Replay(reader)
        replay.run(reader.read_events(first))
        compare_state(reader, replay, found)
    except _UNREADABLE as error:
        raise Unchecked(f"the node's answers cannot be read: {error!r}") from error
    unchecked = ["files and merges: out of scope"]
    if replay.unknown:
        unchecked.append(
            f"the calls behind {replay.unknown} events: made by other contracts, or not shown"
        )
    if replay.state.seed is None:
        unchecked.append("the seeds of random selections: a salt or the entropy is unknown")
    if replay.stopped:
        unchecked.append("everything after the first event that cannot have happened")
    checked = {"events": replay.events, "rounds": len(replay.rounds)}
    return {"checked": checked, "unchecked": unchecked, "findings": replay.findings}
