"""Weights of PyTorch learners: tensors of any type are published, only matching ones are loaded."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import nn

from colearn_learner import Weights
from colearn_learner.errors import InvalidArgument, UnsupportedModel, WeightsMismatch
from colearn_ledger.weights.schema import WeightsSchema
from tests.support.pytorch_digits import INPUTS, TARGETS, encode, make_learner, make_network, send


class TestWeights:
    def test_state_dict_includes_its_buffers(self):
        learner = make_learner()
        arrays = send(learner.mli_propose_weights()).weights
        assert list(arrays) == list(learner.model.state_dict())
        assert arrays["1.num_batches_tracked"].dtype == np.int64
        assert int(arrays["1.num_batches_tracked"]) == 0  # it would reveal the number of records

    def test_batches_are_counted_if_the_statistics_depend_on_it(self):
        model = nn.Sequential(nn.BatchNorm1d(64, momentum=None), nn.Linear(64, 10))
        learner = make_learner(model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
        arrays = send(learner.mli_propose_weights()).weights
        assert int(arrays["0.num_batches_tracked"]) == 19  # 600 records in batches of 32

    @pytest.mark.parametrize(
        ("kind", "numpys"),
        [
            (torch.bfloat16, ml_dtypes.bfloat16),
            (torch.float16, np.float16),
            (torch.float64, np.float64),
        ],
    )
    def test_every_float_type_keeps_its_bits(self, kind: torch.dtype, numpys: Any):
        model = nn.Sequential(nn.Linear(64, 10)).to(kind)
        batch = [(INPUTS[:100].to(kind), TARGETS[:100])]
        learner = make_learner(
            model,
            optimizer=torch.optim.SGD(model.parameters(), 0.1),
            train_loader=batch,
            vote_loader=batch,
            test_loader=None,
        )
        proposal = send(learner.mli_propose_weights())
        assert proposal.weights["0.weight"].dtype == numpys
        learner.mli_accept_weights(proposal)
        assert learner.model[0].weight.dtype == kind
        assert encode(learner.mli_get_current_weights()) == encode(proposal)

    def test_float8_and_boolean_buffers_keep_their_values(self):
        model = make_network()
        model.register_buffer("scale", torch.tensor([1.5, -2.0]).to(torch.float8_e4m3fn))
        model.register_buffer("mask", torch.tensor([True, False]))
        learner = make_learner(model)
        current = send(learner.mli_get_current_weights())
        assert current.weights["scale"].tolist() == [1.5, -2.0]
        current.weights["mask"][...] = [False, True]
        learner.mli_accept_weights(current)
        assert learner.model.mask.tolist() == [False, True]
        assert learner.model.scale.float().tolist() == [1.5, -2.0]

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
            (lambda w: w.update({"0.bias": "much"}), "0.bias is not an array"),
        ],
    )
    def test_array_that_does_not_fit_is_refused_by_name(self, change: Any, named: str):
        learner = make_learner()
        before = encode(learner.mli_get_current_weights())
        bad = learner.mli_propose_weights()
        change(bad.weights)
        for use in (learner.mli_accept_weights, learner.mli_test_weights):
            with pytest.raises(WeightsMismatch, match=named):
                use(bad)
        assert encode(learner.mli_get_current_weights()) == before

    @pytest.mark.parametrize("tree", [None, [], [np.zeros(3)], 7])
    def test_weights_that_are_not_a_state_dict_are_refused(self, tree: Any):
        with pytest.raises(WeightsMismatch, match=r"begins with 0\.weight"):
            make_learner().mli_accept_weights(Weights(tree))

    def test_training_keeps_the_schema(self):
        learner = make_learner()
        schema = WeightsSchema.of(learner.mli_get_current_weights().weights)
        assert WeightsSchema.of(learner.mli_propose_weights().weights) == schema

    def test_extra_state_that_is_not_a_tensor_is_refused(self):
        class Extra(nn.Linear):
            def get_extra_state(self) -> Any:
                return {"a": 1}

            def set_extra_state(self, state: Any) -> None:
                pass

        with pytest.raises(UnsupportedModel, match="_extra_state"):
            make_learner(Extra(64, 10))


def test_invalid_arguments_are_refused_by_the_constructor():
    with pytest.raises(InvalidArgument, match="criterion is missing"):
        make_learner(criterion=None)
    with pytest.raises(InvalidArgument, match="num_train_batches is 0"):
        make_learner(num_train_batches=0)
    with pytest.raises(InvalidArgument, match="num_test_batches is -1"):
        make_learner(num_test_batches=-1)
