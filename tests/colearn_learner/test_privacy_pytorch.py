"""PyTorch learners with differential privacy, on handwritten digits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from colearn_learner import Weights
from colearn_learner.checks.kit import Verdict, check_learner
from colearn_learner.errors import InvalidArgument, MissingPackage, UnsupportedModel
from colearn_learner.learners.privacy.pytorch import PrivateSteps, TrainedModel
from colearn_learner.learners.pytorch import PytorchLearner, categorical_accuracy
from colearn_ledger.weights.codec import decode_weights, encode_weights
from tests.support.budget_contract import BudgetContract, Make, config

torch.set_num_threads(1)

_PIXELS, _DIGITS = load_digits(return_X_y=True)
RECORDS = TensorDataset(
    torch.tensor(_PIXELS / 16, dtype=torch.float32), torch.tensor(_DIGITS, dtype=torch.int64)
)


def loader(start: int, stop: int, batch_size: int = 60, **options: Any) -> Any:
    return DataLoader(Subset(RECORDS, range(start, stop)), batch_size, **options)


def linear() -> nn.Module:
    torch.manual_seed(1)
    return nn.Linear(64, 10)


def learner(model: nn.Module | None = None, **options: Any) -> PytorchLearner:
    model = model or linear()
    chosen: dict[str, Any] = {
        "optimizer": torch.optim.SGD(model.parameters(), 1.0),
        "train_loader": loader(0, 600, shuffle=True),
        "vote_loader": loader(600, 900),
        "test_loader": loader(900, 1200),
        "criterion": nn.CrossEntropyLoss(),
        "num_train_batches": 4,
        "diff_priv_config": config(),
        "noise_seed": 1,
    }
    return PytorchLearner(model, **(chosen | options))


def flatten(arrays: Any) -> Any:
    return np.concatenate([np.ravel(np.asarray(array)) for array in arrays])


def compute_change(one: PytorchLearner) -> Any:
    """Train once and return the change of the weights."""
    after, before = one.mli_propose_weights().weights, one.mli_get_current_weights().weights
    return flatten(after.values()) - flatten(before.values())


def compute_gradient(model: nn.Module, place: int, criterion: Any = None) -> Any:
    """Return the gradient of one record, as torch computes it."""
    model.zero_grad()
    inputs, label = RECORDS[place]
    (criterion or nn.CrossEntropyLoss())(model(inputs[None]), label[None]).backward()
    return flatten(p.grad for p in model.parameters())


def clip(one: Any, norm: float) -> Any:
    return one * min(1.0, norm / np.linalg.norm(one))


def run_noiseless_step(model: nn.Module, records: Any, norm: float, criterion: Any = None) -> Any:
    """Return the change by one step on all records without noise; learners refuse this setting."""
    before = flatten(p.detach().clone() for p in model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    trained = TrainedModel(model, optimizer, criterion or nn.CrossEntropyLoss())
    one_batch = DataLoader(records, len(records))
    quiet = config(max_grad_norm=norm, noise_multiplier=0.0)
    PrivateSteps(trained, one_batch, None, quiet, None).run()
    return before - flatten(p.detach() for p in model.parameters())


class TestClipping:
    def test_noiseless_step_on_one_record_is_its_clipped_gradient(self):
        step = run_noiseless_step(linear(), Subset(RECORDS, [0]), 0.125)
        np.testing.assert_allclose(step, clip(compute_gradient(linear(), 0), 0.125), atol=1e-6)
        assert np.linalg.norm(step) == pytest.approx(0.125, rel=1e-4)

    @pytest.mark.parametrize("clips", ["all", "some", "none"])
    def test_gradients_are_clipped_for_each_record_and_added(self, clips: str):
        each = [compute_gradient(linear(), n) for n in range(7)]
        middle = float(np.median([np.linalg.norm(g) for g in each]))
        norm = {"all": 0.01, "some": middle, "none": 100.0}[clips]
        step = run_noiseless_step(linear(), Subset(RECORDS, range(7)), norm)
        np.testing.assert_allclose(step * 7, sum(clip(g, norm) for g in each), atol=1e-4)

    @pytest.mark.parametrize("reduction", ["sum", "none", "mean"])
    def test_loss_of_a_record_is_independent_of_the_others(self, reduction: str):
        """With class weights, torch divides a batch's loss by the total weight of its records."""
        weighted = nn.CrossEntropyLoss(torch.arange(1.0, 11.0), reduction=reduction)
        records = Subset(RECORDS, range(5))
        each = [compute_gradient(linear(), n, lambda *a: weighted(*a).mean()) for n in range(5)]
        step = run_noiseless_step(linear(), records, 100.0, weighted)
        np.testing.assert_allclose(step * 5, sum(each), rtol=1e-4, atol=1e-4)


