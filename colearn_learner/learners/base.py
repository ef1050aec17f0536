"""The base class of our learners: propose, test, vote and accept by one score."""

from __future__ import annotations

import abc
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import InvalidData
from colearn_learner.interface import (
    ColearnModel,
    DiffPrivBudget,
    ErrorCodes,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_learner.learners.privacy.account import BudgetExceeded, PrivacyAccount

_log = logging.getLogger(__name__)

Records = tuple[NDArray[Any], NDArray[Any]]
"""Inputs, shape (records, features), and targets, shape (records, ...)."""


class ScoredLearner(MachineLearningInterface):
    """A learner that votes by the score of a model on its own records.

    A subclass trains the model (`train`), loads weights into it (`set_weights`), scores it
    (`test`) and copies its weights (`_copy_weights`). It sets ``model`` and ``vote_score`` in its
    constructor. If it changes the model in place, it also overrides `_preserve_model`.

    Args:
        vote_loader: the records it votes by.
        test_loader: the records of its test score; None for no test score (reported as 0).
        minimise_criterion: whether a smaller score is better.
        approve_equal: whether to approve a score equal to that of the current weights.

    Attributes:
        model: the model with the current weights.
        vote_score: the score of the current weights on the vote records.
        privacy: the privacy account; None without differential privacy.
    """

    def __init__(
        self,
        *,
        vote_loader: Any,
        test_loader: Any,
        minimise_criterion: bool,
        approve_equal: bool = False,
    ) -> None:
        self.model: Any = None
        self.vote_loader = vote_loader
        self.test_loader = test_loader
        self.minimise_criterion = minimise_criterion
        self.approve_equal = approve_equal
        self.vote_score = math.nan
        self.privacy: PrivacyAccount | None = None

    @abc.abstractmethod
    def train(self) -> None:
        """Train the model on the training records, if the privacy budget allows it.

        Raises:
            BudgetExceeded: the budget does not allow it; the model did not change.
        """

    @abc.abstractmethod
    def test(self, loader: Any) -> float:
        """Return the score of the model on a loader's records."""

    @abc.abstractmethod
    def set_weights(self, weights: Weights) -> None:
        """Set the model's weights.

        Raises:
            WeightsMismatch: the weights do not fit the model, which did not change.
        """

    @abc.abstractmethod
    def _copy_weights(self) -> Any:
        """Return a copy of the model's weights."""

    @contextmanager
    def _preserve_model(self) -> Iterator[None]:
        """Restore the current model afterwards.

        This is enough if `train` and `set_weights` replace the model and never change it.
        """
        current = self.model
        try:
            yield
        finally:
            self.model = current

    def mli_propose_weights(self) -> Weights:
        """Train and return the new weights; the current weights do not change.

        If the privacy budget does not allow another training, return the current weights with
        the error code ``DP_BUDGET_EXCEEDED`` in their summary.
        """
        error_code = None
        with self._preserve_model():
            try:
                self.train()
            except BudgetExceeded as error:
                _log.warning("no training: %s", error)
                error_code = ErrorCodes.DP_BUDGET_EXCEEDED
            return Weights(self._copy_weights(), self._summary(error_code))

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Score weights and vote; the current weights do not change.

        Raises:
            WeightsMismatch: the weights do not fit the model.
        """
        has_test_score = self.test_loader is not None
        with self._preserve_model():
            self.set_weights(weights)
            vote_score = self.test(self.vote_loader)
            test_score = self.test(self.test_loader) if has_test_score else 0.0
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=test_score,
            vote=self.vote(vote_score),
            has_test_score=has_test_score,
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        """Replace the current weights and score the new ones on the vote records.

        Raises:
            WeightsMismatch: the weights do not fit the model, which did not change.
        """
        self.set_weights(weights)
        self.vote_score = self.test(self.vote_loader)

    def mli_get_current_weights(self) -> Weights:
        """Return a copy of the current weights, with the privacy budget if there is one."""
        return Weights(self._copy_weights(), self._summary())

    def mli_get_current_model(self) -> ColearnModel:
        """Return the current model as ONNX, with the number of records left open.

        Raises:
            MissingPackage: the converter is not installed.
            UnsupportedModel: the converter does not support the model.
        """
        return ColearnModel(ModelFormat.ONNX, "", self._export())

    def vote(self, new_score: float) -> bool:
        """Return whether a vote score is better than that of the current weights.

        An equal score is approved if ``approve_equal`` is set. NaN is never approved.
        """
        if self.approve_equal and new_score == self.vote_score:
            return True
        if self.minimise_criterion:
            return bool(new_score < self.vote_score)
        return bool(new_score > self.vote_score)

    def get_privacy_budget(self) -> DiffPrivBudget | None:
        """Return the privacy budget and what is spent of it; None without such a budget."""
        return None if self.privacy is None else self.privacy.budget()

    def _export(self) -> Any:
        from colearn_learner.learners.onnx import convert_model_to_onnx

        return convert_model_to_onnx(self.model)

    def _summary(self, error_code: ErrorCodes | None = None) -> TrainingSummary | None:
        return None if self.privacy is None else self.privacy.summary(error_code)


def read_records(data: Any, name: str, *, one_target: bool = False) -> Records:
    """Return inputs and targets as arrays.

    Args:
        data: a pair of inputs and targets.
        name: name of the argument, for the error message.
        one_target: refuse more than one target for each record.

    Raises:
        InvalidData: inputs and targets do not fit together, or there are no records.
    """
    inputs, targets = (np.asarray(part) for part in data)
    fits = targets.shape[:1] == inputs.shape[:1] and (targets.ndim == 1 or not one_target)
    if inputs.ndim != 2 or not fits or not len(inputs):
        raise InvalidData(
            f"{name} needs inputs of shape (records, features) and as many targets, at least one; "
            f"it has {inputs.shape} and {targets.shape}"
        )
    return inputs, targets
