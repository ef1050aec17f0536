"""PyTorch learners, on handwritten digits, and the helpers beside them."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from colearn_learner import Weights
from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.learners.pytorch import (
    PytorchLearner,
    auc_from_logits,
    binary_accuracy_from_logits,
    categorical_accuracy,
    prepare_data_split_list,
)
from colearn_ledger.weights.codec import WeightsSchema, decode_weights, encode_weights

torch.set_num_threads(1)

_PIXELS, _DIGITS = load_digits(return_X_y=True)
INPUTS = torch.tensor(_PIXELS / 16, dtype=torch.float32)
TARGETS = torch.tensor(_DIGITS)


def loader(start: int, stop: int, batch_size: int = 32, **options: Any) -> Any:
    records = TensorDataset(INPUTS[start:stop], TARGETS[start:stop])
    return DataLoader(records, batch_size, **options)


def network() -> nn.Module:
    """A network with running statistics, a counter of batches, and dropout."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 10)
    )


def learner(model: nn.Module | None = None, **options: Any) -> PytorchLearner:
    model = network() if model is None else model
    chosen: dict[str, Any] = {
        "optimizer": torch.optim.Adam(model.parameters(), 0.01),
        "train_loader": loader(0, 600, shuffle=True),
        "vote_loader": loader(600, 900),
        "test_loader": loader(900, 1200),
        "criterion": nn.CrossEntropyLoss(),
    }
    return PytorchLearner(model, **(chosen | options))


def kept(weights: Weights) -> bytes:
    return encode_weights(weights.weights)


def travelled(weights: Weights) -> Weights:
    return Weights(decode_weights(kept(weights)).weights)


