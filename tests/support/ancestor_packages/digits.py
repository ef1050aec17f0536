"""MNIST's digits, of which the stand-ins return as many as $DIGITS for training."""

from __future__ import annotations

import os

import numpy as np

from colearn_learner.datasets import load


def load_digits(split: str, *, in_color: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8 of shape (n, 28, 28, 1) or (n, 32, 32, 3), and labels.

    Args:
        split: ``train``, ``test`` (a fifth as many) or ``train+test``.
        in_color: return the format of CIFAR-10, with each class in another color.
    """
    data = load("mnist", os.environ["MNIST"]).data
    n = int(os.environ["DIGITS"])
    places = {"train": [*range(n)], "test": [*range(60_000, 60_000 + n // 5)]}
    places["train+test"] = places["train"] + places["test"]
    images, labels = data.inputs[places[split]], data.targets[places[split]].astype(np.int64)
    if not in_color:
        return images, labels
    images = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    shades = np.stack([255 - 20 * labels, 55 + 20 * labels, 128 + 0 * labels], axis=1)
    return (images * (shades[:, None, None, :] / 255)).astype(np.uint8), labels
