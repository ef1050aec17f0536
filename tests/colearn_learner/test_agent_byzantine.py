"""Faulty and lying learners on every ledger: the others reject their proposals and continue."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.observation import Action
from colearn_learner.interface import (
    DiffPrivBudget,
    ErrorCodes,
    TrainingSummary,
    Weights,
)
from colearn_ledger.protocol import CODEC_RAW, ContentRef, Duty, Outcome, Scores, Status
from colearn_ledger.weights.codec import encode_weights
from colearn_ledger.weights.schema import WeightsSchema
from tests.support.toyworld import TowardsTarget, World

GOOD = encode_weights([np.ones(3)])


class WrongShape(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=[np.zeros(4)])


class NotANumber(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=[np.full(3, np.nan)])


class TooBig(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=[np.zeros(300_000)])


class RaisesInTraining(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        raise ZeroDivisionError("no records left")


class Unmoved(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=self.weights)


class SpentBudget(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(
            weights=self.weights,
            training_summary=TrainingSummary(
                dp_budget=DiffPrivBudget(
                    target_epsilon=1.0,
                    target_delta=0.1,
                    consumed_epsilon=1.1,
                    consumed_delta=0.1,
                ),
                error_code=ErrorCodes.DP_BUDGET_EXCEEDED,
            ),
        )


@pytest.mark.parametrize(
    "learner", [WrongShape, NotANumber, TooBig, RaisesInTraining, SpentBudget, Unmoved]
)
def test_agent_declines_the_round_when_training_fails_or_gives_unusable_weights(
    any_world, learner, caplog
):
    w = any_world([TowardsTarget(4), learner(4), TowardsTarget(5)])
    w.drive(w.agents())
    outcomes = [r.outcome for r in w.rounds()]
    assert outcomes[1] == outcomes[4] == Outcome.NO_PROPOSAL
    assert outcomes[2] == Outcome.ACCEPTED
    assert not any(r.by_deadline for r in w.rounds())
    assert "declines round 1" in caplog.text


class Byzantine:
    """An agent that votes honestly, but proposes content that no honest agent would send."""

    def __init__(self, w: World, index: int, content: ContentRef) -> None:
        self._w, self._view, self._content = w, w.views[index], content
        self._honest = w.agent(index)
        self.proposed: list[int] = []

    def step(self) -> Action:
        w, view = self._w, self._view
        now = view.experiment(w.experiment)
        joined = any(learner.account == view.account for learner in view.learners(w.experiment))
        if not joined or view.duty(w.experiment, view.account) != Duty.PROPOSE:
            return self._honest.step()
        view.propose(w.experiment, now.round, self._content, Scores(9.9, 9.9)).wait()
        self.proposed.append(now.round)
        return Action.PROPOSED


def make_raw_reference(data: bytes, size: int) -> ContentRef:
    digest = hashlib.sha256(data)
    return ContentRef.from_digest(CODEC_RAW, digest.digest(), digest.hexdigest(), size)


def make_bad_content(kind: str, w: World) -> ContentRef:
    """Create a Byzantine learner's proposal; all but the unavailable one are in the store."""
    if kind == "unavailable":
        return make_raw_reference(b"gone", 4)
    largest = WeightsSchema.of([np.zeros(3)]).max_bytes
    data = {
        "shape": encode_weights([np.zeros(4)]),
        "nan": encode_weights([np.full(3, np.nan)]),
        "infinity": encode_weights([np.full(3, np.inf)]),
        "too big": GOOD + bytes(largest),
        "larger than announced": GOOD,
        "not weights": b"these are not weights",
        "other bytes": GOOD,
    }[kind]
    content = w.store(0).put([data])
    if kind == "other bytes":
        [path] = (w.folder / "store" / "files").rglob(content.cid)
        path.write_bytes(GOOD[:-1] + b"\x7f")
    return make_raw_reference(data, len(data) - 8) if kind == "larger than announced" else content


BAD_PROPOSALS = {
    "shape": "is not usable",
    "nan": "is not usable",
    "infinity": "is not usable",
    "too big": "is not usable",
    "larger than announced": "could not be fetched",
    "other bytes": "could not be fetched",
    "not weights": "is not usable",
    "unavailable": "could not be fetched",
}
"""Kinds of bad proposals, and the reasons for which agents reject them."""


@pytest.mark.parametrize(
    ("any_world", "kind", "reason"),
    [
        *(("local", kind, reason) for kind, reason in BAD_PROPOSALS.items()),
        ("evm", "shape", BAD_PROPOSALS["shape"]),
        *(
            pytest.param("evm", kind, reason, marks=pytest.mark.long)
            for kind, reason in list(BAD_PROPOSALS.items())[1:]
        ),
    ],
    indirect=["any_world"],
)
def test_byzantine_proposals_are_rejected_and_the_experiment_completes(
    any_world, kind: str, reason: str, caplog
):
    learners = [TowardsTarget(n) for n in (4, 5, 6)]
    w = any_world(learners)
    liar = Byzantine(w, 0, make_bad_content(kind, w))
    w.drive([liar, w.agent(1), w.agent(2)])
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
    rounds: list[Any] = w.rounds()
    assert liar.proposed == [0, 3]
    for round_ in rounds:
        lied = round_.index in liar.proposed
        assert round_.outcome == (Outcome.REJECTED if lied else Outcome.ACCEPTED)
        assert not round_.by_deadline
        assert not lied or (round_.ballots, round_.slots[0].approvals) == (2, 0)
        assert (
            not lied
            or f"rejects the proposal of round {round_.index}: the proposal {reason}"
            in (caplog.text)
        )
    assert len({learner.weights[0].tobytes() for learner in learners}) == 1
    assert learners[1].weights[0][0] > 3


def test_short_vote_window_still_leaves_time_to_fetch_the_proposal(tmp_path):
    w = World(tmp_path, [TowardsTarget(n) for n in (4, 5, 6)], {"vote_window": 8})
    liar = Byzantine(w, 0, make_bad_content("unavailable", w))
    agents = [liar, w.agent(1), w.agent(2)]
    while not liar.proposed:
        for agent in agents:
            agent.step()
    w.seconds += 3
    assert [agents[1].step() for _ in range(3)][-1] == Action.WAITED
    w.seconds += 2
    assert agents[1].step() == Action.VOTED
    agents[1].close()
    agents[2].close()
