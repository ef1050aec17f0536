"""The bench of dishonest learners: what Flower's clients send, and the table."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from bench import dishonest
from bench.attacked import make_clients
from bench.dishonest import LEARNERS, WAYS, format_table, list_cells, parse_options
from bench.networks import Group
from bench.voting import Cell, Outcome, Start, run

CELL = Cell("digits", 0.5, True, "none", 0.0, "reversed", 1, 3, learners=3, rounds=2)


@pytest.mark.parametrize("attack", ["reversed", "labels"])
def test_flower_clients_send_what_learners_with_votes_propose(attack: str):
    """The mean of all proposals, without a vote, is FedAvg without weights by record counts."""
    cell = replace(CELL, attack=attack)
    clients = make_clients(**asdict(cell))
    weights, states, accuracy = clients.start(), [None] * 3, []
    for progress in (0.0, 0.5):
        processes = [make_clients(**asdict(cell)) for _ in range(3)]
        trained = [each.train(i, weights, states[i], 0.0) for i, each in enumerate(processes)]
        states = [state for _, state, _ in trained]
        sent = clients.attack(weights, [tree for tree, _, _ in trained], progress)
        weights = {name: np.mean([tree[name] for tree in sent], axis=0) for name in sent[0]}
        accuracy.append(clients.examine(weights))
    assert accuracy == pytest.approx(run(cell).accuracy, abs=0.01)


def test_training_continues_where_another_process_stopped():
    start = Start(CELL)
    group = Group(start.network, start.parts, start.training)
    group.train(start.weights)
    expected = start.network.to_tree(group.train(start.weights)[2])
    trained, state, records = make_clients(**asdict(CELL)).train(
        2, start.network.to_tree(start.weights), {"trainings": np.array(1)}, 0.0
    )
    assert int(state["trainings"]) == 2
    assert records == len(start.parts.shares[2].train)
    assert all(np.allclose(trained[name], expected[name], atol=1e-5) for name in expected)


def test_honest_clients_send_what_they_trained():
    clients = make_clients(**asdict(replace(CELL, attack="honest", dishonest=0)))
    trained = [clients.start()] * 3
    np.testing.assert_equal(clients.attack(clients.start(), trained, 0.0), trained)


def test_robust_strategies_are_configured_for_as_many_attackers_as_they_allow():
    """Krum needs n >= 2 f + 3, Bulyan n >= 4 f + 3, and the trimmed mean keeps a client."""
    assert 2 * WAYS["Krum"].options["num_malicious_nodes"] + 3 in (LEARNERS, LEARNERS - 1)
    assert 4 * WAYS["Bulyan"].options["num_malicious_nodes"] + 3 <= LEARNERS
    assert 4 * (WAYS["Bulyan"].options["num_malicious_nodes"] + 1) + 3 > LEARNERS
    assert WAYS["trimmed"].options["beta"] < 0.5


def test_full_run_has_every_situation_once():
    cells = list_cells(parse_options([]))
    assert len(set(cells)) == len(cells)
    assert {cell.attack for cell in cells if cell.rule == "Krum"} == {
        "honest",
        *dishonest.ATTACKS,
    } - set(dishonest.BALLOT_ATTACKS)
    assert {cell.dishonest for cell in cells if cell.attack == "honest"} == {0}


def test_table_has_rows_by_number_of_attackers_and_their_mean():
    def run_of(rule: str, threshold: float, attack: str, number: int) -> Cell:
        return replace(CELL, rule=rule, threshold=threshold, attack=attack, dishonest=number)

    results = {
        run_of("Krum", 0.0, "noise", 2): Outcome([0.1, *[0.5] * 5], None, None),
        run_of("V19", 0.4, "honest", 0): Outcome([0.9], 0.75, 0.0),
        run_of("V19", 0.4, "noise", 2): Outcome([0.8], 0.5, 0.25),
        run_of("V19", 0.4, "reversed", 2): Outcome([0.7], 0.5, 0.0),
        run_of("Krum", 0.0, "reversed", 2): Outcome([0.4], None, None),
        run_of("V19", 0.4, "always-no", 2): Outcome([0.2], 0.5, 0.0),
    }
    assert format_table(results, "digits").splitlines() == [
        "| dishonest | open | Krum |",
        "|---|---:|---:|",
        "| none | 90.0 (75) | – |",
        "| 2 reversed | 70.0 (50, 0) | 40.0 |",
        "| 2 noise | 80.0 (50, 25) | 50.0 |",
        "| 2 always-no | 20.0 (50, 0) | – |",
        "| **2, mean** | **75.0** | **45.0** |",
        "| **2, worst** | **70.0** | **40.0** |",
    ]
    assert format_table(results, "mnist").count("\n") == 1
