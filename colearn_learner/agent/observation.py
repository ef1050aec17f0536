"""What an agent reports to its listeners about each of its actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from colearn_learner.agent.folder import DecidedBallot
from colearn_ledger.protocol import Account, Event, Round


class Action(Enum):
    """Action of one step."""

    WAITED = "waited"
    JOINED = "joined"
    ADOPTED = "adopted"
    PROPOSED = "proposed"
    DECLINED = "declined"
    VOTED = "voted"
    COMMITTED = "committed"
    REVEALED = "revealed"
    ADVANCED = "advanced"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A learner's verdict on one proposal.

    Args:
        slot: the proposal's slot.
        proposer: the account that proposed it.
        approved: whether the learner approves it; ``None`` for its own, which it cannot vote on.
        score: the proposal's vote score on the learner's data; ``None`` if it was not tested.
        current: the vote score of the current weights; ``None`` if there are none.
    """

    slot: int
    proposer: Account
    approved: bool | None
    score: float | None
    current: float | None


@dataclass(frozen=True, slots=True)
class Observation:
    """Report of one action of an agent, for listeners.

    Args:
        account: the agent's account.
        action: the action.
        round: index of the round; ``None`` outside a round.
        reason: reason for the action; empty if there is nothing to add.
        events: events of the agent's transaction.
        cost: cost of the transaction, in gas on an EVM.
        score_name: name of the scores; empty if the action has none.
        score: the vote score of the agent's own proposal; ``None`` otherwise.
        verdicts: the verdicts of a ballot on the round's proposals, in slot order.
        weights: CID of the weights that were adopted or proposed; empty otherwise.
    """

    account: str
    action: Action
    round: int | None
    reason: str = ""
    events: tuple[Event, ...] = ()
    cost: int = 0
    score_name: str = ""
    score: float | None = None
    verdicts: tuple[Verdict, ...] = ()
    weights: str = ""


Listener = Callable[[Observation], None]


def list_verdicts(round_: Round, ballot: DecidedBallot, voter: Account) -> tuple[Verdict, ...]:
    """Return a ballot's verdicts on the proposals of a round."""
    current, *scores = ballot.vote.scores
    return tuple(
        Verdict(
            slot,
            round_.slots[slot].proposer,
            None if round_.slots[slot].proposer == voter else ballot.vote.approves(slot),
            tested.vote_score,
            current.vote_score,
        )
        for slot, tested in zip(round_.contents, scores, strict=True)
    )
