"""The rule by which a learner votes."""

from __future__ import annotations

__all__ = ["approves"]


def approves(new: float, held: float, *, minimise: bool, or_equal: bool = False) -> bool:
    """Tell whether a score is better than the one held, or as good if that will do; NaN never is.

    Args:
        new: the score of the weights proposed.
        held: the score of the current weights, on the same records.
        minimise: whether lower is better.
        or_equal: whether an equal score is approved too.
    """
    if or_equal and new == held:
        return True
    return bool(new < held if minimise else new > held)
