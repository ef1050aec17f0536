"""The errors of `colearn_learner`."""

from __future__ import annotations


class LearnerError(Exception):
    """Base class of all errors that `colearn_learner` raises on purpose."""


class InvalidValue(LearnerError, ValueError):
    """A field got a value that is not valid for it."""


class InvalidArgument(LearnerError, ValueError):
    """A learner or driver got an argument that cannot work."""


class InvalidData(LearnerError, ValueError):
    """A model cannot be trained on the data."""


class WeightsMismatch(LearnerError, ValueError):
    """Weights do not fit the model: other names, shapes or types than its own."""


class UnsupportedModel(LearnerError, TypeError):
    """This learner or conversion does not support this kind of model."""


class MissingPackage(LearnerError, ImportError):
    """A needed package is not installed; the message says how to install it."""
