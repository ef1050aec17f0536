"""The study of vote rules: its loop, its rules and its table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import voting
from bench.candidates import CANDIDATES, Probes
from bench.vote_rules import format_table
from bench.voting import Cell, Outcome, Panel, divide_data, run
from colearn_learner.agent.judge import Evidence, Trial
from colearn_learner.catalogue.models import make_learner, model
from colearn_learner.catalogue.settings import Training
from colearn_learner.interface import Weights
from colearn_ledger.protocol import Scores
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.schema import WeightsSchema

CELL = Cell("digits", 0.5, True, "none", 0.0, "honest", 0, 3, learners=3, rounds=2)
SPEC = ExperimentSpec("m", WeightsSchema.of([np.zeros(1)]), "log loss", higher_is_better=False)


def test_run_without_a_vote_equals_averaging_the_learners():
    data, parts = divide_data("digits", 0.5, 3, 3)
    training = Training(voting.RATE, batch_size=voting.BATCH, seed=3)
    learners = [
        make_learner(model("mlp", data), s, data=data, training=training) for s in parts.shares
    ]
    for _ in range(2):
        trees = [learner.mli_propose_weights().weights for learner in learners]
        mean = {name: np.mean([tree[name] for tree in trees], axis=0) for name in trees[0]}
        for learner in learners:
            learner.mli_accept_weights(Weights(mean))
    outputs = learners[0].model.predict(parts.common_test.inputs)
    outcome = run(CELL)
    assert outcome.accuracy[-1] == np.mean(outputs == parts.common_test.targets)
    assert (outcome.accepted_honest, outcome.accepted_dishonest) == (1.0, 0.0)


def test_one_learner_that_rejects_all_prevents_unanimity():
    attacked = replace(CELL, rule="V1", threshold=1.0, attack="always-no", dishonest=1)
    assert run(attacked).accepted_honest == 0
    assert run(replace(attacked, attack="honest", dishonest=0)).accepted_honest > 0


def test_references_accept_all_or_the_honest():
    attacked = replace(CELL, attack="reversed", dishonest=1)
    outcome = run(attacked)
    assert (outcome.accepted_honest, outcome.accepted_dishonest) == (1.0, 1.0)
    outcome = run(replace(attacked, rule="oracle"))
    assert (outcome.accepted_honest, outcome.accepted_dishonest) == (1.0, 0.0)


def judge(name: str, alone: dict[int, float], means: dict[tuple[int, ...], float], own=None):
    """Return what a rule approves of proposals with these log losses; the current one is 0.5."""

    def test(score: float) -> Trial:
        return Trial(Scores(score), score <= 0.5)

    evidence = Evidence(
        Scores(0.5),
        {slot: test(score) for slot, score in alone.items()},
        None if own is None else (own[0], Scores(own[1])),
    )
    made = CANDIDATES[name].make_judge(
        SPEC,
        Probes(
            lambda slots: test(means[slots]), lambda slot, part: alone[slot] - (1 - part) / 5, {}
        ),
    )
    return made.select(evidence)


ALONE = {0: 0.4, 1: 0.6, 2: 0.4}
MEANS = {(0, 1, 2, 3): 0.4, (1, 2, 3): 0.45, (0, 2, 3): 0.2, (0, 1, 3): 0.399, (2, 3): 0.31}
MEANS |= {(0, 3): 0.19}


@pytest.mark.parametrize(
    ("name", "approved"),
    [
        ("V1", [0, 2]),
        ("V7", [0]),
        ("V7-1%", [0, 2]),
        ("V8", [0]),
        ("V12", [0, 2]),
        ("V14", [0, 2]),
        ("V14-alone", [0, 2]),
        ("V1&V12", [0, 2]),
        ("V1/2", [0, 1, 2]),
        ("V1/10", [0, 1, 2]),
        ("V16", [0]),
        ("V16-1%", [0]),
    ],
)
def test_rules(name, approved):
    assert judge(name, ALONE, MEANS, own=(3, 0.35)) == approved


def test_combination_depends_on_the_number_of_better_proposals():
    means = MEANS | {(0, 1, 2): 0.4, (1, 2): 0.39, (0, 2): 0.3, (0, 1): 0.5}
    agreeing, otherwise = {0: 0.4, 1: 0.4, 2: 0.6}, {0: 0.4, 1: 0.6, 2: 0.6}
    assert judge("V1-or-V12", agreeing, means) == judge("V1", agreeing, means) == [0, 1]
    assert judge("V1-or-V12", otherwise, means) == judge("V12", otherwise, means) == [0, 2]


def test_proposals_with_the_same_tensors_or_far_off_are_not_sound():
    _, parts = divide_data("digits", 0.5, 3, 3)
    network = voting.Network(64, voting.HIDDEN, 10)
    group = voting.Group(network, parts, Training(0.1, seed=3))
    size = sum(int(np.prod(shape)) for shape in network.shapes.values())
    current = np.zeros(size)
    steps = np.random.default_rng(1).standard_normal((5, size))
    proposals = np.array([steps[0], steps[1], steps[0], 50 * steps[2], steps[3]])
    assert Panel(group, current, proposals, 5.0).sound == {0, 1, 4}
    assert Panel(group, current, proposals, 60.0).sound == {0, 1, 3, 4}


def test_table_has_means_over_seeds():
    attacked = replace(CELL, attack="noise", dishonest=2)
    table = format_table(
        {
            CELL: Outcome([0.1, *[0.7] * 5], 1, 0),
            replace(CELL, seed=4): Outcome([0.1, 0.6, *[0.85] * 4], 1, 0),
            attacked: Outcome([0.6], 0.5, 0.25),
        }
    )
    assert table.splitlines()[0] == "| situation | none |"
    assert table.splitlines()[2:] == [
        "| digits 0.5 adjusted, honest | 75.0 |",
        "| digits 0.5 adjusted, 2 noise | 60.0 (25) |",
    ]
