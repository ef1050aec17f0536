"""Classify handwritten digits with a PyTorch network and differential privacy by Opacus.

Each training step clips what every record contributes and adds noise, so that the weights reveal
little about any one record. Epsilon bounds how much; a smaller epsilon is more private. A learner
whose next training would exceed its budget stops proposing, but still votes. Vote and test records
are not protected, so they must differ from the training records.

    python examples/pytorch_mnist_diffpriv.py --data MNIST/raw
    python examples/pytorch_mnist_diffpriv.py --ledger evm
"""

import common
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from colearn_learner import DiffPrivConfig
from colearn_learner.learners.pytorch import PytorchLearner, categorical_accuracy

PRIVACY = DiffPrivConfig(
    target_epsilon=10.0, target_delta=1e-5, max_grad_norm=1.0, noise_multiplier=1.2
)


def model_of(height, width):
    """Return a small untrained model, because the noise grows with the number of weights.

    None of its layers may mix the records of a batch.
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.Tanh()),
        *(nn.Flatten(), nn.Linear(8 * (height // 2) * (width // 2), 10)),
    )


def loader_of(data, batch_size):
    """Return batches; torch has channels first."""
    pictures = torch.tensor(data.inputs).permute(0, 3, 1, 2)
    return DataLoader(TensorDataset(pictures, torch.tensor(data.targets)), batch_size, shuffle=True)


def learner_of(share, seed=1, learning_rate=1.0, batch_size=64):
    """Return the learner of some records."""
    torch.manual_seed(seed)
    model = model_of(*share.train.inputs.shape[1:3])
    return PytorchLearner(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), learning_rate),
        train_loader=loader_of(share.train, batch_size),
        vote_loader=loader_of(share.vote, batch_size),
        test_loader=loader_of(share.test, batch_size),
        criterion=nn.CrossEntropyLoss(),
        vote_criterion=categorical_accuracy,
        minimise_criterion=False,
        diff_priv_config=PRIVACY,
    )


make_learner = common.factory(learner_of, "mnist")

if __name__ == "__main__":
    common.main(make_learner, __doc__, rounds=20, score="accuracy")
