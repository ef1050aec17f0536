"""Facts that follow from the recorded ones, and the checks that calls share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from colearn_ledger.protocol import ContentRef, Phase, SlotState, Vote
from tests.model.values import refuse

Facts = dict[str, Any]
Events = Iterator[tuple[Any, ...]]


class Block(NamedTuple):
    """The circumstances of a call."""

    caller: str
    now: int
    entropy: bytes


def active(e: Facts) -> list[str]:
    """Return the active list: those drawn in this cycle come first."""
    return [*e["drawn"], *e["waiting"]]


def phase_of(r: Facts) -> Phase:
    if r["closed_at"] is not None:
        return Phase.CLOSED
    if r["reveal_started_at"] is not None:
        return Phase.REVEALING
    return Phase.PROPOSING if r["voting_started_at"] is None else Phase.VOTING


def deadline_of(e: Facts, r: Facts) -> int | None:
    params = e["params"]
    return {
        Phase.PROPOSING: lambda: r["started_at"] + params.propose_window,
        Phase.VOTING: lambda: r["voting_started_at"] + params.vote_window,
        Phase.REVEALING: lambda: r["reveal_started_at"] + params.reveal_window,
        Phase.CLOSED: lambda: None,
    }[phase_of(r)]()


def open_slots(r: Facts) -> list[Facts]:
    return [slot for slot in r["slots"] if slot["state"] == SlotState.OPEN]


def proposals_of(r: Facts) -> dict[int, Facts]:
    return {i: slot for i, slot in enumerate(r["slots"]) if slot["content"]}


def approvals_of(r: Facts, i: int) -> int:
    return sum(vote.approvals >> i & 1 for vote in r["cast"].values())


def belongs(e: Facts, r: Facts, account: str) -> bool:
    """Return whether an account that has joined belongs to the electorate of a round."""
    member = e["members"][account]
    return bool(member["from"] <= r["index"] < member["until"])


def is_voter(e: Facts, r: Facts, account: str) -> bool:
    authors = [slot["proposer"] for slot in proposals_of(r).values()]
    return belongs(e, r, account) and authors != [account]


def voters_of(e: Facts, r: Facts) -> list[str]:
    return [account for account in e["members"] if is_voter(e, r, account)]


def count_missed(member: Facts, duty: str) -> int:
    """Return how many duties a learner has missed since it last did one."""
    record = member[duty]
    return len(record) - len(record.rstrip("x"))


def strikes_of(member: Facts) -> int:
    return max(count_missed(member, "proposing"), count_missed(member, "voting"))


def current_of(e: Facts) -> tuple[tuple[ContentRef, ...], int | None]:
    """Return the files of the current weights, and the round that accepted them."""
    for r in reversed(e["rounds"]):
        if r["accepted"]:
            return tuple(r["slots"][i]["content"] for i in r["accepted"]), r["index"]
    return ((e["params"].initial,) if e["params"].initial else ()), None


# ---------------------------------------------------------------------- checks


def check_round(e: Facts, block: Block, index: int, phase: Phase) -> Facts:
    r: Facts = e["rounds"][-1]
    if index != r["index"]:
        refuse("WrongRound", r["index"])
    if phase_of(r) != phase:
        refuse("WrongPhase", phase_of(r))
    return r


def check_deadline(e: Facts, block: Block, r: Facts) -> None:
    deadline = deadline_of(e, r)
    if deadline is not None and block.now >= deadline:
        refuse("DeadlinePassed", deadline)


def check_ballot_box(e: Facts, block: Block, index: int, *, secret: bool) -> Facts:
    r = check_round(e, block, index, Phase.VOTING)
    if secret != bool(e["params"].reveal_window):
        refuse("WrongPhase", Phase.VOTING)
    check_deadline(e, block, r)
    return r


def check_creator(e: Facts, block: Block) -> None:
    if block.caller != e["creator"]:
        refuse("NotCreator", block.caller)


def check_member(e: Facts, account: str) -> Facts:
    """Return an active learner's facts."""
    if account not in active(e):
        refuse("NotALearner", account)
    member: Facts = e["members"][account]
    return member


def find_reason(e: Facts, r: Facts, account: str) -> str | None:
    """Return the error that an account cannot vote with, if any."""
    if account not in e["members"]:
        return "NotALearner"
    if not is_voter(e, r, account):
        return "NotEligible"
    return "AlreadyVoted" if account in r["cast"] else None


def check_voter(e: Facts, r: Facts, account: str) -> None:
    if reason := find_reason(e, r, account):
        refuse(reason, account)


def check_proposals(r: Facts, proposals: bytes) -> None:
    if proposals != r["digest"]:
        refuse("WrongProposals", r["digest"])


def may_approve(r: Facts, account: str, approvals: int) -> bool:
    others = sum(1 << i for i, s in proposals_of(r).items() if s["proposer"] != account)
    return approvals & ~others == 0


def check_vote(r: Facts, account: str, vote: Vote) -> None:
    if not may_approve(r, account, vote.approvals):
        refuse("InvalidParameter", "approvals")
    if len(vote.scores) != 1 + len(proposals_of(r)):
        refuse("InvalidParameter", "scores")
