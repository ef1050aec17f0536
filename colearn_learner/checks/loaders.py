"""Check learners that have the attributes ``train_loader`` and ``vote_loader``."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np

from colearn_learner.checks.subject import Broken, DoesNotApply, Subject

_SAME = 1e-3


def one_batch_is_enough(subject: Subject) -> None:
    """A learner can take part with one batch to train on and one to vote by."""
    learner = _make_learner_with_loaders(subject)
    for name in ("train_loader", "vote_loader"):
        setattr(learner, name, _take_batches(getattr(learner, name), 1))
    try:
        tested = learner.mli_test_weights(learner.mli_propose_weights())
    except Exception as error:
        raise Broken(f"with loaders of one batch it raised {_describe(error)}") from error
    if not math.isfinite(tested.vote_score):
        raise Broken(f"with loaders of one batch its vote score is {tested.vote_score}")


def empty_loaders_are_refused(subject: Subject) -> None:
    """Without records to vote by, a learner raises an error or scores NaN."""
    learner = _make_learner_with_loaders(subject)
    weights = learner.mli_get_current_weights()
    learner.vote_loader = _take_batches(learner.vote_loader, 0)
    try:
        tested = learner.mli_test_weights(weights)
    except Exception:  # noqa: BLE001 - an error of any kind is correct too
        tested = None
    if tested is not None and (tested.vote or not math.isnan(tested.vote_score)):
        raise Broken(
            f"without records to vote by it scored {tested.vote_score} and voted {tested.vote}"
        )


def batch_size_does_not_matter(subject: Subject) -> None:
    """The score is the mean over all records, whatever the sizes of the batches."""
    learner = _make_learner_with_loaders(subject)
    batches = _list_batches(learner.vote_loader, getattr(learner, "num_test_batches", None))
    if hasattr(learner, "num_test_batches"):
        learner.num_test_batches = None
    weights = learner.mli_get_current_weights()
    scores = []
    for loader in ([_join(batches)], batches, _halve(batches)):
        learner.vote_loader = loader
        try:
            scores.append(float(learner.mli_test_weights(weights).vote_score))
        except Exception as error:
            raise Broken(f"with {len(loader)} batches it raised {_describe(error)}") from error
    if not np.allclose(scores, scores[0], rtol=_SAME, atol=1e-6):
        found = ", ".join(f"{score:g}" for score in scores)
        raise Broken(
            f"the same records scored {found} in batches of different sizes: weight each batch's "
            "mean by its size, and divide by the number of records"
        )


def _make_learner_with_loaders(subject: Subject) -> Any:
    learner = subject.learner()
    if any(getattr(learner, name, None) is None for name in ("train_loader", "vote_loader")):
        raise DoesNotApply("it has no attributes train_loader and vote_loader")
    loaders = (learner.train_loader, learner.vote_loader)
    if hasattr(getattr(learner, "model", None), "fit") and not all(map(_can_be_shortened, loaders)):
        raise DoesNotApply("its loaders are generators, which cannot be shortened")
    return learner


def _can_be_shortened(loader: Any) -> bool:
    return isinstance(loader, tuple) or callable(getattr(loader, "take", None))


def _take_batches(loader: Any, batches: int) -> Any:
    """Return a loader of the first batches of another."""
    if callable(getattr(loader, "take", None)):  # a tf.data.Dataset
        return loader.take(batches)
    if isinstance(loader, tuple):  # a pair of arrays
        return tuple(part[: 32 * batches] for part in loader)
    return list(islice(iter(loader), batches))


def _list_batches(loader: Any, limit: int | None) -> list[tuple[Any, Any]]:
    if _can_be_shortened(loader):
        raise DoesNotApply("the loader is the framework's own, whose evaluation computes the mean")
    batches = list(islice(iter(loader), limit))
    pairs = all(isinstance(batch, list | tuple) and len(batch) == 2 for batch in batches)
    if not pairs or not all(hasattr(part, "shape") for batch in batches for part in batch):
        raise DoesNotApply("its batches are not pairs of inputs and labels")
    return [(inputs, labels) for inputs, labels in batches]


def _join(batches: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    first = batches[0][0]
    if hasattr(first, "numpy"):
        import torch

        return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))  # type: ignore[return-value]
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))  # type: ignore[return-value]


def _halve(batches: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    halves: list[tuple[Any, Any]] = []
    for inputs, labels in batches:
        middle = (len(labels) + 1) // 2
        halves.append((inputs[:middle], labels[:middle]))
        if middle < len(labels):
            halves.append((inputs[middle:], labels[middle:]))
    return halves


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
