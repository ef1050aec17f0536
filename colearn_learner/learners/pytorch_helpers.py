"""Scores and other helper functions for PyTorch learners; most come from the `colearn` library."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import numpy as np
import torch

from colearn_learner.errors import InvalidArgument


def categorical_accuracy(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of records whose largest output belongs to their label.

    Args:
        outputs: scores or probabilities, shape (records, classes).
        labels: the numbers of the classes, shape (records,).
    """
    return float((outputs.argmax(dim=1) == labels).double().mean())


def binary_accuracy_from_logits(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of records whose output has the sign that their label requires.

    Args:
        outputs: logits, of any shape.
        labels: 0 or 1, of the same number of elements.
    """
    return float(((outputs.flatten() > 0) == (labels.flatten() > 0.5)).double().mean())


def auc_from_logits(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the area under the ROC curve; NaN when all labels are the same.

    This is the probability that a record of label 1 has a larger output than a record of label 0.
    Equal outputs count as half.

    Args:
        outputs: logits, of any shape.
        labels: 0 or 1, of the same number of elements.
    """
    scores = outputs.detach().cpu().double().flatten().numpy()
    positive = labels.detach().cpu().flatten().numpy() > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative or np.isnan(scores).any():
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]  # equal outputs share the mean rank
    wins = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


def prepare_data_split_list(data: Sized, n: int) -> list[int]:
    """Return the sizes of ``n`` equal parts for ``random_split``; the last gets the remainder.

    Raises:
        InvalidArgument: ``n`` is below 1.
    """
    if n < 1:
        raise InvalidArgument(f"n is {n}; give at least one part")
    part = len(data) // n
    return [part] * (n - 1) + [len(data) - part * (n - 1)]


def move_to(value: Any, device: torch.device) -> Any:
    """Move a tensor, or all tensors in tuples, lists and dicts, to a device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: move_to(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(move_to(item, device) for item in value)
    return value
