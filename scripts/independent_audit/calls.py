"""Compare events with the calls that emitted them."""

from __future__ import annotations

from types import SimpleNamespace as Row
from typing import TYPE_CHECKING

from .encoding import hash_bytes, hash_evm, pack, recover_signer
from .facts import BAD_SIGNATURE, INVALID, list_allowed, list_made, need

if TYPE_CHECKING:
    from .rules import Replay

CALLS = {  # the calls that may emit an event as their first one
    **{"ExperimentCreated": "create", "ExperimentStarted": "start", "RoundStarted": ""},
    **{"LearnerAdmitted": "admit", "LearnerJoined": "join", "LearnerLeft": "leave"},
    **{"LearnerRemoved": "remove", "WeightsProposed": "propose", "ProposalDeclined": "decline"},
    **{"VotingStarted": "advance", "VoteCommitted": "commit", "RevealStarted": "advance"},
    **{"VoteCast": "vote voteSigned reveal", "BallotSkipped": "voteSigned"},
    **{"RoundClosed": "advance cancel", "CancelRequested": "cancel", "Announced": "announce"},
    **{"ExperimentCancelled": "cancel", "ExperimentCompleted": ""},
}
BALLOT = b"Ballot(uint64 experiment,uint32 round,address learner,bytes32 proposals,"
BALLOT += b"uint16 approvals,bytes scores)"


def check_call(replay: Replay, event: Row, place: int | None, *, again: bool) -> None:
    """Compare an event with the call that emitted it.

    Args:
        replay: the replay, after the event.
        event: an event that does not follow from the one before it.
        place: the event's round.
        again: whether the event before it was in the same transaction.
    """
    e, call, creator = event.fields, event.call, replay.state.creator
    proposals = replay.rounds[-1].proposals if replay.rounds else b""
    several = call.name in ("admit", "voteSigned")
    replay.compare(place, f"call of {event.name}", True, call.name in CALLS[event.name].split())
    replay.compare(place, f"only event of {call.name}", True, several or not again)
    actor = getattr(e, "learner", getattr(e, "proposer", creator))
    actor = creator if call.name in ("admit", "start", "cancel") else actor
    if call.name not in ("advance", "remove", "voteSigned"):
        replay.compare(place, f"sender of {call.name}", call.sender, actor)
    known = {**vars(e), "hash": replay.state.hash, "proposals": proposals}
    for key in sorted(known.keys() & call.given.keys()):
        replay.compare(place, f"{event.name}.{key}", call.given[key], known[key])
    if call.name == "admit":
        replay.compare(place, "admitted account", True, e.learner in call.given["accounts"])
    elif call.name == "reveal" and event.name == "VoteCast":
        _check_reveal(replay, e, place, call.given["salt"])
    elif call.name == "voteSigned" and event.name in ("VoteCast", "BallotSkipped"):
        if not again:
            size, data = 86 + 16 * (1 + len(list_made(replay.rounds[-1]))), call.given["ballots"]
            replay.batch = [data[at : at + size] for at in range(0, len(data), size)]
        need(replay.batch, "a signed ballot for each event")
        _check_signed_ballot(replay, event, place, replay.batch.pop(0))


def _check_reveal(replay: Replay, e: Row, place: int | None, salt: bytes) -> None:
    hidden, proposals = replay.rounds[-1].hidden, replay.rounds[-1].proposals
    ids = pack(replay.id, 8) + pack(e.round, 4) + pack(e.learner, 20) + proposals
    opened = hash_bytes(replay.domain, ids, pack(e.approvals, 2), e.scores, salt)
    replay.compare(place, f"commitment of {e.learner}", hidden.pledges[e.learner], opened)
    hidden.salts = bytes(a ^ b for a, b in zip(hidden.salts, salt, strict=True))


def _check_signed_ballot(replay: Replay, event: Row, place: int | None, ballot: bytes) -> None:
    e, r = event.fields, replay.rounds[-1]
    learner, bits, scores = "0x" + ballot[:20].hex(), ballot[20:22], ballot[22:-64]
    ids = pack(replay.id) + pack(e.round) + pack(learner) + r.proposals + bytes(30) + bits
    struct = hash_evm(hash_evm(BALLOT), ids, hash_evm(scores))
    signer = recover_signer(hash_evm(b"\x19\x01", replay.domain, struct), ballot[-64:])
    must_be_good = event.name == "VoteCast" or e.reason != BAD_SIGNATURE
    approvals = int.from_bytes(bits)
    replay.compare(place, "learner of a signed ballot", learner, e.learner)
    replay.compare(place, f"valid signature of {learner}", must_be_good, signer == learner)
    if event.name == "VoteCast":
        replay.compare(place, "VoteCast", Row(approvals=approvals, scores=scores), e)
    elif e.reason == INVALID:
        is_wrong = bool(approvals & ~list_allowed(r, learner))
        replay.compare(place, f"invalid approvals of {learner}", True, is_wrong)