class TestNoise:
    def test_noise_has_the_configured_standard_deviation(self):
        noisy = config(noise_multiplier=3.0, max_grad_norm=2.0, target_epsilon=100.0)
        one = learner(diff_priv_config=noisy, num_train_batches=1)
        moved = (
            compute_change(one) * 60
        )  # 60 records are expected; gradients add little to each of 650
        assert np.std(moved) == pytest.approx(3.0 * 2.0, rel=0.15)

    def test_noise_ignores_global_seeds(self):
        def proposal() -> Any:
            torch.manual_seed(7)
            return compute_change(learner(noise_seed=None))

        assert not np.allclose(proposal(), proposal())

    def test_noise_seed_repeats_the_noise_and_warns(self, caplog):
        np.testing.assert_array_equal(
            compute_change(learner(noise_seed=5)), compute_change(learner(noise_seed=5))
        )
        assert not np.allclose(
            compute_change(learner(noise_seed=5)), compute_change(learner(noise_seed=6))
        )
        assert "nothing is private" in caplog.text

    def test_step_without_records_adds_noise(self):
        one = learner(num_train_batches=1)
        one._private_steps._loader.batch_sampler.sample_rate = 0.0
        assert np.count_nonzero(compute_change(one)) == 650


class TestSampling:
    def test_records_are_drawn_with_the_accounted_probability(self):
        drawn: list[Any] = []

        class Watched(TensorDataset):
            def __getitem__(self, place: Any) -> Any:
                drawn.append(place)
                return super().__getitem__(place)

        records = Watched(*(tensor[:600] for tensor in RECORDS.tensors))
        one = learner(
            diff_priv_config=config(target_epsilon=50.0),
            train_loader=DataLoader(records, 150),
            num_train_batches=None,
        )
        assert (one._private_steps.sample_rate, one._private_steps.number) == (0.25, 4)
        drawn.clear()
        one.mli_propose_weights()
        one.mli_propose_weights()
        counts = np.bincount(drawn, minlength=600)
        assert counts.max() <= 8  # at most once per step
        assert counts.mean() == pytest.approx(2.0, abs=0.3)
        assert counts.var() == pytest.approx(8 * 0.25 * 0.75, abs=0.5)

    def test_records_that_cannot_be_sampled_are_refused(self):
        class Stream(IterableDataset[Any]):
            def __iter__(self) -> Any:
                return iter(RECORDS)

        for unsuited in ([RECORDS[:10]], DataLoader(Stream(), 10)):
            with pytest.raises(InvalidArgument, match="DataLoader of a data set"):
                learner(train_loader=unsuited)
        some = DataLoader(RECORDS, 10, sampler=SubsetRandomSampler(range(100)))
        with pytest.raises(InvalidArgument, match="SubsetRandomSampler"):
            learner(train_loader=some)

    def test_scoring_on_training_records_is_refused(self):
        records = loader(0, 600)
        for scored in ({"vote_loader": None}, {"vote_loader": records}, {"test_loader": records}):
            with pytest.raises(InvalidArgument, match="other records"):
                learner(train_loader=records, **scored)

    def test_optimizer_that_evaluates_the_loss_again_is_refused(self):
        model = linear()
        with pytest.raises(InvalidArgument, match="L-BFGS"):
            learner(model, optimizer=torch.optim.LBFGS(model.parameters()))


