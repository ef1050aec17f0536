"""Whether a learner fits an experiment: asked before it joins, so that nobody joins in vain."""

from __future__ import annotations

from typing import Any

from colearn_learner.errors import WeightsMismatch
from colearn_ledger.weights.codec import WeightsError, WeightsSchema, decode_weights, encode_weights

__all__ = ["LearnerDoesNotFit", "check_fit"]


class LearnerDoesNotFit(WeightsMismatch):
    """A learner's weights are not those of the experiment; names the first that differs."""


def check_fit(learner: Any, schema: WeightsSchema) -> None:
    """Check that a learner's current weights are of an experiment's schema.

    Values that are not finite do not count: they may well be trained away.

    Raises:
        LearnerDoesNotFit: they are not, or could not travel at all.
    """
    try:
        data = encode_weights(learner.mli_get_current_weights().weights)
        decode_weights(data, schema=schema, allow_non_finite=True)
    except WeightsError as error:
        raise LearnerDoesNotFit(
            f"the learner's weights are not those of the experiment: {error}; give it the model "
            "that the experiment's specification describes"
        ) from error
