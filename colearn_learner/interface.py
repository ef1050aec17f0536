"""The learner interface: five methods, and the values that they exchange.

Names, fields and behaviour match the `colearn` library, so a learner written for it runs here
with only its import line changed. The values are mutable because drivers and learners of that
library assign to them. This module imports no machine learning framework.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar, runtime_checkable

from colearn_learner.errors import InvalidValue, UnsupportedModel


class ErrorCodes(enum.Enum):
    """Reasons for not training."""

    DP_BUDGET_EXCEEDED = 1


class ModelFormat(enum.Enum):
    """Formats of a `ColearnModel`.

    Pickles are never read or written here. ``PICKLE_WEIGHTS_ONLY`` exists for compatibility only.
    """

    PICKLE_WEIGHTS_ONLY = 1
    ONNX = 2


@dataclass
class DiffPrivBudget:
    """A learner's privacy budget, and the part of it already spent.

    Args:
        target_epsilon: bound on the privacy loss; smaller is more private.
        target_delta: bound on the probability of a greater privacy loss.
        consumed_epsilon: epsilon spent so far.
        consumed_delta: delta spent so far.

    Raises:
        InvalidValue: a field is not a number.
    """

    target_epsilon: float
    target_delta: float
    consumed_epsilon: float
    consumed_delta: float

    def __post_init__(self) -> None:
        _make_floats(self)


@dataclass
class DiffPrivConfig:
    """Configuration of training with differential privacy.

    Args:
        target_epsilon: bound on the privacy loss; smaller is more private.
        target_delta: bound on the probability of a greater privacy loss.
        max_grad_norm: L2 norm to which each record's gradient is clipped.
        noise_multiplier: standard deviation of the added noise, in units of ``max_grad_norm``.

    Raises:
        InvalidValue: a field is not a number.
    """

    target_epsilon: float
    target_delta: float
    max_grad_norm: float
    noise_multiplier: float

    def __post_init__(self) -> None:
        _make_floats(self)


@dataclass
class TrainingSummary:
    """A learner's report of its training.

    Args:
        dp_budget: the learner's privacy budget; None without differential privacy.
        error_code: reason for not training; None if the learner trained.
    """

    dp_budget: DiffPrivBudget | None = None
    error_code: ErrorCodes | None = None

    def __post_init__(self) -> None:
        if isinstance(self.dp_budget, Mapping):
            self.dp_budget = DiffPrivBudget(**self.dp_budget)
        if self.error_code is not None:
            self.error_code = _member(ErrorCodes, self.error_code)


@dataclass(eq=False)
class Weights:
    """A model's weights, in any form that its learners agree on.

    Weights that are published through a ledger must consist of lists, tuples and dicts of numpy
    arrays, numbers, bytes and strings. Two `Weights` are equal if their summaries are equal, and
    their arrays are equal in shape, type and every element.

    Args:
        weights: the weights; they are not copied.
        training_summary: report of the training that produced the weights.
    """

    weights: Any = None
    training_summary: TrainingSummary | None = None

    def __post_init__(self) -> None:
        if isinstance(self.training_summary, Mapping):
            self.training_summary = TrainingSummary(**self.training_summary)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weights):
            return NotImplemented
        same_summary = self.training_summary == other.training_summary
        return same_summary and _same(self.weights, other.weights)

    __hash__ = None  # type: ignore[assignment]  # mutable


@dataclass
class ProposedWeights:
    """A learner's scores for some weights, and its vote on them.

    Args:
        weights: the weights that were tested.
        vote_score: score on the learner's vote records, float64.
        test_score: score on the learner's test records, float64; 0 or NaN without such records.
        vote: whether the learner approves; None does not approve.
        has_test_score: False if the learner has no test records. The local driver still shows
            ``test_score``, but an agent reports it as absent.

    Raises:
        InvalidValue: a score is not a number, or the vote is not true, false or None.
    """

    weights: Weights
    vote_score: float
    test_score: float
    vote: bool | None = None
    has_test_score: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.weights, Mapping):
            self.weights = Weights(**self.weights)
        if not hasattr(self.weights, "weights"):
            raise InvalidValue(
                f"ProposedWeights.weights is a {type(self.weights).__name__} and must be a Weights;"
                " pass the argument of mli_test_weights"
            )
        self.vote_score = _float(self, "vote_score", self.vote_score)
        self.test_score = _float(self, "test_score", self.test_score)
        self.vote = None if self.vote is None else _bool(self, "vote", self.vote)


@dataclass(eq=False)
class ColearnModel:
    """A complete model, for use outside collective learning.

    Args:
        model_format: format of the model.
        model_file: path of the model's file, or None.
        model: the model itself; an ``onnx.ModelProto`` if the format is ``ONNX``.
    """

    model_format: ModelFormat
    model_file: str | None = None
    model: Any = None

    def __post_init__(self) -> None:
        self.model_format = _member(ModelFormat, self.model_format)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColearnModel):
            return NotImplemented
        mine, theirs = (self.model_format, self.model_file), (other.model_format, other.model_file)
        return mine == theirs and _same(self.model, other.model)

    __hash__ = None  # type: ignore[assignment]  # mutable


class MachineLearningInterface(abc.ABC):
    """A learner: one party's model and data, behind five methods.

    Only `mli_propose_weights` trains, and only `mli_accept_weights` changes the current weights.
    """

    @abc.abstractmethod
    def mli_propose_weights(self) -> Weights:
        """Train from the current weights and return new ones; keep the current ones unchanged."""

    @abc.abstractmethod
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Score weights on the learner's own data and vote; keep the current ones unchanged."""

    @abc.abstractmethod
    def mli_accept_weights(self, weights: Weights) -> None:
        """Make these the current weights."""

    @abc.abstractmethod
    def mli_get_current_weights(self) -> Weights:
        """Return the current weights."""

    def mli_get_current_model(self) -> ColearnModel:
        """Return the model with its current weights, for use elsewhere.

        It is not abstract, because learners for `colearn` 0.2.8 as published do not have it.

        Raises:
            UnsupportedModel: the learner's class does not implement it.
        """
        raise UnsupportedModel(
            f"{type(self).__name__} has no method mli_get_current_model, so its model cannot be"
            " exported; add one that returns a ColearnModel"
        )