class TestModels:
    @pytest.mark.parametrize(
        ("layer", "why"),
        [
            (nn.BatchNorm1d(16), "mixes the records"),
            (nn.BatchNorm1d(16, affine=False), "mixes the records"),
            (nn.InstanceNorm1d(16, track_running_stats=True), "running stats"),
        ],
    )
    def test_layer_that_mixes_or_stores_records_is_refused_by_name(self, layer: Any, why: str):
        model = nn.Sequential(nn.Linear(64, 16), layer, nn.Linear(16, 10))
        with pytest.raises(UnsupportedModel, match=f"'1'.*{why}"):
            learner(model)

    def test_buffers_do_not_change(self):
        class Counting(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(64, 10)
                self.register_buffer("seen", torch.zeros(()))

            def forward(self, inputs: Any) -> Any:
                self.seen += len(inputs)
                return self.layer(inputs)

        one = learner(Counting())
        seen = float(one.model.seen)
        assert float(one.mli_propose_weights().weights["seen"]) == seen
        assert np.any(compute_change(one))

    def test_model_has_no_hooks_after_training(self):
        one = learner()
        names, modes = list(one.model.state_dict()), [m.training for m in one.model.modules()]
        one.mli_propose_weights()
        hooks = (one.model._forward_hooks, one.model._backward_hooks, one.model._forward_pre_hooks)
        assert [len(registered) for registered in hooks] == [0, 0, 0]
        assert (list(one.model.state_dict()), [m.training for m in one.model.modules()]) == (
            names,
            modes,
        )

    def test_private_and_plain_learners_exchange_weights(self):
        model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 10))
        other = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 10))
        private = learner(model, optimizer=torch.optim.Adam(model.parameters(), 0.01))
        plain = learner(
            other, optimizer=torch.optim.Adam(other.parameters(), 0.01), diff_priv_config=None
        )
        for proposer, voter in ((private, plain), (plain, private)):
            proposal = proposer.mli_propose_weights()
            data = encode_weights(proposal.weights)
            assert list(proposal.weights) == ["0.weight", "0.bias", "3.weight", "3.bias"]
            voter.mli_accept_weights(Weights(decode_weights(data).weights))
            assert encode_weights(voter.mli_get_current_weights().weights) == data

    def test_generous_budget_gives_an_accurate_model(self):
        one = learner(
            train_loader=loader(0, 600, 100),
            vote_criterion=categorical_accuracy,
            minimise_criterion=False,
            diff_priv_config=config(target_epsilon=100.0, noise_multiplier=0.8),
            num_train_batches=None,
        )
        for _ in range(6):
            one.mli_accept_weights(one.mli_propose_weights())
        current = one.mli_get_current_weights()
        assert one.mli_test_weights(current).test_score > 0.6
        assert 0 < current.training_summary.dp_budget.consumed_epsilon < 100.0


class TestBudget(BudgetContract):
    @pytest.fixture
    def make(self) -> Make:
        def make(at_step: Callable[[], object] | None = None, **options: Any) -> PytorchLearner:
            def loss(outputs: Any, labels: Any) -> Any:
                if at_step is not None and torch.is_grad_enabled():
                    at_step()
                return nn.functional.cross_entropy(outputs, labels)

            return learner(criterion=loss, **options)

        return make


def test_missing_opacus_error_has_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus.data_loader", None)
    with pytest.raises(MissingPackage, match=r"pip install 'colearn-ledger\[privacy\]'"):
        learner()


def make_learner_to_check() -> PytorchLearner:
    return learner(num_train_batches=1)


def test_private_pytorch_learner_passes_the_conformance_kit():
    report = check_learner(make_learner_to_check)
    assert report.passed, str(report)
    verdicts = {check.name: check.verdict for check in report.checks}
    assert verdicts["privacy-is-accounted"] is verdicts["seed-decides"] is Verdict.PASSED
