"""Check that a learner's weights are safe and fit the experiment, before an agent runs it."""

from __future__ import annotations

from typing import Any

from colearn_learner.errors import LearnerError, WeightsMismatch
from colearn_ledger.weights.codec import check_tree
from colearn_ledger.weights.errors import PickledWeights, WeightsError
from colearn_ledger.weights.pickles import check_no_pickle
from colearn_ledger.weights.schema import WeightsSchema


class LearnerDoesNotFit(WeightsMismatch):
    """Raised when a learner's weights differ from the experiment's; names the first difference."""


class LearnerSendsPickles(LearnerError):
    """Raised for a learner that sends pickles, since it would also load those of strangers."""


def check_safe(learner: Any) -> None:
    """Check that a learner's current weights do not contain a pickle.

    Raises:
        LearnerSendsPickles: the weights contain a pickle.
    """
    try:
        check_no_pickle(learner.mli_get_current_weights().weights)
    except PickledWeights as error:
        raise LearnerSendsPickles(
            f"the agent refuses this learner: {error}; run `colearn learner check` to examine it"
        ) from error


def check_fit(learner: Any, schema: WeightsSchema) -> None:
    """Check that a learner's current weights match an experiment's schema.

    NaN and infinity are allowed because training may remove them.

    Raises:
        LearnerDoesNotFit: the weights differ from the schema, or cannot be encoded.
    """
    try:
        check_tree(learner.mli_get_current_weights().weights, schema)
    except WeightsError as error:
        raise LearnerDoesNotFit(
            f"the learner's weights do not match the experiment: {error}; give it the model "
            "that the experiment's specification describes"
        ) from error
