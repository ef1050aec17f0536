"""Classify small colour pictures of ten kinds with a convolutional network in PyTorch.

python examples/pytorch_cifar.py --data cifar-10-batches-bin
python examples/pytorch_cifar.py --ledger evm
"""

import common
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from colearn_learner.learners.pytorch import PytorchLearner, categorical_accuracy

BATCHES_PER_ROUND = 40  # in as many passes over the records as needed


class Net(nn.Module):
    """Three convolutions and two dense layers, for pictures of height, width and channels."""

    def __init__(self, height, width, channels):
        super().__init__()
        self.pictures = nn.Sequential(
            *(nn.Conv2d(channels, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
        )
        rest = 64 * (height // 8) * (width // 8)
        self.classes = nn.Sequential(nn.Linear(rest, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, pictures):
        """Return logits, shape (n, 10), of pictures, shape (n, channels, height, width)."""
        return self.classes(self.pictures(pictures))


def loader_of(data, batch_size, batches=None):
    """Return batches of all records, or the given number; torch has channels first."""
    pictures = torch.tensor(data.inputs).permute(0, 3, 1, 2)
    records = TensorDataset(pictures, torch.tensor(data.targets))
    order = RandomSampler(records, num_samples=batches and batches * batch_size)
    return DataLoader(records, batch_size, sampler=order)


def learner_of(share, seed=1, learning_rate=0.001, batch_size=16):
    """Return the learner of some records."""
    torch.manual_seed(seed)
    model = Net(*share.train.inputs.shape[1:])
    return PytorchLearner(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), learning_rate),
        train_loader=loader_of(share.train, batch_size, BATCHES_PER_ROUND),
        vote_loader=loader_of(share.vote, batch_size),
        test_loader=loader_of(share.test, batch_size),
        criterion=nn.CrossEntropyLoss(),
        vote_criterion=categorical_accuracy,
        minimise_criterion=False,
    )


make_learner = common.factory(learner_of, "cifar-10")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="accuracy")
