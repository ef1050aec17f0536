"""Train Keras models with differential privacy (DP-SGD), on the TensorFlow backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel
from colearn_learner.interface import DiffPrivConfig
from colearn_learner.learners.privacy.account import warn_of_seed

_AT_ONCE = 16
"""Number of records whose gradients are in memory at a time; each is as large as the model."""

_SUPPORTED = {"batch_size", "epochs", "steps_per_epoch", "verbose"}


class PrivateFit:
    """Replace ``model.fit`` by Poisson sampling, clipping for each record, and noise.

    Each step takes every record with probability ``sample_rate``, clips the gradient of each one
    taken to an L2 norm of ``max_grad_norm``, adds Gaussian noise of standard deviation
    ``noise_multiplier * max_grad_norm`` to their sum, and divides it by the expected number of
    records, for the model's optimizer to apply. Records go through the model one by one, so that
    no layer and no loss can mix them. Weights that are not trained do not change.

    Args:
        model: a compiled model.
        records: the pair of arrays (inputs, targets).
        fit_kwargs: of ``model.fit``: ``batch_size`` (32) is the expected number of records of a
            step, ``epochs`` (1) times ``steps_per_epoch`` (records by batch size, rounded up) the
            number of steps. No other argument is supported.
        config: the clipping norm and the noise.
        noise_seed: seed of sampling and noise, for tests; None: both use the system's entropy,
            whatever seeds were set.

    Raises:
        InvalidArgument: the records cannot be sampled, or an argument is not supported.
        InvalidData: inputs and targets differ in number.
        UnsupportedModel: a layer or the optimizer does not support differential privacy.
    """

    def __init__(
        self,
        model: Any,
        records: Any,
        fit_kwargs: Mapping[str, Any],
        config: DiffPrivConfig,
        noise_seed: int | None,
    ) -> None:
        _check_model(model)
        warn_of_seed(noise_seed)
        self._inputs, self._targets = _arrays(records)
        count = len(self._targets)
        if unknown := sorted(set(fit_kwargs) - _SUPPORTED):
            raise InvalidArgument(
                f"model.fit does not support {unknown[0]!r} with differential privacy; it supports "
                f"{', '.join(sorted(_SUPPORTED))}"
            )
        batch_size = _whole(fit_kwargs, "batch_size", 32)
        self.sample_rate = min(1.0, batch_size / count)
        self.steps = _whole(fit_kwargs, "epochs", 1) * _whole(
            fit_kwargs, "steps_per_epoch", -(-count // batch_size)
        )
        self._model = model
        self._norm, self._noise = config.max_grad_norm, config.noise_multiplier
        self._random = np.random.default_rng(noise_seed)
        self._clipped_sum = make_clipped_sum(model, config.max_grad_norm)

    def run(self) -> None:
        """Take the steps of one training."""
        kept = [np.array(weight.numpy()) for weight in self._model.non_trainable_weights]
        for _ in range(self.steps):
            self._step()
        for weight, old in zip(self._model.non_trainable_weights, kept, strict=True):
            weight.assign(old)  # layers store values here that are not clipped or noised

    def _step(self) -> None:
        variables = self._model.trainable_variables
        total = [np.zeros(v.shape, "float32") for v in variables]
        taken = np.flatnonzero(self._random.random(len(self._targets)) < self.sample_rate)
        for start in range(0, len(taken), _AT_ONCE):
            for sum_of_all, part in zip(
                total, self._sum_gradients(taken[start : start + _AT_ONCE]), strict=True
            ):
                sum_of_all += part
        expected = self.sample_rate * len(self._targets)
        for sum_of_all in total:
            noise = self._random.standard_normal(sum_of_all.shape, "float32")
            sum_of_all += noise * np.float32(self._noise * self._norm)
            sum_of_all /= np.float32(expected)
        self._model.optimizer.apply(total, variables)

    def _sum_gradients(self, places: Any) -> list[Any]:
        """Return the sum of some records' clipped gradients, padded with records of weight 0."""
        filled = np.zeros(_AT_ONCE, "int64")
        filled[: len(places)] = places
        counts = np.arange(_AT_ONCE) < len(places)
        parts = (self._inputs[filled], self._targets[filled], counts.astype("float32"))
        return [part.numpy() for part in self._clipped_sum(*parts)]


def make_clipped_sum(model: Any, max_grad_norm: float) -> Callable[[Any, Any, Any], Any]:
    """Return a function that adds up the clipped gradients of records.

    It takes inputs and targets, shapes (records, ...), and a float32 of 1 or 0 for each record,
    shape (records,), and returns a tensor for each trainable variable. A record whose gradient is
    not finite adds nothing.
    """
    import tensorflow as tf

    def of_one(record: tuple[Any, Any, Any]) -> list[Any]:
        one_input, one_target, counts = record
        inputs, target = one_input[tf.newaxis], one_target[tf.newaxis]
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = model.compute_loss(x=inputs, y=target, y_pred=outputs, training=True)
        gradients = tape.gradient(
            loss,
            [variable.value for variable in model.trainable_variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        dense = [tf.cast(tf.convert_to_tensor(g), tf.float32) for g in gradients]
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(g)) for g in dense]))
        factor = counts * tf.minimum(1.0, tf.math.divide_no_nan(max_grad_norm, norm))
        factor = tf.where(norm > 0, factor, counts)
        factor = tf.where(tf.math.is_finite(norm), factor, 0.0)
        return [tf.math.multiply_no_nan(g, factor) for g in dense]

    def of_all(inputs: Any, targets: Any, counts: Any) -> list[Any]:
        each = tf.vectorized_map(of_one, (inputs, targets, counts))
        return [tf.reduce_sum(gradients, axis=0) for gradients in each]

    return tf.function(of_all, reduce_retracing=True)  # type: ignore[no-any-return]


def _check_model(model: Any) -> None:
    import keras

    if (backend := keras.backend.backend()) != "tensorflow":
        raise UnsupportedModel(
            f"differential privacy for Keras needs its tensorflow backend, not {backend}"
        )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise UnsupportedModel(
                f"the layer {layer.name!r}, a BatchNormalization, mixes the records of a batch, "
                "which differential privacy forbids; use a GroupNormalization or "
                "LayerNormalization instead"
            )
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        raise UnsupportedModel(
            "a LossScaleOptimizer does not support differential privacy; use its inner optimizer"
        )


def _arrays(records: Any) -> tuple[Any, Any]:
    if not (isinstance(records, tuple | list) and len(records) == 2):
        raise InvalidArgument(
            f"with differential privacy train_loader must be the pair of arrays (inputs, targets), "
            f"not a {type(records).__name__}: each step draws its records from all of them; give "
            "the batch size as model_fit_kwargs={'batch_size': ...}"
        )
    inputs, targets = (np.asarray(part) for part in records)
    if not inputs.ndim or len(inputs) != (len(targets) if targets.ndim else -1) or not len(inputs):
        raise InvalidData(
            f"inputs have shape {inputs.shape} and targets {targets.shape}; give as many "
            "targets as inputs, and at least one"
        )
    return inputs, targets


def _whole(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if type(value) is not int or value < 1:
        raise InvalidArgument(f"{name} is {value!r}; give a whole number of at least 1")
    return value
