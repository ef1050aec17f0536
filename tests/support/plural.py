"""An experiment on `LocalLedger` whose rounds are played by hand, with any number of proposers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import (
    Account,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    Round,
    Scores,
    Vote,
)
from colearn_ledger.reference import LocalLedger
from colearn_ledger.weights.unixfs import content_of

Approves = Callable[[int, int], bool]
"""Whether a learner, by index, approves the proposal of a slot."""


def propose_by_name(round_index: int, slot: int) -> ContentRef:
    """Return the reference of a file that exists only by name."""
    return content_of(f"round {round_index}, slot {slot}".encode())


class PluralExperiment:
    """An experiment in which learners join and vote in the order of their indexes.

    Args:
        learners: number of learners.
        content: makes the reference of each proposal from the round's index and the slot.
        clock: returns the time, in seconds.
        joining: the number of learners that join; by default all.
        **terms: parameters of the experiment.
    """

    def __init__(
        self,
        learners: int,
        content: Callable[[int, int], ContentRef] = propose_by_name,
        *,
        clock: Callable[[], float] = lambda: 1_000.0,
        joining: int | None = None,
        **terms: Any,
    ) -> None:
        self.wallets = [Wallet.from_key((i + 1).to_bytes(32, "big")) for i in range(learners)]
        self.ledger = LocalLedger.new(self.wallets[0], clock=clock)
        self.views: list[Ledger] = [self.ledger.acting_for(wallet) for wallet in self.wallets]
        self.accounts: list[Account] = [view.account for view in self.views]
        self._content = content
        given: dict[str, Any] = {
            "name": "plural",
            "spec": content_of(b"spec"),
            "initial": content_of(b"initial"),
            "rounds": 3,
            "min_learners": learners,
            "max_learners": learners,
            **terms,
        }
        created = self.ledger.create(ExperimentParams(**given)).wait()
        self.id: ExperimentId = created.experiment
        for view in self.views[:joining]:
            view.join(self.id, self.ledger.experiment(self.id).hash)

    @property
    def round(self) -> Round:
        """Return the current round."""
        return self.ledger.round(self.id, self.ledger.experiment(self.id).round or 0)

    def propose(self, *declining: int) -> Round:
        """Let each proposer propose, except for those in the slots that decline."""
        index = self.round.index
        for slot, proposer in enumerate(s.proposer for s in self.round.slots):
            view = self.views[self.accounts.index(proposer)]
            if slot in declining:
                view.decline(self.id, index)
            else:
                scores = Scores(slot + 0.5, slot + 0.25)
                view.propose(self.id, index, self._content(index, slot), scores)
        return self.ledger.round(self.id, index)

    def vote(self, approves: Approves) -> Round:
        """Let every voter vote; its scores are those of `scores_of`."""
        round_ = self.round
        for learner, view in enumerate(self.views):
            mine = [s.proposer == view.account for s in round_.slots]
            if self.ledger.ballot(self.id, round_.index, view.account).eligible:
                approvals = sum(
                    1 << slot
                    for slot in round_.contents
                    if not mine[slot] and approves(learner, slot)
                )
                scores = (scores_of(learner), *(scores_of(learner, s) for s in round_.contents))
                assert round_.proposals is not None
                view.vote(self.id, round_.index, round_.proposals, Vote(approvals, scores))
        return self.ledger.round(self.id, round_.index)

    def play(self, approves: Approves) -> Round:
        """Play a round in which every proposer proposes."""
        self.propose()
        return self.vote(approves)


def scores_of(learner: int, slot: int = -1) -> Scores:
    """Return the scores that a learner reports of a slot, or of the current weights for -1."""
    return Scores(learner + slot / 100, None if slot == learner else learner + slot / 200)
