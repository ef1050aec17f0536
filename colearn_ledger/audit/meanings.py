"""Explain in one sentence what a finding means."""

from __future__ import annotations

from colearn_ledger.audit.findings import FindingKind
from colearn_ledger.protocol import (
    Announced,
    BallotSkipped,
    Event,
    LearnerAdmitted,
    LearnerJoined,
    LearnerLeft,
    LearnerRemoved,
    RevealStarted,
    RoundClosed,
    RoundStarted,
    VoteCast,
    VoteCommitted,
    VotingStarted,
    WeightsProposed,
)

_EVENTS: dict[type[Event], str] = {
    LearnerAdmitted: "The list of admitted accounts is not the one that the creator made.",
    LearnerJoined: "The electorate contains an account that did not join by the rules.",
    LearnerLeft: "The electorate lost a learner in a way that the rules do not allow.",
    LearnerRemoved: "A learner was removed without having missed enough duties.",
    RoundStarted: "The round began with proposers, an electorate or a deadline that the rules do "
    "not give.",
    WeightsProposed: "The proposal on record is not one that its proposer could make.",
    VotingStarted: "The vote was opened on other proposals, or at another time, than the rules "
    "give.",
    VoteCommitted: "A commitment to a secret ballot is on record that the rules do not allow.",
    RevealStarted: "The ballots were revealed at another time than the rules give.",
    VoteCast: "A ballot is on record that the rules do not allow.",
    BallotSkipped: "A signed ballot was not counted for a reason that does not apply.",
    RoundClosed: "The round was closed with a tally or an outcome that its ballots do not give.",
    Announced: "A file was announced by an account that may not announce one.",
}
_OTHER_EVENT = "The experiment's life on record is not one that the rules allow."
_TRANSACTION = (
    "The event on record is not what the transaction did, so one of the two answers is false."
)


def meaning_of_event(kind: FindingKind, event: Event) -> str:
    """Return the meaning of a finding about an event."""
    if kind == FindingKind.TRANSACTION:
        return _TRANSACTION
    return _EVENTS.get(type(event), _OTHER_EVENT)


_FIELDS = {
    "params": "The rules of the experiment are not those under which it was created.",
    "hash": "The learners joined by another hash than that of these rules.",
    "status": "The experiment has not ended, or has ended otherwise, by its events.",
    "current": "The current weights are not those that the votes accepted.",
    "seed": "The next proposers are drawn from another seed than the chain's entropy gives.",
    "slots": "Other learners propose than those that the rules select.",
    "proposer": "Another learner proposed than the one that the rules select.",
    "content": "The proposed file is not the one that the proposer named.",
    "approvals": "The tally is not the one that the ballots give.",
    "accepted": "A proposal counts as accepted or rejected against its ballots.",
    "outcome": "The round's outcome is not the one that its ballots give.",
    "eligible": "The electorate is not the one that joined before the round.",
    "needed": "Another number of approvals decides than the rules require.",
    "ballots": "Ballots were added or left out.",
    "commitments": "Commitments to secret ballots were added or left out.",
    "proposals": "The ballots name other proposals than those of the round.",
    "deadline": "The phase ends at another time than the rules give.",
    "by_deadline": "The round closed for another reason than its events show.",
}
_OTHER_FIELD = "The contract's state is not the one to which its events lead."
_BALLOT = "The ballot that counts is not the one that the learner cast."


def meaning_of_state(name: str, *, is_ballot: bool = False) -> str:
    """Return the meaning of a finding about a field of the contract's state."""
    if is_ballot and name != "eligible":
        return _BALLOT
    return _FIELDS.get(name, _OTHER_FIELD)
