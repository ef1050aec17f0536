"""Retry limits for each kind of error, and the error that stops an agent."""

from __future__ import annotations

import math
from pathlib import Path

from colearn_learner.errors import LearnerError
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Account, LedgerError, ProtocolError
from colearn_ledger.spec import SpecError
from colearn_ledger.weights.errors import SubnormalsFlushed
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentTooLarge,
    ContentUnavailable,
    WrongReference,
)

_FEW_RETRIES = 5
"""Retries of failures that may be transient and may cost a fee each time."""

_RETRIES: dict[type[LedgerError], float] = {
    LedgerUnavailable: math.inf,
    ContentUnavailable: math.inf,
    ContentNotStored: math.inf,  # disk space may become free again
    ContentTooLarge: 0,
    WrongReference: 0,
    ProtocolError: 0,  # `Agent.step` catches those that only mean it was overtaken
    SpecError: 0,
    SubnormalsFlushed: 0,
}


class AgentStopped(LearnerError):
    """Raised when an agent stops because retrying cannot help. Its folder stays intact.

    Args:
        account: the agent's account.
        folder: the agent's folder.
        cause: the error that stopped it.
    """

    def __init__(self, account: Account, folder: Path, cause: LedgerError) -> None:
        self.account = account
        self.folder = folder
        self.cause = cause
        super().__init__(
            f"the agent of {account} stopped because trying again would not help: {cause}. Fix the"
            f" cause, then start the agent again with its folder {folder}; it continues where it"
            " stopped"
        )


def max_retries(error: LedgerError) -> float:
    """Return how often in a row to retry after this error.

    For errors of a chain, their own ``retries`` decides
    (`colearn_ledger.chains.errors.ChainError`).
    """
    own: float | None = getattr(error, "retries", None)
    if own is not None:
        return own
    return next((_RETRIES[kind] for kind in type(error).__mro__ if kind in _RETRIES), _FEW_RETRIES)
