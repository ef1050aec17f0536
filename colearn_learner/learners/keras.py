"""A learner for Keras 3 models, and the helper functions of the `colearn` library for Keras."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import (
    InvalidArgument,
    InvalidData,
    UnsupportedModel,
    WeightsMismatch,
)
from colearn_learner.interface import DiffPrivConfig, Weights
from colearn_learner.learners.base import ScoredLearner
from colearn_learner.learners.privacy.account import (
    Accountant,
    PrivacyAccount,
    check_records_are_separate,
)
from colearn_learner.learners.privacy.keras import PrivateFit


class KerasLearner(ScoredLearner):
    """A learner around a compiled Keras model; its weights are the list ``model.get_weights()``.

    Args:
        model: a compiled model.
        train_loader: the first argument of ``model.fit``: a ``tf.data.Dataset``, a generator, a
            ``PyDataset``, or a pair of arrays (inputs, targets).
        vote_loader: the records it votes by; None for those it trains on, which favours its own
            proposals over those of others.
        test_loader: the records of its test score; None for no test score (shown as 0).
        need_reset_optimizer: start each training with a fresh optimizer, so that no state of the
            optimizer lasts from one round to the next. That includes its number of iterations:
            a learning rate schedule then starts anew in each round.
        minimise_criterion: whether a smaller criterion is better.
        criterion: the value of ``model.evaluate`` that is the score.
        model_fit_kwargs: further arguments of ``model.fit``.
        model_evaluate_kwargs: further arguments of ``model.evaluate``.
        diff_priv_config: train with differential privacy (`privacy.keras`), until another
            training would exceed the budget. ``train_loader`` is then a pair of arrays, and fixed
            from then on. The vote and test records are not protected, so they must be different
            records.
        privacy_state: file that stores the spent budget beyond the end of the process.
        accountant: ``rdp``, or ``pld`` for a lower bound of the spent budget, which takes longer.
        noise_seed: for tests; makes private training reproducible, and therefore not private.

    Raises:
        InvalidArgument: ``model.fit`` or ``model.evaluate`` does not take an argument, the model
            does not measure the criterion, or the records cannot be sampled.
        UnsupportedModel: a layer of the model rules out differential privacy, or the model is
            compiled with an optimizer of tensorflow_privacy.
    """

    def __init__(
        self,
        model: Any,
        train_loader: Any,
        vote_loader: Any = None,
        test_loader: Any = None,
        need_reset_optimizer: bool = True,
        minimise_criterion: bool = True,
        criterion: str = "loss",
        model_fit_kwargs: Mapping[str, Any] | None = None,
        model_evaluate_kwargs: Mapping[str, Any] | None = None,
        diff_priv_config: DiffPrivConfig | None = None,
        *,
        privacy_state: str | Path | None = None,
        accountant: Accountant = "rdp",
        noise_seed: int | None = None,
    ) -> None:
        """Score the current weights on the vote records."""
        super().__init__(
            vote_loader=train_loader if vote_loader is None else vote_loader,
            test_loader=test_loader,
            minimise_criterion=minimise_criterion,
        )
        _check_optimizer(model)
        self.model = model
        self.train_loader = train_loader
        self.need_reset_optimizer = need_reset_optimizer
        self.criterion = criterion
        self.model_fit_kwargs = _check_kwargs(model.fit, model_fit_kwargs, "fit")
        self.model_evaluate_kwargs = _check_kwargs(
            model.evaluate, model_evaluate_kwargs, "evaluate"
        )
        self._private_fit: PrivateFit | None = None
        if diff_priv_config is not None:
            check_records_are_separate(train_loader, vote_loader, test_loader)
            self._private_fit = PrivateFit(
                model, train_loader, self.model_fit_kwargs, diff_priv_config, noise_seed
            )
            rate, steps = self._private_fit.sample_rate, self._private_fit.steps
            self.privacy = PrivacyAccount(diff_priv_config, rate, steps, privacy_state, accountant)
        self.vote_score = self.test(self.vote_loader)

    def train(self) -> None:
        """Fit the model to the training records, if the privacy budget allows it.

        Raises:
            BudgetExceeded: the budget does not allow it; the model did not change.
        """
        if self.privacy is not None:
            self.privacy.spend()
        if self.need_reset_optimizer:
            self.reset_optimizer()
        if self._private_fit is not None:
            self._private_fit.run()
        else:
            _call_with_records(self.model.fit, self.train_loader, self.model_fit_kwargs)

    def test(self, loader: Any) -> float:
        """Return the criterion of the model on a loader's records.

        Raises:
            InvalidArgument: the model does not measure the criterion.
        """
        kwargs = {**self.model_evaluate_kwargs, "return_dict": True}
        measured = _call_with_records(self.model.evaluate, loader, kwargs)
        if self.criterion not in measured:
            raise InvalidArgument(
                f"the model does not measure {self.criterion!r}, only {', '.join(measured)}; "
                "compile it with that metric, or choose another criterion"
            )
        return float(measured[self.criterion])

    def set_weights(self, weights: Weights) -> None:
        """Set the model's weights.

        Raises:
            WeightsMismatch: the weights do not fit the model, which did not change.
        """
        own = self.model.get_weights()
        given = weights.weights
        if not isinstance(given, list | tuple) or len(given) != len(own):
            raise WeightsMismatch(f"the weights must be a list of {len(own)} arrays")
        for n, (mine, new) in enumerate(zip(own, given, strict=True)):
            if np.shape(new) != mine.shape:
                raise WeightsMismatch(f"array {n} has shape {np.shape(new)}, not {mine.shape}")
        self.model.set_weights(list(given))

    def reset_optimizer(self) -> None:
        """Reset the optimizer's state to that of a new optimizer of the same configuration.

        The optimizer remains the same object. If the model were compiled again, Keras would trace
        its training and test functions again, which takes longer than a round on little data.
        """
        optimizer = self.model.optimizer
        if not optimizer.built:
            return
        fresh = type(optimizer).from_config(optimizer.get_config())
        fresh.build(self.model.trainable_variables)
        for mine, new in zip(optimizer.variables, fresh.variables, strict=True):
            mine.assign(new)

    def _copy_weights(self) -> list[NDArray[Any]]:
        return [np.array(array) for array in self.model.get_weights()]

    @contextmanager
    def _preserve_model(self) -> Iterator[None]:
        """Restore the weights; Keras changes them in place."""
        current = self._copy_weights()
        try:
            yield
        finally:
            self.model.set_weights(current)


def _call_with_records(method: Callable[..., Any], records: Any, kwargs: Mapping[str, Any]) -> Any:
    if isinstance(records, tuple) and len(records) == 2:
        return method(records[0], records[1], **kwargs)
    return method(records, **kwargs)


def _check_optimizer(model: Any) -> None:
    """Refuse optimizers whose privacy nobody accounts for and which Keras 3 runs without clipping.

    Raises:
        UnsupportedModel: the optimizer is one of tensorflow_privacy.
    """
    kind = type(model.optimizer)
    if kind.__module__.partition(".")[0] == "tensorflow_privacy":
        raise UnsupportedModel(
            f"the model is compiled with {kind.__name__} of tensorflow_privacy, whose privacy this"
            " learner cannot account for; compile it with an optimizer of Keras, replace its"
            " BatchNormalization layers, which mix records (by GroupNormalization, for example),"
            " and pass diff_priv_config (docs/privacy.md)"
        )


def _check_kwargs(
    method: Callable[..., Any], kwargs: Mapping[str, Any] | None, name: str
) -> dict[str, Any]:
    chosen = {"verbose": 0, **(kwargs or {})}
    try:
        inspect.signature(method).bind_partial(**chosen)
    except TypeError as error:
        raise InvalidArgument(f"Invalid arguments for model.{name}: {error}") from error
    return chosen


# ------------------------------------------------------------------ helpers of learner authors


def normalize_img(image: Any, label: Any) -> tuple[Any, Any]:
    """Return an image with values 0 … 255 as float32 from 0 to 1, and the label unchanged."""
    import tensorflow as tf

    return tf.cast(image, tf.float32) / 255.0, label


def _make_loader(images: Any, labels: Any, batch_size: int = 32, dp_enabled: bool = False) -> Any:
    """Return a ``tf.data.Dataset`` of shuffled batches, kept in memory.

    Args:
        images: images or other inputs, shape (records, ...).
        labels: labels, shape (records, ...).
        batch_size: number of records in a batch.
        dp_enabled: return the pair of arrays instead. Training with differential privacy draws
            its own batches from it, of the ``batch_size`` in ``model_fit_kwargs``.

    Raises:
        InvalidData: images and labels differ in number, or there are none.
    """
    count = len(images)
    if len(labels) != count or not count:
        raise InvalidData(
            f"there are {count} images and {len(labels)} labels; give as many labels as images, "
            "and at least one"
        )
    if dp_enabled:
        return np.asarray(images), np.asarray(labels)
    import tensorflow as tf

    records = tf.data.Dataset.from_tensor_slices((images, labels)).cache().shuffle(count)
    return records.batch(batch_size).prefetch(tf.data.AUTOTUNE)
