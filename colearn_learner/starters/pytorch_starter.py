"""A learner of your own, with PyTorch.

Change `load_records` to read your records and the model in `make_learner`. Then, in this
file's folder:

    python starter_module.py          # simulate a whole experiment on this machine
    colearn learner check starter_module:make_learner --learner-arg learner=0
    colearn experiment create --spec experiment.toml --key NAME --store folder:/path
    colearn agent run --experiment REF --key NAME \
        --learner starter_module:make_learner --learner-arg learner=0
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from colearn_learner import print_results
from colearn_learner.learners.pytorch import PytorchLearner
from colearn_learner.simulation import SimulationConfig, run

Array = NDArray[Any]
N_INPUTS, N_CLASSES = 4, 2


def make_learner(learner: int, of: int = 3) -> PytorchLearner:
    """Return one learner; agents call this.

    Args:
        learner: number of the learner, from 0.
        of: number of learners.
    """
    train, vote, test = divide(*load_records(learner, of))
    torch.manual_seed(1)  # all learners start with the same weights
    model = torch.nn.Sequential(
        torch.nn.Linear(N_INPUTS, 8), torch.nn.ReLU(), torch.nn.Linear(8, N_CLASSES)
    )
    return PytorchLearner(
        model,
        torch.optim.Adam(model.parameters(), lr=0.01),
        train_loader=make_loader(*train),
        vote_loader=make_loader(*vote),
        test_loader=make_loader(*test),
        criterion=torch.nn.CrossEntropyLoss(),
    )


def make_loader(inputs: Array, classes: Array) -> DataLoader[Any]:
    """Return the records in batches."""
    return DataLoader(TensorDataset(torch.tensor(inputs), torch.tensor(classes)), batch_size=32)


def load_records(learner: int, of: int) -> tuple[Array, Array]:
    """Return one learner's records: inputs (records, 4) and their classes, 0 or 1.

    Replace this by your own, such as ``numpy.loadtxt("records.csv", delimiter=",")``. Scale the
    inputs alike at all learners. These records are invented and divided among the learners.
    """
    if not 0 <= learner < of:
        raise ValueError(f"learner={learner} is not valid with of={of}; count from 0")
    random = np.random.default_rng(1)
    inputs = random.normal(size=(900, 4))
    classes = inputs @ [2.0, -1.0, 0.5, 0.0] + random.normal(size=900) > 0
    return inputs[learner::of].astype(np.float32), classes[learner::of].astype(np.int64)


def divide(inputs: Array, classes: Array) -> list[tuple[Array, Array]]:
    """Return the records to train on (60 %), to vote by and to test with (20 % each)."""
    a, b = int(0.6 * len(classes)), int(0.8 * len(classes))
    parts = (slice(a), slice(a, b), slice(b, None))
    return [(inputs[part], classes[part]) for part in parts]


if __name__ == "__main__":
    config = SimulationConfig(score_name="log loss", higher_is_better=False, n_proposers=3)
    print_results(run([make_learner(n) for n in range(3)], 10, config=config).results)
