"""Refusals, and the checks of single values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from colearn_ledger.protocol import ExperimentParams, Merge

WORDS = {
    "join": {1: "hash", 2: "encryption_key"},
    "set_encryption_key": {1: "encryption_key"},
    "vote": {2: "proposals"},
    "commit": {2: "proposals", 3: "commitment"},
    "reveal": {3: "salt"},
    "vote_signed": {2: "proposals"},
}
"""The arguments of each call that are 32 bytes."""

VOTES = {"vote": 3, "reveal": 2}
"""The argument of each call that is a vote."""

BOUNDS = {
    "rounds": lambda p: 1 <= p.rounds <= 2**32 - 2,
    "min_learners": lambda p: p.min_learners >= 2,
    "max_learners": lambda p: p.min_learners <= p.max_learners <= 10_000,
    "approval_bps": lambda p: 1 <= p.approval_bps <= 10_000,
    "propose_window": lambda p: 1 <= p.propose_window <= 2**32 - 1,
    "vote_window": lambda p: 1 <= p.vote_window <= 2**32 - 1,
    "reveal_window": lambda p: 0 <= p.reveal_window <= 2**32 - 1,
    "proposers": lambda p: 1 <= p.proposers <= 16,
    "initial": lambda p: p.initial is not None or p.merge == Merge.BEST or p.proposers == 1,
    "max_strikes": lambda p: 0 <= p.max_strikes <= 65_535,
    "patience": lambda p: 0 <= p.patience <= 2**32 - 1,
}
"""The bounds of the parameters in the order of their checks, after the name."""


class Refused(Exception):
    """An error of the protocol: its name and its values."""


def refuse(name: str, *values: object) -> NoReturn:
    raise Refused(name, values)


def check_types(name: str, arguments: Sequence[Any]) -> None:
    """Refuse the first argument that is not a value of its type."""
    for place, value in enumerate(arguments):
        word = WORDS.get(name, {}).get(place)
        if word and len(value) != 32:
            refuse("InvalidParameter", word)
        if VOTES.get(name) == place and not 0 <= value.approvals < 2**16:
            refuse("InvalidParameter", "approvals")
    if name == "vote_signed" and any(each.vote.approvals >= 2**16 for each in arguments[3]):
        refuse("InvalidParameter", "ballots")


def check_params(params: ExperimentParams) -> None:
    if not is_plain_text(params.name, 64):
        refuse("InvalidParameter", "name")
    for name, is_within in BOUNDS.items():
        if not is_within(params):
            refuse("InvalidParameter", name)


def check_topic(topic: str) -> None:
    if not is_plain_text(topic, 32):
        refuse("InvalidParameter", "topic")


def is_plain_text(text: str, longest: int) -> bool:
    """Return whether a text is short enough, not empty, and without control characters."""
    controls = {*range(0x20), *range(0x7F, 0xA0)}
    return 1 <= len(text.encode()) <= longest and not controls & {ord(c) for c in text}
