"""What a history's JSON contains of lineage and contributions, recomputed from its other fields.

This follows docs/history.md and uses nothing of the package.
"""

from __future__ import annotations

import math
from typing import Any


def check_derived(history: dict[str, Any]) -> dict[str, Any]:
    """Check the derived fields of a history of all rounds; return the others."""
    assert history["lineage"] == derive_lineage(history)
    given = history["contributions"]
    expected = [derive_contribution(history, each["account"]) for each in history["learners"]]
    assert [_round(each) for each in given] == [_round(each) for each in expected]
    return {k: v for k, v in history.items() if k not in ("lineage", "contributions")}


def derive_lineage(history: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if initial := history["experiment"]["params"]["initial"]:
        found.append({"round": None, "initial": initial, "proposals": []})
    for played in history["rounds"]:
        proposals = [
            {"slot": at, "proposer": slot["proposer"], "content": slot["content"]}
            for at, slot in enumerate(played["slots"])
            if slot["accepted"]
        ]
        if proposals:
            found.append({"round": played["round"], "initial": None, "proposals": proposals})
    return [
        {"version": number, "previous": number - 1 if number else None, **version}
        for number, version in enumerate(found)
    ]


def derive_contribution(history: dict[str, Any], learner: str) -> dict[str, Any]:
    slots = [
        (played, at, slot)
        for played in history["rounds"]
        for at, slot in enumerate(played["slots"])
        if slot["proposer"] == learner
    ]
    changes = [_mean_change(played, at, learner) for played, at, slot in slots if slot["accepted"]]
    known = [change for change in changes if change is not None]
    states = [slot["state"] for _, _, slot in slots]
    ballots = [
        (played, ballot["ballot"])
        for played in history["rounds"]
        for ballot in played["ballots"]
        if ballot["learner"] == learner
    ]
    return {
        "learner": learner,
        "proposals_made": states.count("proposed"),
        "proposals_accepted": len(changes),
        "proposals_declined": states.count("declined"),
        "proposals_missed": states.count("missed"),
        "ballots_cast": sum(state == "cast" for _, state in ballots),
        "ballots_missed": sum(_is_missed(played, state) for played, state in ballots),
        "proposals_scored": len(known),
        "score_change": sum(known) if known else None,
    }


def _mean_change(played: dict[str, Any], at: int, learner: str) -> float | None:
    changes = []
    for ballot in played["ballots"]:
        before = ballot["current"]["vote_score"]
        for scored in ballot["scores"]:
            after = scored["vote_score"]
            is_others = scored["slot"] == at and ballot["learner"] != learner
            if is_others and None not in (before, after):
                changes.append(float(after) - float(before))
    finite = [change for change in changes if math.isfinite(change)]
    return sum(finite) / len(finite) if finite else None


def _is_missed(played: dict[str, Any], state: str) -> bool:
    voted = played["outcome"] in ("accepted", "rejected")
    return voted and played["by_deadline"] and state in ("none", "committed")


def _round(contribution: dict[str, Any]) -> dict[str, Any]:
    """Return a contribution whose sum can be compared with one added in another order."""
    change = contribution["score_change"]
    shown = f"{change:.9g}" if isinstance(change, float) else change
    return {**contribution, "score_change": shown}
