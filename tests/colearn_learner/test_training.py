"""The local driver follows the ancestor's rules, including their edge cases."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from colearn_learner import (
    ColearnPlot,
    ProposedWeights,
    Results,
    Weights,
    collective_learning_round,
    individual_training_round,
    initial_result,
    print_results,
    run,
    run_one_round,
    set_equal_weights,
)


class Counter:
    """A learner without a base class whose weights are a number."""

    def __init__(self, vote: bool = True) -> None:
        self.value = 0
        self.fixed_vote = vote

    def mli_propose_weights(self) -> Weights:
        return Weights(weights=self.value + 1)

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        score = float(weights.weights)
        return ProposedWeights(
            weights=weights, vote_score=score, test_score=score, vote=self.fixed_vote
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        self.value = weights.weights

    def mli_get_current_weights(self) -> Weights:
        return Weights(weights=self.value)

    def mli_get_current_model(self) -> Any:
        return None


def make_voters(*votes: bool) -> list[Counter]:
    return [Counter(), *(Counter(vote) for vote in votes)]


@pytest.mark.parametrize(
    ("votes", "threshold", "accepted"),
    [
        ((True, False), 0.5, True),
        ((True, True, False, False), 0.5, True),
        ((True, False, False, False), 0.5, False),
        ((True, True, True, False), 1.0, False),
        ((True, True, True, True), 1.0, True),
        ((False, False), 0.0, True),
        ((), 0.5, True),
    ],
)
def test_proposal_is_accepted_if_approvals_reach_the_threshold(
    votes: tuple[bool, ...], threshold: float, accepted: bool
):
    learners = make_voters(*votes)
    proposed, passed = run_one_round(0, learners, threshold)
    assert passed is accepted
    assert proposed[0].vote is None
    assert [learner.value for learner in learners] == [int(accepted)] * len(learners)


def test_learners_take_turns_to_propose():
    learners = make_voters(True, True)
    rounds = [collective_learning_round(learners, 0.5, n) for n in range(4)]
    assert [result.block_proposer for result in rounds] == [0, 1, 2, 0]


def test_run_completes_all_rounds():
    learners = make_voters(True, True)
    run(5, learners)
    assert [learner.value for learner in learners] == [5, 5, 5]


def test_equal_weights_are_those_of_the_first_learner():
    learners = make_voters(True, True)
    learners[0].value = 7
    set_equal_weights(learners)
    assert [learner.value for learner in learners] == [7, 7, 7]


def test_individual_training_adopts_each_learners_own_weights():
    learners = make_voters(True)
    learners[1].value = 5
    individual_training_round(learners, 0)
    assert [learner.value for learner in learners] == [1, 6]


def test_results_can_be_printed_and_plotted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    learners = make_voters(True, False, True)
    results = Results()
    results.data.append(initial_result(learners))
    results.data.append(collective_learning_round(learners, 0.5, 1))
    print_results(results)
    assert "result 1" in capsys.readouterr().out
    plot = ColearnPlot(score_name="score")
    plot.plot_results_and_votes(results)
    plot.save(tmp_path / "plot.png")
    plot.block()
    plot.block()
    assert (tmp_path / "plot.png").stat().st_size > 5_000


def run_rounds(n_learners: int, n_rounds: int) -> Results:
    results = Results()
    learners = make_voters(*[True] * (n_learners - 1))
    for index in range(n_rounds):
        results.data.append(collective_learning_round(learners, 0.5, index))
    return results


@pytest.mark.parametrize(("n_learners", "n_rounds"), [(3, 1), (5, 15), (18, 4), (40, 3)])
def test_plot_labels_do_not_overlap(n_learners: int, n_rounds: int):
    plot = ColearnPlot(score_name="score")
    plot.plot_results_and_votes(run_rounds(n_learners, n_rounds))
    plot.figure.canvas.draw()
    scores, votes = plot.figure.axes
    for axes in (scores, votes):
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) for tick in ticks), "rounds are whole numbers"
    assert scores.get_position().x1 == votes.get_position().x1, "rounds are aligned in both plots"
    legend = scores.get_legend()
    assert legend.get_window_extent().y0 >= scores.get_window_extent().y1, (
        "the legend is above the lines"
    )
    names = votes.get_yticklabels()
    tops = sorted(name.get_window_extent().y0 for name in names)
    height = names[0].get_window_extent().height
    assert all(above - below >= 0.9 * height for below, above in pairwise(tops))


def test_results_without_rounds_can_be_plotted():
    ColearnPlot().plot_results_and_votes(Results())
