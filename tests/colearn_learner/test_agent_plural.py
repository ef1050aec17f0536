"""Agents in rounds with several proposers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.observation import Action
from colearn_learner.interface import ProposedWeights, Weights
from colearn_ledger.protocol import (
    ContentRef,
    Merge,
    Outcome,
    Phase,
    Scores,
    Status,
    Vote,
)
from colearn_ledger.weights.codec import decode_weights
from colearn_ledger.weights.store import ContentNotStored
from tests.support.plural_agents import (
    LossyStore,
    find_votes,
    make_file,
    make_learners,
    propose_by_hand,
    step_all,
    step_until,
)
from tests.support.toyworld import TowardsTarget, World


class CountsTests(TowardsTarget):
    """A learner that records the first number of all weights that it tests."""

    def __init__(self, target: float) -> None:
        super().__init__(target)
        self.tested: list[float] = []

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        self.tested.append(float(weights.weights[0][0]))
        return super().mli_test_weights(weights)


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_all_learners_adopt_the_mean_of_the_accepted_proposals(world, reveal_window):
    w = world(make_learners(4, 5, 6, 7), rounds=3, proposers=3, reveal_window=reveal_window)
    w.drive(w.agents())
    experiment = w.ledger.experiment(w.experiment)
    assert experiment.status == Status.COMPLETED
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 3
    assert not any(r.by_deadline for r in w.rounds())
    assert len(experiment.current) == 3
    assert len({learner.weights[0].tobytes() for learner in w.learners}) == 1
    contents = [content.cid for content in experiment.current]
    for index in range(4):
        [line] = [x for x in w.journal(index) if x["kind"] == "merged" and x["round"] == 2]
        assert [source[0] for source in line["sources"]] == contents
        assert line["content"][0] in w.pins(index)


def test_proposals_name_the_merged_file_as_their_base(world):
    w = world(make_learners(4, 5, 6), rounds=2, proposers=2)
    w.drive(w.agents())
    [line] = [x for x in w.journal(0) if x["kind"] == "merged" and x["round"] == 0]
    for content in w.rounds()[1].contents.values():
        with w.store(0).get(content, max_size=content.size) as pieces:
            assert decode_weights(b"".join(pieces)).base == line["content"][1]


def test_ballot_has_scores_of_the_current_weights_and_of_each_proposal(world):
    learners = [CountsTests(4), CountsTests(8), CountsTests(6)]
    w = world(learners, rounds=1, proposers=2)
    w.drive(w.agents())
    votes = find_votes(w)
    first, second, voter = (votes[wallet.address] for wallet in w.wallets)
    scores = [[s.vote_score for s in vote.scores] for vote in (first, second, voter)]
    assert scores == [[-12.0, -9.0, -6.0], [-24.0, -21.0, -18.0], [-18.0, -15.0, -12.0]]
    assert [vote.approvals for vote in (first, second, voter)] == [0b10, 0b01, 0b11]
    assert learners[0].tested == [1.0, 0.0, 2.0]  # its own proposal only once, when it was trained
    assert learners[2].tested == [0.0, 1.0, 2.0, 1.5]  # the mean last


# ------------------------------------------------------------------ serving


class FullStore:
    """A store that keeps nothing more while it is full."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def pin(self, content: ContentRef, *load: Any) -> None:
        if self.is_full and not self._target.has(content):
            raise ContentNotStored("no space")
        self._target.pin(content, *load)


def test_proposal_is_served_only_once_the_vote_has_begun(world):
    w = world(make_learners(4, 5, 6), rounds=1, proposers=2)
    agents = w.agents()
    step_until(agents[0], Action.JOINED)
    for agent in agents[1:]:
        step_until(agent, Action.JOINED)
    assert step_until(agents[0], Action.PROPOSED)
    content = w.rounds()[0].slots[0].content
    agents[0].step()
    assert not w.store(0).has(content)
    step_until(agents[1], Action.PROPOSED)
    assert not any(w.store(0).has(c) for c in w.rounds()[0].contents.values())
    assert step_until(agents[0], Action.WAITED)
    assert w.store(0).pinned(content)


def test_restarted_proposer_serves_its_proposal(world):
    w = world(make_learners(4, 5, 6), rounds=1, proposers=2)
    agents = w.agents()
    step_all(w, agents, Phase.VOTING)
    agents[0].close()
    content = w.rounds()[0].slots[0].content
    assert not w.store(0).has(content)
    agents[0] = w.agent(0)
    w.drive(agents)
    assert w.rounds()[0].outcome == Outcome.ACCEPTED
    assert w.rounds()[0].slots[0].accepted