class TestRounds:
    def test_proposing_and_testing_leave_weights_statistics_and_modes_alone(self):
        one = learner()
        one.model[3].eval()  # its author keeps this layer from dropping out
        before = kept(one.mli_get_current_weights())
        modes = [module.training for module in one.model.modules()]
        proposal = one.mli_propose_weights()
        assert one.mli_test_weights(proposal).vote is True
        assert kept(one.mli_get_current_weights()) == before != kept(proposal)
        assert [module.training for module in one.model.modules()] == modes

    def test_buffers_that_do_not_travel_are_put_back_too(self):
        class Counting(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(64, 10)
                self.register_buffer("calls", torch.zeros(()), persistent=False)

            def forward(self, inputs: Any) -> Any:
                self.calls += 1
                return self.layer(inputs)

        one = learner(Counting())
        calls = one.model.calls.clone()
        one.mli_propose_weights()
        assert one.model.calls == calls
        assert "calls" not in one.mli_get_current_weights().weights

    def test_a_failed_training_changes_nothing(self):
        one = learner(train_loader=[(INPUTS[:32], TARGETS[:32]), (INPUTS[:32, :5], TARGETS[:32])])
        before, training = kept(one.mli_get_current_weights()), one.model.training
        with pytest.raises(RuntimeError):
            one.mli_propose_weights()
        assert (kept(one.mli_get_current_weights()), one.model.training) == (before, training)

    def test_what_was_returned_or_accepted_never_changes_and_changes_nothing(self):
        one = learner()
        proposal = one.mli_propose_weights()
        bytes_of_it = kept(proposal)
        one.mli_accept_weights(proposal)
        one.mli_accept_weights(one.mli_propose_weights())
        assert kept(proposal) == bytes_of_it
        current = one.mli_get_current_weights()
        before = kept(current)
        one.mli_accept_weights(current)
        for array in current.weights.values():
            array[...] = 0
        assert kept(one.mli_get_current_weights()) == before

    def test_accepted_weights_are_the_current_ones_and_the_next_baseline(self):
        one = learner()
        start, proposal = one.mli_get_current_weights(), one.mli_propose_weights()
        one.mli_accept_weights(proposal)
        assert kept(one.mli_get_current_weights()) == kept(proposal)
        assert one.mli_test_weights(start).vote is False

    def test_an_equal_score_is_rejected(self):
        one = learner()
        assert one.mli_test_weights(one.mli_get_current_weights()).vote is False

    def test_rounds_make_a_good_model(self):
        learners = [learner(train_loader=loader(n, n + 300, shuffle=True)) for n in (0, 300)]
        for n in range(6):
            proposal = travelled(learners[n % 2].mli_propose_weights())
            if learners[(n + 1) % 2].mli_test_weights(proposal).vote:
                for one in learners:
                    one.mli_accept_weights(proposal)
        said = learner(vote_criterion=categorical_accuracy, minimise_criterion=False)
        assert said.mli_test_weights(learners[0].mli_get_current_weights()).test_score > 0.85

    def test_the_same_seed_trains_the_same_weights(self):
        assert kept(learner().mli_propose_weights()) == kept(learner().mli_propose_weights())

    def test_scoring_takes_none_of_the_random_numbers(self):
        one = learner(vote_loader=loader(600, 900, shuffle=True))
        before = torch.get_rng_state()
        one.mli_test_weights(one.mli_get_current_weights())
        assert torch.equal(torch.get_rng_state(), before)

    def test_loaders_are_optional(self):
        one = learner(vote_loader=None, test_loader=None)
        said = one.mli_test_weights(one.mli_propose_weights())
        assert (said.vote, said.test_score, said.has_test_score) == (True, 0.0, False)


class TestOptimizers:
    def test_without_its_state_training_repeats_and_with_it_goes_on(self):
        fixed = {"train_loader": loader(0, 320)}
        model = nn.Linear(64, 10)
        fresh = learner(model, **fixed)
        assert kept(fresh.mli_propose_weights()) == kept(fresh.mli_propose_weights())
        lasting = learner(model, **fixed, need_reset_optimizer=False)
        assert kept(lasting.mli_propose_weights()) != kept(lasting.mli_propose_weights())

    def test_one_that_asks_for_the_loss_again(self):
        model = network()
        one = learner(model, optimizer=torch.optim.LBFGS(model.parameters(), max_iter=5))
        assert one.mli_test_weights(one.mli_propose_weights()).vote is True


class TestScores:
    @pytest.mark.parametrize("size", [1, 7, 32, 1000])
    def test_the_mean_over_records_whatever_the_batches(self, size: int):
        one = learner(vote_loader=loader(600, 900, size))
        with torch.no_grad():
            one.model.eval()
            expected = nn.functional.cross_entropy(one.model(INPUTS[600:900]), TARGETS[600:900])
        assert one.vote_score == pytest.approx(float(expected), rel=1e-5)

    @pytest.mark.parametrize("reduction", ["sum", "none"])
    def test_of_criteria_that_do_not_take_the_mean_themselves(self, reduction: str):
        one = learner(criterion=nn.CrossEntropyLoss(reduction=reduction))
        assert one.vote_score == pytest.approx(learner().vote_score, rel=1e-5)
        assert one.mli_test_weights(one.mli_propose_weights()).vote is True

    def test_of_just_so_many_batches(self):
        some = learner(vote_loader=loader(600, 900, 50), num_test_batches=2)
        assert some.vote_score == pytest.approx(
            learner(vote_loader=loader(600, 700)).vote_score, rel=1e-5
        )

    def test_of_the_same_records_though_the_loader_shuffles(self):
        one = learner(vote_loader=loader(600, 900, 10, shuffle=True), num_test_batches=3)
        current = one.mli_get_current_weights()
        one.mli_propose_weights()
        assert one.mli_test_weights(current).vote_score == one.vote_score

    def test_the_vote_criterion_gets_the_outputs_and_labels_of_all_batches(self):
        seen: list[tuple[Any, Any]] = []

        def criterion(outputs: Any, labels: Any) -> float:
            seen.append((outputs, labels))
            return 0.5

        one = learner(vote_criterion=criterion)
        assert (one.vote_score, len(seen)) == (0.5, 1)
        outputs, labels = seen[0]
        assert outputs.shape == (300, 10)
        assert torch.equal(labels, TARGETS[600:900])

    def test_larger_is_better_when_told_so(self):
        one = learner(vote_criterion=categorical_accuracy, minimise_criterion=False)
        assert one.mli_test_weights(one.mli_propose_weights()).vote is True
        worse = learner(vote_criterion=categorical_accuracy, minimise_criterion=True)
        assert worse.mli_test_weights(worse.mli_propose_weights()).vote is False

    @pytest.mark.parametrize("minimise", [True, False])
    def test_not_a_number_gets_no_vote_and_leaves_nothing_behind(self, minimise: bool):
        one = learner(minimise_criterion=minimise)
        bad, before = one.mli_get_current_weights(), kept(one.mli_get_current_weights())
        bad.weights["0.weight"][...] = math.nan
        said = one.mli_test_weights(bad)
        assert math.isnan(said.vote_score)
        assert said.vote is False
        assert kept(one.mli_get_current_weights()) == before


class TestLoaders:
    def test_of_one_batch(self):
        one = learner(train_loader=loader(0, 600, 600), vote_loader=loader(600, 900, 300))
        assert one.mli_test_weights(one.mli_propose_weights()).vote is True

    def test_a_training_takes_just_so_many_batches(self):
        def trained(**options: Any) -> bytes:
            return kept(learner(nn.Linear(64, 10), **options).mli_propose_weights())

        torch.manual_seed(3)
        some = trained(train_loader=loader(0, 600, 20), num_train_batches=2)
        torch.manual_seed(3)
        assert some == trained(train_loader=loader(0, 40, 20))

    def test_without_records_are_refused(self):
        with pytest.raises(InvalidData, match="train_loader has no batches"):
            learner(train_loader=loader(0, 0))
        with pytest.raises(InvalidData, match="no records"):
            learner(vote_loader=loader(0, 0))
        with pytest.raises(InvalidData, match="no records"):
            learner(vote_loader=[], vote_criterion=categorical_accuracy)
        one = learner(train_loader=iter([]))
        with pytest.raises(InvalidData, match="gave no batches"):
            one.mli_propose_weights()

    def test_of_unknown_length(self):
        class Stream(IterableDataset[Any]):
            def __iter__(self) -> Iterator[Any]:
                return iter(TensorDataset(INPUTS[:64], TARGETS[:64]))

        one = learner(train_loader=DataLoader(Stream(), 16))
        assert one.mli_test_weights(one.mli_propose_weights()).vote is True

    def test_inputs_of_several_parts(self):
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(64, 10)

            def forward(self, parts: dict[str, Any]) -> Any:
                return self.layer(torch.cat([parts["left"], *parts["right"]], dim=1))

        def batch(a: int, b: int) -> Any:
            rows = INPUTS[a:b]
            return {"left": rows[:, :30], "right": (rows[:, 30:],)}, TARGETS[a:b]

        one = learner(Two(), train_loader=[batch(0, 300)], vote_loader=[batch(300, 600)])
        one.test_loader = None
        assert one.mli_test_weights(one.mli_propose_weights()).vote is True


class TestWeights:
    def test_the_state_dict_travels_with_its_buffers(self):
        one = learner()
        arrays = travelled(one.mli_propose_weights()).weights
        assert list(arrays) == list(one.model.state_dict())
        assert arrays["1.num_batches_tracked"].dtype == np.int64
        assert int(arrays["1.num_batches_tracked"]) == 19  # 600 records in batches of 32

    @pytest.mark.parametrize(
        ("kind", "numpys"),
        [
            (torch.bfloat16, ml_dtypes.bfloat16),
            (torch.float16, np.float16),
            (torch.float64, np.float64),
        ],
    )
    def test_narrow_and_wide_floats_keep_every_bit(self, kind: torch.dtype, numpys: Any):
        model = nn.Sequential(nn.Linear(64, 10)).to(kind)
        batch = [(INPUTS[:100].to(kind), TARGETS[:100])]
        one = learner(
            model,
            optimizer=torch.optim.SGD(model.parameters(), 0.1),
            train_loader=batch,
            vote_loader=batch,
            test_loader=None,
        )
        proposal = travelled(one.mli_propose_weights())
        assert proposal.weights["0.weight"].dtype == numpys
        one.mli_accept_weights(proposal)
        assert one.model[0].weight.dtype == kind
        assert kept(one.mli_get_current_weights()) == kept(proposal)

    def test_buffers_of_small_floats_and_of_booleans(self):
        model = network()
        model.register_buffer("scale", torch.tensor([1.5, -2.0]).to(torch.float8_e4m3fn))
        model.register_buffer("mask", torch.tensor([True, False]))
        one = learner(model)
        current = travelled(one.mli_get_current_weights())
        assert current.weights["scale"].tolist() == [1.5, -2.0]
        current.weights["mask"][...] = [False, True]
        one.mli_accept_weights(current)
        assert one.model.mask.tolist() == [False, True]
        assert one.model.scale.float().tolist() == [1.5, -2.0]

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            (lambda w: w.pop("4.bias"), "4.bias is missing"),
            (lambda w: w.update({"5.bias": np.zeros(3)}), "no '5.bias'"),
            (
                lambda w: w.update({"0.bias": np.zeros(3, "f4")}),
                r"0.bias is torch.float32 \[3\], the model's is torch.float32 \[16\]",
            ),
            (lambda w: w.update({"0.bias": np.zeros(16)}), "0.bias is torch.float64"),
            (lambda w: w.update({"0.bias": "much"}), "0.bias is no array"),
        ],
    )
    def test_those_that_do_not_fit_are_refused_by_name(self, change: Any, named: str):
        one = learner()
        before = kept(one.mli_get_current_weights())
        bad = one.mli_propose_weights()
        change(bad.weights)
        for use in (one.mli_accept_weights, one.mli_test_weights):
            with pytest.raises(WeightsMismatch, match=named):
                use(bad)
        assert kept(one.mli_get_current_weights()) == before

    @pytest.mark.parametrize("tree", [None, [], [np.zeros(3)], 7])
    def test_those_that_are_no_state_dict_are_refused(self, tree: Any):
        with pytest.raises(WeightsMismatch, match=r"begins with 0\.weight"):
            learner().mli_accept_weights(Weights(tree))

    def test_their_schema_stays_the_same(self):
        one = learner()
        schema = WeightsSchema.of(one.mli_get_current_weights().weights)
        assert WeightsSchema.of(one.mli_propose_weights().weights) == schema

    def test_a_state_that_is_no_tensor_is_refused(self):
        class Extra(nn.Linear):
            def get_extra_state(self) -> Any:
                return {"a": 1}

            def set_extra_state(self, state: Any) -> None:
                pass

        with pytest.raises(UnsupportedModel, match="_extra_state"):
            learner(Extra(64, 10))


