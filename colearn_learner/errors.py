"""The errors of `colearn_learner`."""

from __future__ import annotations


class LearnerError(Exception):
    """Base class of all errors that `colearn_learner` raises deliberately."""


class InvalidValue(LearnerError, ValueError):
    """Raised for a value that is not valid for its field."""


class InvalidArgument(LearnerError, ValueError):
    """Raised for an argument with which a learner or driver cannot work."""


class InvalidData(LearnerError, ValueError):
    """Raised for data on which a model cannot be trained."""


class NotEnoughData(LearnerError):
    """Raised if a data set has too few records for the number of learners."""


class UnfitModel(LearnerError):
    """Raised if a model cannot be trained on a data set."""


class WeightsMismatch(LearnerError, ValueError):
    """Raised for weights whose names, shapes or types differ from the model's."""


class UnsupportedModel(LearnerError, TypeError):
    """Raised for a kind of model that a learner or conversion does not support."""


class MissingPackage(LearnerError, ImportError):
    """Raised if a required package is not installed; the message explains how to install it."""
