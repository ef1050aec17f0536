"""Classify covid, pneumonia and healthy lungs from features of X-rays with a dense network.

The first layer brings the features to similar sizes. Its parameters are weights like all others,
so nothing has to be computed from the records of several learners beforehand.

    python examples/pytorch_covid.py --data covid_features
    python examples/pytorch_covid.py --ledger evm
"""

from itertools import pairwise

import common
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from colearn_learner.learners.pytorch import PytorchLearner

BATCHES_PER_ROUND = 40  # in as many passes over the records as needed
CLASSES = 3


def model_of(features):
    """Return an untrained network of six dense layers."""
    layers = [nn.BatchNorm1d(features)]
    widths = [features, 128, 128, 64, 64, 32]
    for width, following in pairwise(widths):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], CLASSES))


def loader_of(data, batch_size, batches=None):
    """Return batches of all records, or the given number of batches."""
    records = TensorDataset(torch.tensor(data.inputs), torch.tensor(data.targets))
    order = RandomSampler(records, num_samples=batches and batches * batch_size)
    return DataLoader(records, batch_size, sampler=order)


def learner_of(share, seed=1, learning_rate=0.001, batch_size=8):
    """Return the learner of some records."""
    torch.manual_seed(seed)
    model = model_of(share.train.inputs.shape[1])
    return PytorchLearner(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), learning_rate),
        train_loader=loader_of(share.train, batch_size, BATCHES_PER_ROUND),
        vote_loader=loader_of(share.vote, batch_size),
        test_loader=loader_of(share.test, batch_size),
        criterion=nn.CrossEntropyLoss(),
        minimise_criterion=True,
    )


make_learner = common.factory(learner_of, "covid-xray")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="log loss", higher_is_better=False)
