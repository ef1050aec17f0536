"""The errors of `colearn_learner`."""

from __future__ import annotations

__all__ = [
    "InvalidArgument",
    "InvalidData",
    "InvalidValue",
    "LearnerError",
    "MissingPackage",
    "UnsupportedModel",
    "WeightsMismatch",
]


class LearnerError(Exception):
    """Root of every error that `colearn_learner` raises on purpose."""


class InvalidValue(LearnerError, ValueError):
    """A field of a data type was given a value that it can not hold."""


class InvalidArgument(LearnerError, ValueError):
    """A learner, or the local driver, was made or called in a way that can not work."""


class InvalidData(LearnerError, ValueError):
    """A data set can not be learned from."""


class WeightsMismatch(LearnerError, ValueError):
    """Weights do not fit the model: other names, shapes or types than its own."""


class UnsupportedModel(LearnerError, TypeError):
    """The model is of a kind that this learner or conversion does not know."""


class MissingPackage(LearnerError, ImportError):
    """A package that is not installed is needed; the message says how to install it."""
