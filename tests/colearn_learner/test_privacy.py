"""The privacy budget: epsilon as dp-accounting computes it, the state file, and agents."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dp_accounting
import pytest
from dp_accounting import pld, rdp

from colearn_learner.errors import InvalidArgument, InvalidData, MissingPackage
from colearn_learner.interface import DiffPrivConfig, ErrorCodes, Weights
from colearn_learner.learners.privacy.account import (
    BudgetExceeded,
    Mechanism,
    PrivacyAccount,
    StateNotKept,
    epsilon_of,
)
from colearn_ledger.home import HomeNotWritable
from colearn_ledger.protocol import BallotState, Outcome
from tests.support.toyworld import TowardsTarget

DELTA = 1e-5


def config(**changes: float) -> DiffPrivConfig:
    chosen = {"target_epsilon": 3.0, "target_delta": DELTA}
    return DiffPrivConfig(**(chosen | {"max_grad_norm": 1.0, "noise_multiplier": 1.1} | changes))


def account(state: Path | None = None, steps: int = 20, **changes: float) -> PrivacyAccount:
    return PrivacyAccount(config(**changes), 0.05, steps, state)


def compute_epsilon(*composed: tuple[float, float, int], delta: float = DELTA) -> float:
    """Return dp-accounting's epsilon for triples (noise, sampling rate, steps)."""
    accountant = rdp.RdpAccountant(
        neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
    )
    for noise, rate, steps in composed:
        step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
        accountant.compose(step, steps)
    return float(accountant.get_epsilon(delta))


def get_spent_epsilon(one: PrivacyAccount) -> float:
    return one.budget().consumed_epsilon


def train_until_exhausted(one: PrivacyAccount) -> int:
    """Train until the budget is used up; return the number of trainings."""
    number = 0
    while True:
        try:
            one.spend()
        except BudgetExceeded:
            return number
        number += 1


class TestEpsilon:
    @pytest.mark.parametrize(
        ("noise", "rate", "steps"), [(1.1, 0.05, 40), (0.6, 0.01, 7), (4.0, 1.0, 3), (1.0, 0.5, 1)]
    )
    def test_epsilon_equals_that_of_dp_accounting(self, noise: float, rate: float, steps: int):
        found = epsilon_of({Mechanism(noise, rate): steps}, DELTA)
        assert found == pytest.approx(compute_epsilon((noise, rate, steps)), rel=1e-12)

    def test_epsilon_composes_over_steps(self):
        one_by_one = compute_epsilon(*[(1.1, 0.05, 1)] * 4)
        assert epsilon_of({Mechanism(1.1, 0.05): 4}, DELTA) == pytest.approx(one_by_one, rel=1e-9)

    def test_epsilon_composes_over_mechanisms(self):
        found = epsilon_of({Mechanism(1.1, 0.05): 30, Mechanism(2.0, 0.1): 10}, 1e-6)
        expected = compute_epsilon((1.1, 0.05, 30), (2.0, 0.1, 10), delta=1e-6)
        assert found == pytest.approx(expected, rel=1e-12)

    def test_loss_distributions_give_a_lower_epsilon_as_dp_accounting_does(self):
        expected = pld.PLDAccountant()
        noisy = dp_accounting.PoissonSampledDpEvent(0.1, dp_accounting.GaussianDpEvent(1.1))
        expected.compose(noisy, 20)
        found = epsilon_of({Mechanism(1.1, 0.1): 20}, DELTA, "pld")
        assert found == pytest.approx(expected.get_epsilon(DELTA), rel=1e-12)
        assert found < 0.9 * epsilon_of({Mechanism(1.1, 0.1): 20}, DELTA)
        with pytest.raises(InvalidArgument, match="choose rdp or pld"):
            epsilon_of({Mechanism(1.1, 0.1): 20}, DELTA, "prv")  # type: ignore[arg-type]

    def test_epsilon_of_no_steps_is_zero(self):
        assert epsilon_of({}, DELTA) == epsilon_of({Mechanism(1.0, 0.1): 0}, DELTA) == 0.0

    def test_warnings_about_excluded_orders_are_suppressed(self, caplog):
        found = epsilon_of({Mechanism(1.0, 0.25): 8}, 1e-4)
        assert caplog.text == ""
        expected = compute_epsilon((1.0, 0.25, 8), delta=1e-4)
        assert "Excluding this order" in caplog.text
        assert found == pytest.approx(expected, rel=1e-12)

    def test_missing_package_error_has_the_command_that_installs_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "dp_accounting", None)
        with pytest.raises(MissingPackage, match=r"pip install 'colearn-ledger\[privacy\]'"):
            account(steps=33)


