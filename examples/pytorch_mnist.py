"""Classify handwritten digits with a convolutional network in PyTorch.

python examples/pytorch_mnist.py --data MNIST/raw
python examples/pytorch_mnist.py --ledger evm
"""

import common
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from colearn_learner.learners.pytorch import PytorchLearner, categorical_accuracy

BATCHES_PER_ROUND = 40  # in as many passes over the records as needed


class Net(nn.Module):
    """Two convolutions and two dense layers, for pictures of height and width, one channel."""

    def __init__(self, height, width):
        super().__init__()
        self.pictures = nn.Sequential(
            *(nn.Conv2d(1, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(20, 50, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
        )
        rest = 50 * (height // 4) * (width // 4)
        self.classes = nn.Sequential(nn.Linear(rest, 500), nn.ReLU(), nn.Linear(500, 10))

    def forward(self, pictures):
        """Return logits, shape (n, 10), of pictures, shape (n, 1, height, width)."""
        return self.classes(self.pictures(pictures))


def loader_of(data, batch_size, batches=None):
    """Return batches of all records, or the given number; torch has channels first."""
    pictures = torch.tensor(data.inputs).permute(0, 3, 1, 2)
    records = TensorDataset(pictures, torch.tensor(data.targets))
    order = RandomSampler(records, num_samples=batches and batches * batch_size)
    return DataLoader(records, batch_size, sampler=order)


def learner_of(share, seed=1, learning_rate=0.001, batch_size=32):
    """Return the learner of some records."""
    torch.manual_seed(seed)
    model = Net(*share.train.inputs.shape[1:3])
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


make_learner = common.factory(learner_of, "mnist")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="accuracy")
