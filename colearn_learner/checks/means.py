"""Check that a learner can test and accept the mean of proposals."""

from __future__ import annotations

import math
from typing import Any

from colearn_learner.checks.subject import Broken, DoesNotApply, Subject
from colearn_learner.interface import Weights
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.merge import compute_mean
from colearn_ledger.weights.schema import WeightsSchema

_ADVICE = (
    "a round with several proposers averages the accepted proposals, so take any finite weights "
    'with the names, shapes and types of the first ones, or set merge = "best" in the experiment'
)


def mean_can_be_tested(subject: Subject) -> None:
    """The mean of two proposals, which no learner has trained, can be tested and accepted."""
    mean = _merge_two_proposals(subject)
    learner = subject.learner()
    try:
        score = float(learner.mli_test_weights(Weights(mean)).vote_score)
        learner.mli_accept_weights(Weights(mean))
    except Exception as error:
        raise Broken(
            f"with the mean of two proposals it raised {type(error).__name__}: {error}"[:300]
            + f"; {_ADVICE}"
        ) from error
    if not math.isfinite(score):
        raise Broken(f"the vote score of the mean of two proposals is {score}; {_ADVICE}")
    if encode_weights(learner.mli_get_current_weights().weights) != encode_weights(mean):
        raise Broken(
            "after it accepted the mean of two proposals, its current weights were others, so its "
            "next proposal would start from other weights than those of the other learners; "
            f"{_ADVICE}"
        )


def _merge_two_proposals(subject: Subject) -> Any:
    """Return the mean of two proposals in a row, merged as agents merge accepted files."""
    learner = subject.learner()
    schema = WeightsSchema.of(learner.mli_get_current_weights().weights, max_bytes=2**62)
    if not schema.can_average:
        raise DoesNotApply(
            "weights with text or bytes, such as those of trees, have no mean; experiments with "
            'several proposers need merge = "best"'
        )
    proposals = []
    for _ in range(2):
        data = encode_weights(learner.mli_propose_weights().weights)
        try:
            proposals.append(decode_weights(data, schema=schema).weights)
        except WeightsError as error:
            raise Broken(f"its proposals cannot be averaged: {error}") from error
        learner.mli_accept_weights(Weights(decode_weights(data).weights))
    return compute_mean(proposals)
