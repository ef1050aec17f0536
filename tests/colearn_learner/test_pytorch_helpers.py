"""Scores and other helper functions for PyTorch learners."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from colearn_learner.errors import InvalidArgument
from colearn_learner.learners.pytorch import (
    auc_from_logits,
    binary_accuracy_from_logits,
    categorical_accuracy,
    prepare_data_split_list,
)


class TestHelpers:
    def test_categorical_accuracy_compares_the_largest_output_with_the_label(self):
        outputs = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
        assert categorical_accuracy(outputs, torch.tensor([1, 0, 0])) == pytest.approx(2 / 3)

    def test_binary_accuracy_compares_logits_with_zero(self):
        logits = torch.tensor([[2.0], [-1.0], [0.5], [-3.0]])
        assert binary_accuracy_from_logits(logits, torch.tensor([1.0, 0.0, 0.0, 0.0])) == 0.75

    def test_auc_equals_that_of_scikit_learn_with_ties(self):
        numbers = np.random.default_rng(1)
        logits = numbers.integers(-5, 5, 200) / 2
        labels = numbers.integers(0, 2, 200)
        found = auc_from_logits(torch.tensor(logits[:, None]), torch.tensor(labels))
        assert found == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)

    @pytest.mark.parametrize(
        ("logits", "labels"), [([1.0, 2.0], [1, 1]), ([1.0, math.nan], [0, 1])]
    )
    def test_auc_is_nan_without_both_labels_or_with_nan(self, logits: Any, labels: Any):
        assert math.isnan(auc_from_logits(torch.tensor(logits), torch.tensor(labels)))

    @pytest.mark.parametrize(("n", "sizes"), [(1, [10]), (3, [3, 3, 4]), (12, [0] * 11 + [10])])
    def test_part_sizes_add_up_to_the_whole(self, n: int, sizes: list[int]):
        assert prepare_data_split_list(range(10), n) == sizes
        assert sum(len(p) for p in torch.utils.data.random_split(range(10), sizes)) == 10

    def test_splitting_into_no_parts_is_refused(self):
        with pytest.raises(InvalidArgument, match="n is 0"):
            prepare_data_split_list([1], 0)
