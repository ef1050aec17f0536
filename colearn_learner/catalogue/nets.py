"""Build the neural networks of the catalogue in Keras and PyTorch, and their learners."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from colearn_learner.catalogue.settings import Score, Training
from colearn_learner.datasets import Data, Dataset, Share

_SCORING_BATCH = 1024  # records


def _offsets(share: Share, data: Dataset, training: Training) -> Any:
    """Return the offsets added to outputs in training, shape (classes,); None without offsets."""
    from colearn_learner.learners.skew import log_shares

    if not data.classes:
        return None
    shares = log_shares(share.train.targets, data.classes).astype(np.float32)
    return shares if training.level else np.zeros_like(shares)


# ------------------------------------------------------------------ Keras


def keras_learner(
    built: Any, share: Share, score: Score, *, data: Dataset, training: Training
) -> Any:
    """Return a learner of a model of `keras_mlp` on one share."""
    import tensorflow as tf

    from colearn_learner.learners.keras import KerasLearner

    def loader(records: Data, batch_size: int) -> Any:
        # from plain arrays, Keras would make such a set at every call, which takes 0.1 s
        return tf.data.Dataset.from_tensor_slices((records.inputs, records.targets)).batch(
            batch_size
        )

    # Keras shuffles with a generator that all threads share; this order depends on the seed only
    order = np.random.default_rng(training.seed).permutation(len(share.train))
    _compile(built, _offsets(share, data, training), training)
    by_loss = "log_loss" if data.classes else "loss"
    return KerasLearner(
        built,
        loader(share.train.take(order), training.batch_size),
        loader(share.vote, _SCORING_BATCH),
        loader(share.test, _SCORING_BATCH),
        criterion="accuracy" if score.name == "accuracy" else by_loss,
        minimise_criterion=not score.higher_is_better,
        model_fit_kwargs={"epochs": training.passes, "shuffle": False},
    )


def keras_mlp(data: Dataset, training: Training) -> Any:
    """Return an uncompiled network with one hidden layer; equal seeds give equal weights."""
    _silence_tensorflow()
    import keras

    def dense(units: int, activation: str, nth: int) -> Any:
        start = keras.initializers.GlorotUniform(seed=training.seed + nth)
        return keras.layers.Dense(units, activation=activation, kernel_initializer=start)

    classifies = data.task == "classification"
    output = dense(data.classes, "softmax", 1) if classifies else dense(1, "linear", 1)
    return keras.Sequential([keras.Input((data.features,)), dense(32, "relu", 0), output])


def _compile(model: Any, offsets: Any, training: Training) -> None:
    """Compile a model; the loss of a classifier is computed from its outputs plus offsets."""
    import keras

    optimizer = keras.optimizers.SGD(training.learning_rate)
    if offsets is None:
        model.compile(optimizer=optimizer, loss="mean_squared_error")
        return

    def loss(labels: Any, probabilities: Any) -> Any:
        outputs = keras.ops.log(probabilities + keras.config.epsilon()) + offsets
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)

    vote_loss = keras.metrics.SparseCategoricalCrossentropy(name="log_loss")
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy", vote_loss])


def _silence_tensorflow() -> None:
    """Suppress TensorFlow's messages on stderr, where the demo draws its table."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


# ------------------------------------------------------------------ PyTorch


def pytorch_learner(
    built: Any, share: Share, score: Score, *, data: Dataset, training: Training
) -> Any:
    """Return a learner of a model of `pytorch_mlp` on one share."""
    import torch
    from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

    from colearn_learner.learners.pytorch import PytorchLearner, categorical_accuracy

    classifies = data.task == "classification"

    def tensors(records: Data) -> Any:
        targets = torch.tensor(records.targets, dtype=torch.int64 if classifies else torch.float32)
        return TensorDataset(torch.tensor(records.inputs, dtype=torch.float32), targets)

    train: Any = ConcatDataset([tensors(share.train)] * training.passes)
    order = torch.Generator().manual_seed(training.seed)
    vote_loss = torch.nn.CrossEntropyLoss() if classifies else torch.nn.MSELoss()
    offsets = torch.from_numpy(_offsets(share, data, training)) if classifies else 0

    def criterion(outputs: Any, labels: Any) -> Any:
        return vote_loss(outputs + offsets, labels)

    return PytorchLearner(
        built,
        torch.optim.SGD(built.parameters(), training.learning_rate),
        DataLoader(train, training.batch_size, shuffle=True, generator=order),
        DataLoader(tensors(share.vote), _SCORING_BATCH),
        DataLoader(tensors(share.test), _SCORING_BATCH),
        criterion=criterion,
        vote_criterion=categorical_accuracy if score.name == "accuracy" else vote_loss,
        minimise_criterion=not score.higher_is_better,
    )


def pytorch_mlp(data: Dataset, training: Training) -> Any:
    """Return a network with one hidden layer; equal seeds give equal weights."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        layers = (nn.Linear(data.features, 32), nn.ReLU(), nn.Linear(32, data.classes or 1))
    return nn.Sequential(*layers) if data.classes else nn.Sequential(*layers, nn.Flatten(0))
