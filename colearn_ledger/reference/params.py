"""The bounds of an experiment's parameters and of texts."""

from __future__ import annotations

import unicodedata

from colearn_ledger.protocol import (
    MAX_LEARNERS,
    MAX_PROPOSERS,
    NO_ROUND,
    ExperimentParams,
    InvalidParameter,
    Merge,
)

_LARGEST = 2**32 - 1
"""The longest window, in seconds, and the largest patience, in rounds."""


def check_params(params: ExperimentParams) -> None:
    """Check the bounds in the order of ``docs/protocol.md``.

    The types guarantee well-formed content references and valid enumerations.

    Raises:
        InvalidParameter: a parameter is out of bounds; carries the first one's name.
    """
    check_text("name", params.name, longest=64)
    bounds = {
        "rounds": 1 <= params.rounds <= NO_ROUND - 1,
        "min_learners": params.min_learners >= 2,
        "max_learners": params.min_learners <= params.max_learners <= MAX_LEARNERS,
        "approval_bps": 1 <= params.approval_bps <= 10_000,
        "propose_window": 1 <= params.propose_window <= _LARGEST,
        "vote_window": 1 <= params.vote_window <= _LARGEST,
        "reveal_window": 0 <= params.reveal_window <= _LARGEST,
        "proposers": 1 <= params.proposers <= MAX_PROPOSERS,
        "initial": params.initial is not None or not _needs_initial(params),
        "max_strikes": 0 <= params.max_strikes <= 65_535,
        "patience": 0 <= params.patience <= _LARGEST,
    }
    for name, is_within in bounds.items():
        if not is_within:
            raise InvalidParameter(name)


def check_text(name: str, text: str, *, longest: int) -> None:
    """Check that a text has 1 to ``longest`` bytes of UTF-8 and no control characters.

    Raises:
        InvalidParameter: it has not; carries ``name``.
    """
    try:
        length = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:  # lone surrogates
        raise InvalidParameter(name) from error
    if not 1 <= length <= longest or any(unicodedata.category(c) == "Cc" for c in text):
        raise InvalidParameter(name)


def _needs_initial(params: ExperimentParams) -> bool:
    """Return whether weights trained from nothing would be averaged, which ruins them."""
    return params.proposers > 1 and params.merge == Merge.MEAN
