"""PyTorch learners on handwritten digits, for tests."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from colearn_learner import Weights
from colearn_learner.learners.pytorch import PytorchLearner
from colearn_ledger.weights.codec import decode_weights, encode_weights

torch.set_num_threads(1)

_PIXELS, _DIGITS = load_digits(return_X_y=True)
INPUTS = torch.tensor(_PIXELS / 16, dtype=torch.float32)
TARGETS = torch.tensor(_DIGITS)


def make_loader(start: int, stop: int, batch_size: int = 32, **options: Any) -> Any:
    records = TensorDataset(INPUTS[start:stop], TARGETS[start:stop])
    return DataLoader(records, batch_size, **options)


def make_network() -> nn.Module:
    """Return a network with running statistics, a batch counter, and dropout."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 10)
    )


def make_learner(model: nn.Module | None = None, **options: Any) -> PytorchLearner:
    model = make_network() if model is None else model
    chosen: dict[str, Any] = {
        "optimizer": torch.optim.Adam(model.parameters(), 0.01),
        "train_loader": make_loader(0, 600, shuffle=True),
        "vote_loader": make_loader(600, 900),
        "test_loader": make_loader(900, 1200),
        "criterion": nn.CrossEntropyLoss(),
    }
    return PytorchLearner(model, **(chosen | options))


def encode(weights: Weights) -> bytes:
    return encode_weights(weights.weights)


def send(weights: Weights) -> Weights:
    return Weights(decode_weights(encode(weights)).weights)