@runtime_checkable
class Learner(Protocol):
    """Any object with the five methods, even if it does not derive from the interface."""

    def mli_propose_weights(self) -> Weights:
        """Train from the current weights and return new ones."""

    def mli_test_weights(self, weights: Weights, /) -> ProposedWeights:
        """Score weights and vote on them."""

    def mli_accept_weights(self, weights: Weights, /) -> Any:
        """Make these the current weights."""

    def mli_get_current_weights(self) -> Weights:
        """Return the current weights."""

    def mli_get_current_model(self) -> ColearnModel:
        """Return the model with its current weights."""


METHODS = (
    "mli_propose_weights",
    "mli_test_weights",
    "mli_accept_weights",
    "mli_get_current_weights",
    "mli_get_current_model",
)
"""The five methods of a learner."""


def list_missing_methods(learner: Any) -> list[str]:
    """Return which of the five methods an object lacks."""
    return [name for name in METHODS if not callable(getattr(learner, name, None))]


def describe_kind(value: Any) -> str:
    """Return what an object is, for a message."""
    return "None" if value is None else f"an object of class {type(value).__name__}"


# ------------------------------------------------------------------ checks of arguments

_Member = TypeVar("_Member", bound=enum.Enum)


def _scalar(value: Any) -> Any:
    """Return the number in a numpy, JAX or torch value; return any other value unchanged."""
    return value.item() if callable(getattr(value, "item", None)) else value


def _float(owner: object, name: str, value: Any) -> float:
    try:
        return float(_scalar(value))
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InvalidValue(
            f"{type(owner).__name__}.{name} must be one number, not {_shown(value)}"
        ) from error


def _bool(owner: object, name: str, value: Any) -> bool:
    with suppress(
        TypeError, ValueError, RuntimeError
    ):  # raised by values with more than one element
        if (truth := _scalar(value)) in (0, 1):
            return bool(truth)
    raise InvalidValue(
        f"{type(owner).__name__}.{name} must be True, False or None, not {_shown(value)}"
    )


def _make_floats(owner: Any) -> None:
    for field in fields(owner):
        setattr(owner, field.name, _float(owner, field.name, getattr(owner, field.name)))


def _member(kind: type[_Member], value: Any) -> _Member:
    try:
        return kind(value)
    except ValueError as error:
        known = ", ".join(f"{m.name} ({m.value})" for m in kind)
        raise InvalidValue(
            f"there is no {kind.__name__} {_shown(value)}; use one of {known}"
        ) from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def _same(mine: Any, theirs: Any) -> bool:
    """Return whether two trees of values are equal, even if ``==`` of leaves returns arrays."""
    if mine is theirs:
        return True
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        return mine.keys() == theirs.keys() and all(_same(mine[k], theirs[k]) for k in mine)
    if isinstance(mine, Sequence) and not isinstance(mine, str | bytes | bytearray):
        alike = type(mine) is type(theirs) and len(mine) == len(theirs)
        return alike and all(_same(a, b) for a, b in zip(mine, theirs, strict=True))
    if hasattr(mine, "__array__") or hasattr(theirs, "__array__"):
        return _same_arrays(mine, theirs)
    return bool(mine == theirs)


def _same_arrays(mine: Any, theirs: Any) -> bool:
    import numpy as np

    a, b = np.asarray(mine), np.asarray(theirs)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
