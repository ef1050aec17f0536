"""Trees have no mean: of several proposals in a round, the most approved one is adopted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner
from sklearn.ensemble import RandomForestClassifier

from colearn_learner import simulation
from colearn_learner.catalogue.settings import score_of
from colearn_learner.cli import main
from colearn_learner.datasets import Share, dataset, split
from colearn_learner.learners.forest import ForestLearner
from colearn_learner.learners.xgboost import XGBoostLearner
from colearn_ledger.protocol import Merge
from colearn_ledger.weights.codec import encode_weights

ROUNDS = 3
LOG_LOSS = {"criterion": "log_loss", "minimise_criterion": True}


def make_forest(share: Share) -> ForestLearner:
    model = RandomForestClassifier(max_depth=4)
    return ForestLearner(model, *list_records(share), classes=(0, 1), **LOG_LOSS)


def make_booster(share: Share) -> XGBoostLearner:
    params = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    return XGBoostLearner(params, *list_records(share), boost_rounds=2, **LOG_LOSS)


def list_records(share: Share) -> list[tuple[Any, Any]]:
    return [(part.inputs, part.targets) for part in (share.train, share.vote, share.test)]


def make_learners(make: Any) -> list[Any]:
    data = dataset("breast-cancer")
    shares = split(data.load(), task=data.task, n_learners=4, train_ratio=0.6, seed=1).shares
    return [make(share) for share in shares]


@pytest.mark.parametrize("ledger", ["local", "evm"])
@pytest.mark.parametrize("make", [make_forest, make_booster])
def test_most_approved_trees_are_adopted(make: Any, ledger: Literal["local", "evm"]):
    learners = make_learners(make)
    config = simulation.SimulationConfig(
        n_proposers=4, score_name=score_of("classification").name, higher_is_better=False
    )
    result = simulation.run(learners, ROUNDS, vote_threshold=0.25, ledger=ledger, config=config)
    assert result.history.experiment.params.merge == Merge.BEST
    rounds = [record.round for record in result.history.rounds]
    assert [len(each.contents) for each in rounds] == [4] * ROUNDS
    for each in rounds:
        most = max(slot.approvals for slot in each.slots)
        best = next(n for n, slot in enumerate(each.slots) if slot.approvals == most)
        expected = [n == best and most >= each.needed for n in range(4)]
        assert [slot.accepted for slot in each.slots] == expected
    assert any(slot.accepted for slot in rounds[0].slots)
    for learner in learners:
        assert encode_weights(learner.mli_get_current_weights().weights) == encode_weights(
            result.weights
        )
    first, last = result.results.data[0], result.results.data[-1]
    assert sum(last.vote_scores) < sum(first.vote_scores)


@pytest.mark.parametrize("model", ["forest", "xgboost"])
def test_demo_chooses_the_best_of_several_proposals_of_trees(tmp_path: Path, model: str):
    demo = ("demo", "--ledger", "local", "--n-rounds", "3", "--n-learners", "3", "--json")
    more = ("--n-proposers", "5", "--model", model, "--out", str(tmp_path / "run"))
    result = CliRunner().invoke(main, [*demo, *more])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.output)
    assert (summary["proposers"], summary["proposed"]) == (3, 9)
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["experiment"]["params"]["merge"] == "best"
    assert max(len(round_["accepted"]) for round_ in history["rounds"]) == 1