class TestBudget:
    def test_new_budget_is_unspent(self):
        budget = account().budget()
        assert (budget.consumed_epsilon, budget.consumed_delta) == (0.0, 0.0)
        assert (budget.target_epsilon, budget.target_delta) == (3.0, DELTA)

    def test_each_training_costs_the_epsilon_of_its_steps(self):
        one = account()
        for number in (1, 2, 3):
            one.spend()
            expected = compute_epsilon((1.1, 0.05, 20 * number))
            assert get_spent_epsilon(one) == pytest.approx(expected, rel=1e-12)
        assert one.budget().consumed_delta == DELTA

    def test_budget_is_used_up_but_never_exceeded(self):
        one = account()
        number = train_until_exhausted(one)
        assert number > 1
        assert get_spent_epsilon(one) <= 3.0 < compute_epsilon((1.1, 0.05, 20 * (number + 1)))

    def test_refused_training_costs_nothing_and_its_epsilon_is_reported(self):
        one = account()
        number = train_until_exhausted(one)
        before, beyond = get_spent_epsilon(one), compute_epsilon((1.1, 0.05, 20 * (number + 1)))
        with pytest.raises(BudgetExceeded, match=rf"epsilon 3, .* bring it to {beyond:.4g}"):
            one.spend()
        assert get_spent_epsilon(one) == before

    def test_budget_of_exactly_one_training_suffices(self):
        cost = epsilon_of({Mechanism(1.1, 0.05): 20}, DELTA)
        assert train_until_exhausted(account(target_epsilon=cost)) == 1
        assert train_until_exhausted(account(target_epsilon=math.nextafter(cost, 0))) == 0

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("target_epsilon", (0.0, -1.0, math.nan, math.inf)),
            ("target_delta", (0.0, 1.0, -1e-5, 2.0, math.nan)),
            ("noise_multiplier", (0.0, -1.1, math.nan, math.inf)),
            ("max_grad_norm", (0.0, -1.0, math.nan, math.inf)),
        ],
    )
    def test_config_numbers_out_of_range_are_refused_by_name(self, name: str, values: Any):
        for value in values:
            with pytest.raises(InvalidArgument, match=f"{name} is {value:g}"):
                account(**{name: value})


KILLED = """
import os, signal, sys
from pathlib import Path
from colearn_learner.interface import DiffPrivConfig
from colearn_learner.learners.privacy.account import PrivacyAccount
account = PrivacyAccount(DiffPrivConfig(3.0, 1e-5, 1.0, 1.1), 0.05, 20, Path(sys.argv[1]))
account.spend()
os.kill(os.getpid(), signal.SIGKILL)  # in its first step
"""


