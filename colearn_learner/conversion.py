"""Call learners, and convert their scores, votes and summaries for ledgers and files."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Mapping
from typing import Any

from colearn_learner.interface import DiffPrivBudget, ErrorCodes, TrainingSummary
from colearn_ledger.protocol import Scores

_BUDGET = ("target_epsilon", "target_delta", "consumed_epsilon", "consumed_delta")


def propose_weights(learner: Any, round_index: int) -> Any:
    """Let a learner train for a round.

    The number of the round, from 0, is passed if the learner's ``mli_propose_weights`` has a
    parameter ``round_index``, for example to lower a learning rate.
    """
    propose = learner.mli_propose_weights
    try:
        wanted = "round_index" in inspect.signature(propose).parameters
    except (TypeError, ValueError):  # some callables have no signature
        wanted = False
    return propose(round_index=round_index) if wanted else propose()


def scores_of(proposed: Any) -> Scores:
    """Return the scores of a learner's `ProposedWeights` or a similar object.

    A missing, NaN or non-numeric score becomes ``None``. So does the test score if the learner has
    no test records.
    """
    tested = getattr(proposed, "has_test_score", True)
    test_score = getattr(proposed, "test_score", None) if tested else None
    return Scores(_score(getattr(proposed, "vote_score", None)), _score(test_score))


def approves(proposed: Any) -> bool:
    """Return whether a learner's `ProposedWeights` approves; a vote of ``None`` does not."""
    vote = getattr(proposed, "vote", None)
    return vote is not None and bool(vote)


def _score(value: Any) -> float | None:
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if not isinstance(value, numbers.Real):
        return None
    number = float(value)
    return None if math.isnan(number) else number


def summary_to_json(summary: Any) -> dict[str, Any] | None:
    """Convert a `TrainingSummary` or a similar object to JSON values."""
    if summary is None:
        return None
    budget = getattr(summary, "dp_budget", None)
    code = getattr(summary, "error_code", None)
    return {
        "dp_budget": None if budget is None else {n: float(getattr(budget, n)) for n in _BUDGET},
        "error_code": None if code is None else int(getattr(code, "value", code)),
    }


def summary_from_json(value: Mapping[str, Any] | None) -> TrainingSummary | None:
    """Convert the summary in a stranger's file, and drop its malformed parts."""
    if value is None:
        return None
    budget, code = value.get("dp_budget"), value.get("error_code")
    known = type(code) is int and code in {c.value for c in ErrorCodes}
    return TrainingSummary(
        dp_budget=_budget_from_json(budget),
        error_code=ErrorCodes(code) if known else None,
    )


def _budget_from_json(budget: Any) -> DiffPrivBudget | None:
    if not isinstance(budget, Mapping):
        return None
    if any(type(budget.get(name)) not in (int, float) for name in _BUDGET):
        return None
    try:
        return DiffPrivBudget(**{name: float(budget[name]) for name in _BUDGET})
    except OverflowError:  # an integer beyond the largest float
        return None
