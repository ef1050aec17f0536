"""Tests of the privacy budget that every private learner must pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dp_accounting
import pytest
from dp_accounting import rdp

from colearn_learner import Weights, collective_learning_round, print_results, set_equal_weights
from colearn_learner.compat.results import Results
from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import DiffPrivConfig, ErrorCodes
from colearn_ledger.weights.codec import encode_weights

STEPS = 4
"""Number of steps of a training; each step uses a tenth of the records."""

Make = Callable[..., Any]


def config(**changes: float) -> DiffPrivConfig:
    chosen = {"target_epsilon": 5.0, "target_delta": 1e-4}
    return DiffPrivConfig(**(chosen | {"max_grad_norm": 1.0, "noise_multiplier": 1.0} | changes))


def accountant_epsilon(steps: int) -> float:
    accountant = rdp.RdpAccountant()
    noisy = dp_accounting.GaussianDpEvent(1.0)
    accountant.compose(dp_accounting.PoissonSampledDpEvent(0.1, noisy), steps)
    return float(accountant.get_epsilon(1e-4))


def numbers(weights: Any) -> bytes:
    return encode_weights(weights.weights)


class BudgetContract:
    """Tests of the privacy budget; subclass it and supply the fixture ``make``.

    ``make`` returns a learner that trains for `STEPS` steps under `config()` and votes by its loss.
    It accepts the options of its kind of learner. A callable given as ``at_step`` is called at each
    step of a training.
    """

    def test_budget_is_attached_to_weights(self, make: Make):
        one = make()
        assert one.mli_get_current_weights().training_summary.dp_budget.consumed_epsilon == 0
        for number in (1, 2):
            summary = one.mli_propose_weights().training_summary
            expected = pytest.approx(accountant_epsilon(STEPS * number), rel=1e-12)
            assert (summary.error_code, summary.dp_budget.consumed_epsilon) == (None, expected)
            assert one.mli_get_current_weights().training_summary.dp_budget == summary.dp_budget
        assert one.get_privacy_budget() == summary.dp_budget

    def test_learner_without_budget_does_not_train_but_votes(self, make: Make):
        one = make(diff_priv_config=config(target_epsilon=accountant_epsilon(STEPS) * 1.001))
        good = one.mli_propose_weights()
        again = one.mli_propose_weights()
        assert again.training_summary.error_code is ErrorCodes.DP_BUDGET_EXCEEDED
        assert again.training_summary.dp_budget == good.training_summary.dp_budget
        assert not isinstance(again.weights, Weights)
        assert numbers(again) == numbers(one.mli_get_current_weights())
        assert one.mli_test_weights(good).vote is True
        one.mli_accept_weights(good)
        assert one.mli_test_weights(again).vote is False

    def test_spending_is_on_disk_before_the_first_step(self, make: Make, tmp_path: Path):
        state, seen = tmp_path / "privacy.json", []
        one = make(
            privacy_state=state,
            at_step=lambda: seen.append(json.loads(state.read_text())["spent"][0]["steps"]),
        )
        one.mli_propose_weights()
        assert set(seen) == {STEPS}
        assert make(privacy_state=state).get_privacy_budget() == one.get_privacy_budget()

    def test_failed_training_is_not_refunded(self, make: Make):
        one = make(at_step=lambda: 1 / 0)
        before = one.mli_get_current_weights()
        with pytest.raises(ZeroDivisionError):
            one.mli_propose_weights()
        after = one.mli_get_current_weights()
        assert after.training_summary.dp_budget.consumed_epsilon == accountant_epsilon(STEPS)
        assert numbers(after) == numbers(before)

    def test_round_results_show_all_budgets(self, make: Make, capsys: pytest.CaptureFixture[str]):
        learners = [make(noise_seed=n) for n in range(2)]
        set_equal_weights(learners)
        results = Results()
        results.data.append(collective_learning_round(learners, 0.5, 0))
        budgets = [summary.dp_budget for summary in results.data[0].training_summaries]
        assert [b.consumed_epsilon for b in budgets] == [accountant_epsilon(STEPS), 0.0]
        print_results(results)
        assert f"{accountant_epsilon(STEPS):.4g}" in capsys.readouterr().out

    def test_learner_without_config_has_no_budget(self, make: Make):
        one = make(diff_priv_config=None)
        assert one.mli_propose_weights().training_summary is None
        assert one.get_privacy_budget() is None

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"noise_multiplier": 0.0}, "noise_multiplier is 0"),
            ({"target_delta": 1.0}, "target_delta is 1"),
        ],
    )
    def test_config_numbers_out_of_range_are_refused(
        self, make: Make, changes: dict[str, float], message: str
    ):
        with pytest.raises(InvalidArgument, match=message):
            make(diff_priv_config=config(**changes))
