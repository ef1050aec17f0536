"""The bounds of an experiment's parameters."""

from __future__ import annotations

from colearn_ledger.protocol import MAX_LEARNERS, NO_ROUND, ExperimentParams, InvalidParameter

_LONGEST_WINDOW = 2**32 - 1
"""The longest window, in seconds."""


def check_params(params: ExperimentParams) -> None:
    """Check the bounds in the order of ``docs/protocol.md``.

    The types guarantee well-formed content references and valid enumerations.

    Raises:
        InvalidParameter: a parameter is out of bounds; carries the first one's name.
    """
    bounds = {
        "name": 1 <= _utf8_length(params.name) <= 64,
        "rounds": 1 <= params.rounds <= NO_ROUND - 1,
        "min_learners": params.min_learners >= 2,
        "max_learners": params.min_learners <= params.max_learners <= MAX_LEARNERS,
        "approval_bps": 1 <= params.approval_bps <= 10_000,
        "propose_window": 1 <= params.propose_window <= _LONGEST_WINDOW,
        "vote_window": 1 <= params.vote_window <= _LONGEST_WINDOW,
        "reveal_window": 0 <= params.reveal_window <= _LONGEST_WINDOW,
        "max_strikes": 0 <= params.max_strikes <= 65_535,
    }
    for name, is_within in bounds.items():
        if not is_within:
            raise InvalidParameter(name)


def _utf8_length(text: str) -> int:
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:  # lone surrogates
        return 0