class TestStateFile:
    def test_missing_state_file_name_is_reported(self, tmp_path: Path, caplog):
        account(tmp_path / "privacy.json")
        assert caplog.text == ""
        account()
        assert "without privacy_state, the privacy budget starts at zero again" in caplog.text

    def test_accountants_share_the_state_file(self, tmp_path: Path):
        state = tmp_path / "privacy.json"
        account(state).spend()
        tighter = PrivacyAccount(config(), 0.05, 20, state, "pld")
        assert 0 < get_spent_epsilon(tighter) < get_spent_epsilon(account(state))

    def test_spent_budget_survives_a_killed_process(self, tmp_path: Path):
        state = tmp_path / "privacy.json"
        run = subprocess.run([sys.executable, "-c", KILLED, str(state)], check=False)
        assert run.returncode == -signal.SIGKILL
        again = account(state)
        assert get_spent_epsilon(again) == pytest.approx(
            compute_epsilon((1.1, 0.05, 20)), rel=1e-12
        )
        assert train_until_exhausted(again) == train_until_exhausted(account()) - 1

    def test_unwritable_state_file_prevents_training(self, tmp_path: Path, monkeypatch):
        def full(path: Path, data: bytes) -> None:
            raise HomeNotWritable(f"cannot write {path}: No space left on device")

        one = account(tmp_path / "privacy.json")
        monkeypatch.setattr("colearn_learner.learners.privacy.account.write_private", full)
        with pytest.raises(StateNotKept, match="No space left"):
            one.spend()
        assert get_spent_epsilon(one) == 0.0

    def test_unreadable_state_file_is_not_an_unspent_budget(self, tmp_path: Path):
        one = account(tmp_path / "privacy.json")
        (tmp_path / "privacy.json").mkdir()
        with pytest.raises(InvalidData, match="cannot be read"):
            one.spend()

    def test_missing_state_folder_prevents_training(self, tmp_path: Path):
        one = account(tmp_path / "none" / "privacy.json")
        with pytest.raises(StateNotKept, match="none"):
            one.spend()

    def test_learners_that_share_a_state_file_add_up(self, tmp_path: Path):
        state = tmp_path / "privacy.json"
        one, other = account(state), account(state)
        one.spend()
        other.spend()
        one.spend()
        assert get_spent_epsilon(account(state)) == get_spent_epsilon(one)
        assert get_spent_epsilon(one) == pytest.approx(compute_epsilon((1.1, 0.05, 60)), rel=1e-12)

    def test_changed_noise_or_batch_size_adds_to_the_spent_budget(self, tmp_path: Path):
        state = tmp_path / "privacy.json"
        account(state).spend()
        later = PrivacyAccount(config(noise_multiplier=2.0), 0.1, 10, state)
        later.spend()
        expected = compute_epsilon((1.1, 0.05, 20), (2.0, 0.1, 10))
        assert get_spent_epsilon(later) == pytest.approx(expected, rel=1e-12)

    def test_state_file_is_private_and_readable_text(self, tmp_path: Path):
        state = tmp_path / "privacy.json"
        account(state).spend()
        assert state.stat().st_mode & 0o077 == 0
        step = {"noise_multiplier": 1.1, "sample_rate": 0.05, "steps": 20}
        assert json.loads(state.read_text()) == {"spent": [step]}

    @pytest.mark.parametrize(
        "text",
        [
            *("", "{", "[]", "{}", '{"spent": 3}', '{"spent": [7]}', '{"spent": [{}]}'),
            '{"spent": [{"noise_multiplier": 1.1, "sample_rate": 0.05, "steps": -20}]}',
            '{"spent": [{"noise_multiplier": 1.1, "sample_rate": 5, "steps": 20}]}',
            '{"spent": [{"noise_multiplier": 0, "sample_rate": 0.1, "steps": 20}]}',
            '{"spent": [{"noise_multiplier": 1, "sample_rate": 0.1, "steps": 20, "who": 1}]}',
        ],
    )
    def test_malformed_state_file_is_not_an_unspent_budget(self, text: str, tmp_path: Path):
        state = tmp_path / "privacy.json"
        state.write_text(text)
        with pytest.raises(InvalidData, match=r"privacy\.json"):
            account(state)


class Private(TowardsTarget):
    """A toy learner that pays for its trainings from a privacy budget."""

    def __init__(self, target: float, state: Path) -> None:
        super().__init__(target)
        self.privacy = account(state, target_epsilon=2.0)

    def mli_propose_weights(self) -> Weights:
        try:
            self.privacy.spend()
        except BudgetExceeded:
            code = ErrorCodes.DP_BUDGET_EXCEEDED
            return Weights(self.weights, self.privacy.summary(code))
        return Weights(super().mli_propose_weights().weights, self.privacy.summary())


def test_agent_without_budget_declines_to_propose_but_votes(world, tmp_path: Path):
    allowed = train_until_exhausted(account(target_epsilon=2.0))
    assert allowed >= 1
    state = tmp_path / "privacy.json"
    w = world([Private(4, state), TowardsTarget(5)], rounds=2 * allowed + 4)
    agents = w.agents()
    while not w.learners[0].trainings:
        for agent in agents:
            agent.step()
    agents[0].close()
    w.learners[0] = Private(4, state)  # as after a kill and restart
    agents[0] = w.agent(0)
    w.drive(agents)
    own = w.rounds()[::2]
    assert [r.outcome for r in own[:allowed]] == [Outcome.ACCEPTED] * allowed
    assert [r.outcome for r in own[allowed:]] == [Outcome.NO_PROPOSAL] * 2
    last = w.rounds()[-1].index
    ballot = w.ledger.ballot(w.experiment, last, w.wallets[0].address)
    assert ballot.state != BallotState.NONE
    assert get_spent_epsilon(account(state)) <= 2.0
