"""Detect pneumonia in chest X-rays with a convolutional network in PyTorch.

python examples/pytorch_xray.py --data chest_xray
python examples/pytorch_xray.py --ledger evm
"""

import common
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from colearn_learner.learners.pytorch import PytorchLearner, auc_from_logits

BATCHES_PER_ROUND = 40  # in as many passes over the records as needed


class Net(nn.Module):
    """Two convolutions, then the maximum of each feature over the picture."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(64)),
            *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(64, 1)),
        )

    def forward(self, pictures):
        """Return logits, shape (n, 1), of pictures, shape (n, 1, height, width)."""
        return self.layers(pictures)


def loader_of(data, batch_size, batches=None):
    """Return batches of all records, or the given number; torch has channels first."""
    pictures = torch.tensor(data.inputs).permute(0, 3, 1, 2)
    ill = torch.tensor(data.targets, dtype=torch.float32).reshape(-1, 1)
    records = TensorDataset(pictures, ill)
    order = RandomSampler(records, num_samples=batches and batches * batch_size)
    return DataLoader(records, batch_size, sampler=order)


def learner_of(share, seed=1, learning_rate=0.001, batch_size=8):
    """Return the learner of some records."""
    torch.manual_seed(seed)
    model = Net()
    return PytorchLearner(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), learning_rate),
        train_loader=loader_of(share.train, batch_size, BATCHES_PER_ROUND),
        vote_loader=loader_of(share.vote, batch_size),
        test_loader=loader_of(share.test, batch_size),
        criterion=nn.BCEWithLogitsLoss(),
        vote_criterion=auc_from_logits,
        minimise_criterion=False,
    )


make_learner = common.factory(learner_of, "chest-xray")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=15, score="area under ROC")
