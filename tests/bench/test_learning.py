from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.learning import format_table, make_cells, parse_options
from bench.learning_cells import (
    Cell,
    Measured,
    Way,
    measure,
    rounds_to_reach,
)
from bench.places import Place, make_clients, run_fedavg, train_once
from bench.plural import average
from colearn_ledger.spec import VoteRule

PLACE = Place("digits", 3, "0.5", 1)
VOTES = Way("plural", "votes", 0, 0.25, "better-alone")


def measured(*accuracy: float) -> Measured:
    return Measured(accuracy, 0.5, 3, 4)


class TestPlaces:
    @pytest.mark.parametrize("division", ["iid", "0.5", "0.1", "unequal"])
    def test_all_records_are_divided_and_none_twice(self, division: str):
        split = Place("digits", 5, division, 1).split()
        parts = [part for s in split.shares for part in (s.train, s.vote, s.test)]
        assert sum(map(len, parts)) + len(split.common_test) == 1_797

    def test_last_learner_of_an_unequal_division_has_most_records(self):
        sizes = [len(share.train) for share in Place("digits", 10, "unequal", 1).split().shares]
        assert sizes == sorted(sizes)
        assert sizes[-1] > 9 * sizes[0]

    def test_flower_clients_train_as_the_plain_loop_does(self):
        """Each client is trained in another process every time; only its state travels."""
        start = make_clients(data="digits", learners=3, division="0.5", seed=1).start()
        weights, states = start, [None] * 3
        for _ in range(2):
            processes = [make_clients(data="digits", learners=3, division="0.5", seed=1)] * 3
            trained = [
                clients.train(i, weights, states[i], 0.0) for i, clients in enumerate(processes)
            ]
            states = [state for _, state, _ in trained]
            sizes = [records for _, _, records in trained]
            weights = average([new for new, _, _ in trained], sizes)
        plain = run_fedavg(PLACE, 2)
        assert all(np.allclose(weights[name], plain[name], atol=1e-6) for name in plain)

    def test_proximal_term_pulls_towards_the_start(self):
        def distance(mu: float) -> float:
            learner = PLACE.make_learners()[0]
            start = learner.mli_get_current_weights().weights
            trained = train_once(learner, start, mu)
            return sum(float(np.square(trained[n] - start[n]).sum()) for n in start)

        assert distance(1.0) < distance(0.1) < distance(0.0)

    def test_one_proximal_step_is_the_textbook_one(self):
        """After two steps of gradient descent: w2 = w1 - rate · (gradient + μ (w1 - w0))."""
        torch.manual_seed(0)
        start = PLACE.make_learners()[0].mli_get_current_weights().weights

        def train(mu: float, steps: int) -> dict[str, np.ndarray]:
            learner = PLACE.make_learners()[0]
            learner.num_train_batches = steps
            return train_once(learner, start, mu)

        one, plain, proximal = train(0.0, 1), train(0.0, 2), train(0.5, 2)
        rate = PLACE.training.learning_rate
        for name in start:
            expected = plain[name] - rate * 0.5 * (one[name] - start[name])
            assert np.allclose(proximal[name], expected, atol=1e-6)


class TestCells:
    def test_votes_and_peers_are_measured_after_every_round(self):
        (alone,) = measure([Cell(PLACE, Way("alone", "alone"), 3)])
        (votes,) = measure([Cell(PLACE, VOTES, 3)])
        assert len(alone.accuracy) == len(votes.accuracy) == 4
        assert votes.accuracy[0] == alone.accuracy[0]
        assert votes.proposals == 9
        assert 0 < votes.accepted <= 9
        assert votes.accuracy[-1] > votes.accuracy[0]


class TestTables:
    def test_full_run_varies_rules_with_ten_learners_only(self):
        cells = make_cells(parse_options([]))
        assert len(set(cells)) == len(cells)
        ways = {n: {c.way.name for c in cells if c.place.learners == n} for n in (5, 10, 20)}
        assert "plural k=16, 0.25, leave-one-out" in ways[20]
        assert len([name for name in ways[20] if name.startswith("plural")]) == 1
        assert (
            len([name for name in ways[10] if name.startswith("plural")]) == 2 * len(VoteRule) + 1
        )
        assert {cell.place.learners for cell in cells if cell.place.division == "unequal"} == {10}

    def test_table_shows_means_over_the_seeds(self):
        results = {
            Cell(replace(PLACE, seed=seed), VOTES, 5): measured(*[0.0] * 4, *ends)
            for seed, ends in ((1, (0.92, 0.9)), (2, (0.92, 1.0)))
        }
        table = format_table(results, "digits")
        row = [next(iter(column.cells)) for column in table.columns]
        assert row == ["3", "0.5", "plural", "95.0", "4", "0.50", "75 %"]
        assert format_table(results, "mnist").row_count == 0

    def test_goal_that_is_never_reached_has_no_round(self):
        assert rounds_to_reach([0.1, 0.95, 0.8], 0.9) == 1
        assert rounds_to_reach([0.1, 0.2], 0.9) is None