def test_failing_store_of_a_proposer_does_not_cost_its_ballot(world, caplog):
    w = world(make_learners(4, 5, 6), rounds=1, proposers=2)
    store = FullStore(w.store(0))
    agents = [w.agent(0, store=store), w.agent(1), w.agent(2)]
    step_all(w, agents, Phase.VOTING)
    content = w.rounds()[0].contents[0]
    agents[1].step()
    store.is_full = True
    assert agents[0].step() == Action.VOTED
    assert "cannot serve its proposal of round 0: no space" in caplog.text
    store.is_full = False
    agents[0].step()
    assert w.store(0).pinned(content)


def test_classic_proposal_is_served_before_it_is_proposed(world):
    w = world(make_learners(4, 5), rounds=1, proposers=1)
    agents = w.agents()
    step_all(w, agents, Phase.VOTING)
    assert w.store(0).pinned(w.rounds()[0].slots[0].content)


# ------------------------------------------------------------------ fetching


def test_voter_waits_until_half_of_the_window_and_then_votes_on_what_has_arrived(world):
    w = world(make_learners(4, 5, 6), rounds=1, proposers=2)
    store = LossyStore(w.store(2))
    agents = [w.agent(0), w.agent(1), w.agent(2, store=store)]
    step_all(w, agents, Phase.VOTING)
    store.lost.add(w.rounds()[0].contents[1].cid)
    agents[0].step()
    agents[1].step()
    w.seconds = w.rounds()[0].voting_started_at + 49
    assert agents[2].step() == Action.WAITED
    w.seconds += 1
    assert agents[2].step() == Action.VOTED
    vote = find_votes(w)[w.wallets[2].address]
    assert vote.approvals == 0b01
    assert [scores == Scores() for scores in vote.scores] == [False, False, True]
    [line] = [x for x in w.journal(2) if x["kind"] == "ballot"]
    assert "proposal 1 could not be fetched" in line["reason"]


class MeetingStore(LossyStore):
    """A store that delivers files only while two of them are fetched at the same time."""

    def __init__(self, target: Any) -> None:
        super().__init__(target)
        self.barrier: threading.Barrier | None = None

    def get(self, content: ContentRef, **how: Any) -> Any:
        if self.barrier is not None:
            self.barrier.wait(30)
        return super().get(content, **how)


def test_proposals_are_fetched_at_the_same_time(world):
    w = world(make_learners(4, 5, 6), rounds=1, proposers=2)
    store = MeetingStore(w.store(2))
    agents = [w.agent(0), w.agent(1), w.agent(2, store=store)]
    step_all(w, agents, Phase.VOTING)
    agents[0].step()
    agents[1].step()
    store.barrier = threading.Barrier(2)
    assert agents[2].step() == Action.VOTED
    assert find_votes(w)[w.wallets[2].address].approvals == 0b11


# ------------------------------------------------------------------ judging


def vote_on(w: World, *numbers: Any, **config: Any) -> Vote:
    """Let an agent with this configuration vote on proposals of these weights."""
    files = [n if isinstance(n, ContentRef) else make_file(w, n) for n in numbers]
    agent = propose_by_hand(w, *files, **config)
    step_until(agent, Action.VOTED)
    agent.close()
    return find_votes(w)[w.wallets[-1].address]


def test_distant_proposal_is_not_approved_although_it_scores_better(tmp_path, caplog):
    params = {"proposers": 3, "rounds": 1}
    w = World(tmp_path, make_learners(0, 0, 0, 8), params, spec={"max_distance": 3.0})
    vote = vote_on(w, [1.0] * 3, [1.1] * 3, [8.0] * 3)
    assert vote.approvals == 0b011
    assert vote.scores[3].vote_score == 0.0
    assert "proposal 2 is 13.86 away from the current weights" in caplog.text


def test_distances_of_two_proposals_are_not_compared(tmp_path):
    w = World(tmp_path, make_learners(0, 0, 8), {"proposers": 2}, spec={"max_distance": 1.0})
    assert vote_on(w, [1.0] * 3, [8.0] * 3).approvals == 0b11


def test_only_the_lowest_slot_of_equal_proposals_is_approved(tmp_path, caplog):
    w = World(tmp_path, make_learners(0, 0, 0, 8), {"proposers": 3})
    copy = make_file(w, [1.0] * 3, summary={"copied": True})
    vote = vote_on(w, [2.0] * 3, [1.0] * 3, copy)
    assert vote.approvals == 0b011
    assert vote.scores[2] == vote.scores[3]
    assert "proposal 2 has the same tensors as proposal 1" in caplog.text


def test_unusable_proposals_do_not_affect_the_others(tmp_path, caplog):
    w = World(tmp_path, make_learners(0, 0, 0, 0, 8), {"proposers": 4})
    nan, strange = make_file(w, [np.nan] * 3), make_file(w, [1.0] * 3, base="ab" * 32)
    vote = vote_on(w, nan, [1.0] * 3, strange, make_file(w, [1.0] * 4))
    assert vote.approvals == 0b0010
    assert [scores == Scores() for scores in vote.scores] == [False, True, False, True, True]
    for reason in ("0 is not usable", "2 is not usable: it was trained from ab", "3 is not usable"):
        assert f"proposal {reason}" in caplog.text


