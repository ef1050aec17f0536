"""An agent's errors, and how often to retry after each kind of error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colearn_learner.errors import LearnerError
from colearn_ledger.home import HomeNotWritable
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import (
    Account,
    AlreadyJoined,
    AlreadyVoted,
    DeadlineNotPassed,
    DeadlinePassed,
    LedgerError,
    NotAdmitted,
    NotALearner,
    NotEligible,
    NotProposer,
    ProtocolError,
    UnknownExperiment,
    WrongPhase,
    WrongProposals,
    WrongRound,
    WrongStatus,
)
from colearn_ledger.spec import SpecError
from colearn_ledger.weights.errors import SubnormalsFlushed
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentTooLarge,
    ContentUnavailable,
    WrongReference,
)


class DamagedFolder(LearnerError):
    """Raised if the journal in an agent's folder is damaged; retrying does not help."""


class FolderNotWritable(LearnerError):
    """Raised if an agent's folder cannot be written now, for example because the disk is full.

    Args:
        path: the file or folder.
        cause: the error of the operating system.
    """

    def __init__(self, path: Path, cause: OSError) -> None:
        self.path = path
        super().__init__(
            f"cannot write to {path}: {cause.strerror or cause}; free disk space, or make the "
            "folder writable"
        )


@contextmanager
def writing_folder(path: Path) -> Iterator[None]:
    """Raise an `OSError` of the block as `FolderNotWritable`.

    Args:
        path: the file or folder that the block writes to.
    """
    try:
        yield
    except OSError as error:
        raise FolderNotWritable(path, error) from error


OVERTAKEN = (
    AlreadyJoined,
    AlreadyVoted,
    DeadlineNotPassed,
    DeadlinePassed,
    NotAdmitted,
    NotALearner,
    NotEligible,
    NotProposer,
    WrongPhase,
    WrongProposals,
    WrongRound,
    WrongStatus,
)
"""Refusals after which to read the ledger again: it has moved on, or the call came too early."""

RETRIED = (LedgerError, FolderNotWritable)
"""The errors after which an agent may try again, as often as `max_retries` allows."""

_FEW_RETRIES = 5
"""Retries of failures that may be transient and may cost a fee each time."""

_RETRIES: dict[type[Exception], float] = {
    LedgerUnavailable: math.inf,
    FolderNotWritable: math.inf,  # disk space may become free again
    HomeNotWritable: math.inf,
    ContentUnavailable: math.inf,
    ContentNotStored: math.inf,
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

    def __init__(self, account: Account, folder: Path, cause: Exception) -> None:
        self.account = account
        self.folder = folder
        self.cause = cause
        super().__init__(
            f"the agent of {account} stopped because trying again would not help: {cause}. Fix the"
            f" cause, then start the agent again with its folder {folder}; it continues where it"
            " stopped"
        )


def max_retries(error: Exception, *, has_read: bool = False) -> float:
    """Return how often in a row to retry after this error.

    For errors of a chain, their own ``retries`` decides
    (`colearn_ledger.chains.errors.ChainError`).

    Args:
        error: the error.
        has_read: whether the agent has read its experiment. If it does not exist later, the node
            serves an old state or another chain, which may pass.
    """
    if has_read and isinstance(error, UnknownExperiment):
        return math.inf
    own: float | None = getattr(error, "retries", None)
    if own is not None:
        return own
    return next((_RETRIES[kind] for kind in type(error).__mro__ if kind in _RETRIES), _FEW_RETRIES)
