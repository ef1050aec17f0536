"""Stand-in for tensorflow_datasets, which downloads: MNIST's real digits, also as CIFAR-10."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import tensorflow as tf
from digits import load_digits


def load(name: str, split: Any, *, as_supervised: bool, with_info: bool = False) -> Any:
    """Return the data set of a split, or a list of them for a list of splits."""
    assert as_supervised
    several = isinstance(split, list)
    parts = [
        _read(name, *(one if several else (one, 1, 0))) for one in (split if several else [split])
    ]
    sets = [tf.data.Dataset.from_tensor_slices(part) for part in parts]
    found = sets if several else sets[0]
    if not with_info:
        return found
    names = ("train", "test", "train+test")
    counts = {one: SimpleNamespace(num_examples=len(_read(name, one, 1, 0)[1])) for one in names}
    return found, SimpleNamespace(splits=counts)


def even_splits(split: str, n: int) -> list[tuple[str, int, int]]:
    """Return names of the n parts of a split, for `load`."""
    return [(split, n, index) for index in range(n)]


def as_numpy(dataset: Iterable[Any]) -> Iterator[Any]:
    """Yield the records as arrays."""
    for record in dataset:
        yield tuple(part.numpy() for part in record)


def _read(name: str, split: str, of: int, index: int) -> tuple[Any, Any]:
    images, labels = load_digits(split, in_color=name == "cifar10")
    return images[index::of], labels[index::of]
