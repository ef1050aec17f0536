"""Run any model of the examples with the options of the ancestor's demo.

python examples/run_demo.py --model KERAS_MNIST --data_dir ~/.keras/datasets/mnist.npz
python examples/run_demo.py -m PYTORCH_XRAY -n 3 -p 5 -v 0.6 --ledger evm
"""

import argparse
import importlib

import common
import numpy as np

from colearn_learner.datasets import Share
from colearn_learner.errors import LearnerError

MODELS = {
    "FRAUD": ("mli_fraud", "fraud-ieee", "area under ROC"),
    "KERAS_FRAUD": ("keras_fraud", "fraud-ieee", "area under ROC"),
    "KERAS_MNIST": ("keras_mnist", "mnist", "accuracy"),
    "KERAS_MNIST_RESNET": ("keras_mnist:residual_learner_of", "mnist", "accuracy"),
    "KERAS_CIFAR10": ("keras_cifar", "cifar-10", "accuracy"),
    "KERAS_SCANIA": ("keras_scania", "scania-aps", "area under ROC"),
    "KERAS_SCANIA_RESNET": (
        "keras_scania:residual_learner_of",
        "scania-aps",
        "area under ROC",
    ),
    "KERAS_XRAY": ("keras_xray", "chest-xray", "area under ROC"),
    "PYTORCH_MNIST": ("pytorch_mnist", "mnist", "accuracy"),
    "PYTORCH_CIFAR10": ("pytorch_cifar", "cifar-10", "accuracy"),
    "PYTORCH_XRAY": ("pytorch_xray", "chest-xray", "area under ROC"),
    "PYTORCH_COVID_XRAY": ("pytorch_covid", "covid-xray", "log loss"),
}
"""Per name: the example (and its function if not learner_of), the data set and the score."""


def parser():
    """Return the ancestor's short and long options, and those of `common.run_rounds`."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("-d", "--data_dir", "--data", help="folder of the data set's files")
    add("-e", "--test_dir", help="folder of files to test on; default: a part of the records")
    add("-m", "--model", choices=MODELS, default="FRAUD")
    add("-n", "--n_learners", type=int, default=3 if common.SHORTENED else 5)
    add("-p", "--n_rounds", type=int, default=2 if common.SHORTENED else 15)
    add("-r", "--train_ratio", type=float, help="share of records to train on; default: 0.6")
    add("-s", "--seed", type=int, default=1, help="seed of division, models and training")
    add("-l", "--learning_rate", type=float, help="default: the model's own")
    add("-b", "--batch_size", type=int, help="default: the model's own")
    add("--ledger", choices=["local", "evm"], help="run agents on a ledger")
    add("--plot", metavar="FILE", help="write a picture of the rounds")
    common.add_voting(options, "-v", "--vote_threshold")
    return options


def shares_of(name, options):
    """Return each learner's records."""
    data = common.records(name, options.data_dir)
    ratio = options.train_ratio or 0.6
    places = common.divide_records(data, options.n_learners, options.seed, ratio)
    shares = [Share(*(data.take(part) for part in mine)) for mine in places]
    if options.test_dir:
        # test records come from another folder, so vote with the part that was meant for tests
        other = common.records(name, options.test_dir)
        tests = common.divide_records(other, options.n_learners, options.seed)
        for n, (mine, test) in enumerate(zip(places, tests, strict=True)):
            votes = data.take(np.concatenate([mine.vote, mine.test]))
            shares[n] = Share(shares[n].train, votes, other.take(np.concatenate(test)))
    return [Share(*map(common.scale, (s.train, s.vote, s.test))) for s in shares]


def main():
    """Create the learners and run the rounds."""
    options = parser().parse_args()
    example, data_name, score = MODELS[options.model]
    module_name, _, function = example.partition(":")
    learner_of = getattr(importlib.import_module(module_name), function or "learner_of")
    given = {"learning_rate": options.learning_rate, "batch_size": options.batch_size}
    settings = {name: value for name, value in given.items() if value is not None}
    options.rounds = options.n_rounds
    print({k: v for k, v in vars(options).items() if v is not None})
    try:
        learners = [learner_of(s, options.seed, **settings) for s in shares_of(data_name, options)]
        common.run_rounds(learners, options, score, higher_is_better=score != "log loss")
    except LearnerError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
