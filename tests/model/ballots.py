"""The three ways to vote."""

from __future__ import annotations

from typing import Any

from colearn_ledger.protocol import Phase, SignedBallot, SkipReason, Vote
from tests.model.facts import (
    Block,
    Events,
    Facts,
    check_ballot_box,
    check_deadline,
    check_proposals,
    check_round,
    check_vote,
    check_voter,
    find_reason,
    may_approve,
    proposals_of,
    voters_of,
)
from tests.model.hashes import commitment_of
from tests.model.rounds import begin_revealing, close_if_settled
from tests.model.values import refuse


def vote(e: Facts, block: Block, index: int, proposals: bytes, vote: Vote) -> Events:
    r = check_ballot_box(e, block, index, secret=False)
    check_voter(e, r, block.caller)
    check_proposals(r, proposals)
    check_vote(r, block.caller, vote)
    yield count_ballot(e, r, block.caller, vote)
    yield from close_if_settled(e, block, r)


def count_ballot(e: Facts, r: Facts, account: str, vote: Vote) -> tuple[Any, ...]:
    r["cast"][account] = vote
    e["members"][account]["voting"] += "."
    return "VoteCast", r["index"], account, vote


def commit(e: Facts, block: Block, index: int, proposals: bytes, commitment: bytes) -> Events:
    r = check_ballot_box(e, block, index, secret=True)
    check_voter(e, r, block.caller)
    if block.caller in r["commitments"]:
        refuse("AlreadyVoted", block.caller)
    check_proposals(r, proposals)
    if not any(commitment):
        refuse("InvalidParameter", "commitment")
    r["commitments"][block.caller] = commitment
    yield "VoteCommitted", index, block.caller, commitment
    if len(r["commitments"]) == len(voters_of(e, r)):
        yield from begin_revealing(e, block, r)


def reveal(e: Facts, block: Block, index: int, vote: Vote, salt: bytes) -> Events:
    r = check_round(e, block, index, Phase.REVEALING)
    check_deadline(e, block, r)
    check_voter(e, r, block.caller)
    place = (e["world"]["separator"], e["id"], index, block.caller, r["digest"])
    if r["commitments"].get(block.caller) != commitment_of(place, vote, salt):
        refuse("BadReveal", block.caller)
    check_vote(r, block.caller, vote)
    r["salts"].append(salt)
    yield count_ballot(e, r, block.caller, vote)
    yield from close_if_settled(e, block, r)


def vote_signed(
    e: Facts, block: Block, index: int, proposals: bytes, ballots: list[SignedBallot]
) -> Events:
    r = check_ballot_box(e, block, index, secret=False)
    check_proposals(r, proposals)
    length = 1 + len(proposals_of(r))
    if not ballots or any(len(ballot.vote.scores) != length for ballot in ballots):
        refuse("InvalidParameter", "ballots")
    for ballot in ballots:
        reason = find_skip_reason(e, r, ballot)
        if reason is None:
            yield count_ballot(e, r, ballot.learner, ballot.vote)
        else:
            yield "BallotSkipped", index, ballot.learner, reason
    yield from close_if_settled(e, block, r)


def find_skip_reason(e: Facts, r: Facts, ballot: SignedBallot) -> SkipReason | None:
    statement = (ballot.learner, e["id"], r["index"], r["digest"], ballot.vote)
    if e["world"]["signed"].get(ballot.signature) != statement:
        return SkipReason.BAD_SIGNATURE
    if reason := find_reason(e, r, ballot.learner):
        return {
            "NotALearner": SkipReason.NOT_A_LEARNER,
            "NotEligible": SkipReason.NOT_ELIGIBLE,
            "AlreadyVoted": SkipReason.ALREADY_VOTED,
        }[reason]
    if not may_approve(r, ballot.learner, ballot.vote.approvals):
        return SkipReason.INVALID_BALLOT
    return None
