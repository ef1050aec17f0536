"""The bounds of an experiment's parameters."""

from __future__ import annotations

from colearn_ledger.protocol import MAX_LEARNERS, ExperimentParams, InvalidParameter

__all__ = ["check_params"]

_WINDOW = 2**32 - 1


def check_params(params: ExperimentParams) -> None:
    """Check the bounds in the order of ``docs/protocol.md``.

    References are well formed and enumerations known by their types.

    Raises:
        InvalidParameter: names the first parameter that is out of its bounds.
    """
    bounds = {
        "name": 1 <= _utf8_length(params.name) <= 64,
        "rounds": 1 <= params.rounds <= 2**32 - 2,
        "min_learners": params.min_learners >= 2,
        "max_learners": params.min_learners <= params.max_learners <= MAX_LEARNERS,
        "approval_bps": 1 <= params.approval_bps <= 10_000,
        "propose_window": 1 <= params.propose_window <= _WINDOW,
        "vote_window": 1 <= params.vote_window <= _WINDOW,
        "reveal_window": 0 <= params.reveal_window <= _WINDOW,
        "max_strikes": 0 <= params.max_strikes <= 65_535,
    }
    for name, holds in bounds.items():
        if not holds:
            raise InvalidParameter(name)


def _utf8_length(text: str) -> int:
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:  # lone surrogates
        return 0