class EitherSign(TowardsTarget):
    """A learner for which weights and their negation are equally good."""

    def _score(self, weights: list[np.ndarray]) -> float:
        return -float(np.abs(np.abs(weights[0]) - self.target).sum())


def test_good_proposals_with_a_bad_mean_are_not_approved_together(tmp_path, caplog):
    w = World(tmp_path, [*make_learners(0, 0), EitherSign(4)], {"proposers": 2})
    assert vote_on(w, [1.0] * 3, [-1.0] * 3).approvals == 0b01
    assert "the mean of proposals 0, 1 is not better than the current weights" in caplog.text


@pytest.mark.parametrize(
    ("fields", "approvals"),
    [
        ({}, 0b10),
        ({"vote_rule": "leave-one-out"}, 0b10),
        ({"vote_rule": "leave-one-out", "tolerance": 9.0}, 0b11),
    ],
    ids=["better alone", "leave one out", "with tolerance"],
)
def test_specification_chooses_the_vote_rule(tmp_path, fields, approvals):
    w = World(tmp_path, make_learners(0, 0, 8), {"proposers": 2}, spec=fields)
    assert vote_on(w, [-1.0] * 3, [4.0] * 3).approvals == approvals


BETTER_ALONE, LEAVE_ONE_OUT = {"vote_rule": "better-alone"}, {"vote_rule": "leave-one-out"}


@pytest.mark.parametrize(
    ("agreed", "own", "approvals"),
    [
        (BETTER_ALONE, {}, 0b11),
        (BETTER_ALONE, LEAVE_ONE_OUT, 0b10),
        (BETTER_ALONE, {**LEAVE_ONE_OUT, "tolerance": 99}, 0b11),
        (LEAVE_ONE_OUT, {}, 0b10),
        (LEAVE_ONE_OUT, BETTER_ALONE, 0b11),
        (LEAVE_ONE_OUT, {"tolerance": 99.0}, 0b11),
        ({**LEAVE_ONE_OUT, "tolerance": 99.0}, {"tolerance": 0.0}, 0b10),
        ({**BETTER_ALONE, "tolerance": 99.0}, LEAVE_ONE_OUT, 0b11),
    ],
)
def test_agents_own_vote_rule_and_tolerance_replace_those_of_the_specification(
    tmp_path, agreed, own, approvals
):
    """Both proposals are better than the current weights; the mean is better without the first."""
    w = World(tmp_path, make_learners(0, 0, 8), {"proposers": 2}, spec=agreed)
    assert vote_on(w, [1.0] * 3, [8.0] * 3, **own).approvals == approvals


def test_means_are_not_tested_if_only_the_best_proposal_is_accepted(tmp_path):
    learners = [*make_learners(4, 6), CountsTests(8)]
    w = World(tmp_path, learners, {"proposers": 2, "merge": Merge.BEST, "rounds": 1})
    w.drive(w.agents())
    assert find_votes(w)[w.wallets[2].address].approvals == 0b11
    assert learners[2].tested == [0.0, 1.0, 1.5]
    [content] = w.ledger.experiment(w.experiment).current
    assert content == w.rounds()[0].contents[0]  # two votes for each of them: the lowest slot
    assert len({learner.weights[0].tobytes() for learner in w.learners}) == 1


def test_learner_without_usable_current_weights_approves_nothing(tmp_path):
    class CannotAccept(TowardsTarget):
        def mli_accept_weights(self, weights: Weights) -> None:
            raise ZeroDivisionError

    w = World(tmp_path, [*make_learners(0, 0), CannotAccept(8)], {"proposers": 2})
    vote = vote_on(w, [1.0] * 3, [2.0] * 3)
    assert (vote.approvals, set(vote.scores)) == (0, {Scores()})


def test_round_without_current_weights_needs_no_base_and_no_distance(tmp_path):
    params = {"proposers": 3, "merge": Merge.BEST, "initial": None}
    w = World(tmp_path, make_learners(0, 0, 0, 8), params, spec={"max_distance": 1.0})
    files = [make_file(w, [number] * 3) for number in (1.0, 2.0, 9.0)]
    vote = vote_on(w, *files)
    assert vote.scores[0] == Scores()
    assert vote.approvals == 0b111


def test_learner_that_fails_to_test_one_proposal_still_votes_on_the_others(tmp_path):
    class DislikesOnes(TowardsTarget):
        def mli_test_weights(self, weights: Weights) -> ProposedWeights:
            if weights.weights[0][0] == 1.0:
                raise ZeroDivisionError
            return super().mli_test_weights(weights)

    w = World(tmp_path, [*make_learners(0, 0), DislikesOnes(8)], {"proposers": 2})
    vote = vote_on(w, [1.0] * 3, [2.0] * 3)
    assert (vote.approvals, vote.scores[1]) == (0b10, Scores())
