"""What the learners around a framework's model share: proposing, testing and voting."""

from __future__ import annotations

import abc
import logging
from contextlib import AbstractContextManager
from typing import Any

from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import (
    DiffPrivBudget,
    ErrorCodes,
    MachineLearningInterface,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_learner.learners.privacy.account import BudgetExceeded, PrivacyAccount
from colearn_learner.learners.vote_rule import approves

__all__ = ["FrameworkLearner", "check_records_are_apart"]

_log = logging.getLogger(__name__)


class FrameworkLearner(MachineLearningInterface):
    """A learner that trains, scores and holds weights as its framework does.

    A subclass sets the attributes, and has the methods that are abstract here.

    Args:
        vote_loader: the records it votes by.
        test_loader: the records of its test score; None for no test score (shown as 0).
        minimise_criterion: whether a smaller score is better.
        vote_score: of the current weights on the vote records.
        privacy: its account; None without differential privacy.
    """

    vote_loader: Any
    test_loader: Any
    minimise_criterion: bool
    vote_score: float
    privacy: PrivacyAccount | None = None

    @abc.abstractmethod
    def train(self) -> None:
        """Train the model on the training records, if its privacy budget allows it.

        Raises:
            BudgetExceeded: it does not; the model is as it was.
        """

    @abc.abstractmethod
    def test(self, loader: Any) -> float:
        """Return the score of the model on a loader's records."""

    @abc.abstractmethod
    def set_weights(self, weights: Weights) -> None:
        """Set the model's weights.

        Raises:
            WeightsMismatch: they do not fit; the model's stay as they were.
        """

    @abc.abstractmethod
    def _current_arrays(self) -> Any:
        """Return copies of the model's weights."""

    @abc.abstractmethod
    def _left_as_it_was(self) -> AbstractContextManager[None]:
        """Put back the model as it is now, whatever happens to it in between."""

    def mli_propose_weights(self) -> Weights:
        """Train, and return the new weights; the current ones stay.

        When the privacy budget does not allow it, nothing is trained: the current weights are
        returned, and their summary has the error code ``DP_BUDGET_EXCEEDED``.
        """
        error_code = None
        with self._left_as_it_was():
            try:
                self.train()
            except BudgetExceeded as why:
                _log.warning("no training: %s", why)
                error_code = ErrorCodes.DP_BUDGET_EXCEEDED
            return Weights(self._current_arrays(), self._summary(error_code))

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Score weights and vote; the current ones stay.

        Raises:
            WeightsMismatch: the weights do not fit the model.
        """
        tested = self.test_loader is not None
        with self._left_as_it_was():
            self.set_weights(weights)
            vote_score = self.test(self.vote_loader)
            test_score = self.test(self.test_loader) if tested else 0.0
        return ProposedWeights(
            weights=weights,
            vote_score=vote_score,
            test_score=test_score,
            vote=self.vote(vote_score),
            has_test_score=tested,
        )

    def mli_accept_weights(self, weights: Weights) -> None:
        """Replace the current weights and score them on the vote records anew.

        Raises:
            WeightsMismatch: the weights do not fit the model; the current ones stay.
        """
        self.set_weights(weights)
        self.vote_score = self.test(self.vote_loader)

    def mli_get_current_weights(self) -> Weights:
        """Return a copy of the current weights, and the privacy budget if there is one."""
        return Weights(self._current_arrays(), self._summary())

    def vote(self, new_score: float) -> bool:
        """Tell whether a score is better than the current one; an equal one, or NaN, is not."""
        return approves(new_score, self.vote_score, minimise=self.minimise_criterion)

    def get_privacy_budget(self) -> DiffPrivBudget | None:
        """Return what may be spent of the privacy, and what is; None where it is not counted."""
        return None if self.privacy is None else self.privacy.budget()

    def _summary(self, error_code: ErrorCodes | None = None) -> TrainingSummary | None:
        return None if self.privacy is None else self.privacy.summary(error_code)


def check_records_are_apart(train_loader: Any, vote_loader: Any, test_loader: Any) -> None:
    """Refuse scores of the training records: they would tell of them without any noise.

    Raises:
        InvalidArgument: there is no loader to vote by, or one to score on is the one to train by.
    """
    if vote_loader is None or train_loader is vote_loader or train_loader is test_loader:
        raise InvalidArgument(
            "with differential privacy vote_loader must be given, and it and test_loader be of "
            "other records than those trained on: scores and votes are published, and nothing "
            "blurs them"
        )