def test_arguments_are_checked_at_once():
    with pytest.raises(InvalidArgument, match="criterion is missing"):
        learner(criterion=None)
    with pytest.raises(InvalidArgument, match="num_train_batches is 0"):
        learner(num_train_batches=0)
    with pytest.raises(InvalidArgument, match="num_test_batches is -1"):
        learner(num_test_batches=-1)


BESIDE_TENSORFLOW = """
import {first}, {second}
from colearn_learner.learners.pytorch import PytorchLearner
import tensorflow, torch
batch = [(torch.ones(4, 2), torch.zeros(4, 1))]
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters())
learner = PytorchLearner(model, optimizer, batch, criterion=torch.nn.MSELoss())
print(learner.mli_test_weights(learner.mli_propose_weights()).vote)
"""


@pytest.mark.parametrize(("first", "second"), [("tensorflow", "torch"), ("torch", "tensorflow")])
def test_it_trains_in_a_process_that_has_tensorflow_too(first: str, second: str):
    program = BESIDE_TENSORFLOW.format(first=first, second=second)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr[-500:]


class TestHelpers:
    def test_categorical_accuracy(self):
        outputs = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
        assert categorical_accuracy(outputs, torch.tensor([1, 0, 0])) == pytest.approx(2 / 3)

    def test_binary_accuracy(self):
        logits = torch.tensor([[2.0], [-1.0], [0.5], [-3.0]])
        assert binary_accuracy_from_logits(logits, torch.tensor([1.0, 0.0, 0.0, 0.0])) == 0.75

    def test_the_area_under_the_curve_is_scikit_learns_ties_included(self):
        numbers = np.random.default_rng(1)
        logits = numbers.integers(-5, 5, 200) / 2
        labels = numbers.integers(0, 2, 200)
        found = auc_from_logits(torch.tensor(logits[:, None]), torch.tensor(labels))
        assert found == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)

    @pytest.mark.parametrize(
        ("logits", "labels"), [([1.0, 2.0], [1, 1]), ([1.0, math.nan], [0, 1])]
    )
    def test_there_is_no_area_without_both_labels_or_with_nan(self, logits: Any, labels: Any):
        assert math.isnan(auc_from_logits(torch.tensor(logits), torch.tensor(labels)))

    @pytest.mark.parametrize(("n", "sizes"), [(1, [10]), (3, [3, 3, 4]), (12, [0] * 11 + [10])])
    def test_sizes_of_parts(self, n: int, sizes: list[int]):
        assert prepare_data_split_list(range(10), n) == sizes
        assert sum(len(p) for p in torch.utils.data.random_split(range(10), sizes)) == 10

    def test_there_is_at_least_one_part(self):
        with pytest.raises(InvalidArgument, match="n is 0"):
            prepare_data_split_list([1], 0)
