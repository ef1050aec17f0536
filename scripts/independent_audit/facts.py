"""Name what the contract numbers, and derive facts about a round."""

from __future__ import annotations

from types import SimpleNamespace as Row

ENROLLING, RUNNING, COMPLETED, CANCELLED = range(4)  # status of an experiment
PROPOSING, VOTING, REVEALING, CLOSED = range(4)  # phase of a round
ACCEPTED, REJECTED, NO_PROPOSAL, ABANDONED = range(1, 5)  # outcome of a closed round
OPEN, PROPOSED, DECLINED, MISSED = range(4)  # state of a slot
BAD_SIGNATURE, NOT_A_LEARNER, NOT_ELIGIBLE, ALREADY_VOTED, INVALID = range(5)  # why skipped


class Impossible(Exception):
    """An event cannot have happened; the text is what the rules require."""


def need(condition: object, rule: str) -> None:
    """Require what a rule says."""
    if not condition:
        raise Impossible(rule)


def list_made(r: Row) -> list[int]:
    """Return the slots with a proposal."""
    return [i for i, slot in enumerate(r.slots) if slot.state == PROPOSED]


def list_voters(r: Row) -> list[str]:
    """Return the voters of a round."""
    made = [r.slots[i].proposer for i in list_made(r)]
    return [a for a in r.hidden.electorate if len(made) != 1 or a not in made]


def list_allowed(r: Row, account: str) -> int:
    """Return the proposals that an account may approve, as a bitmap."""
    return sum(1 << i for i in list_made(r) if r.slots[i].proposer != account)
