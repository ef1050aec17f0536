"""What can go wrong between an agent and a learner on another machine."""

from __future__ import annotations

from colearn_learner.errors import LearnerError

__all__ = [
    "BadMessage",
    "CanNotListen",
    "InvalidAddress",
    "InvalidToken",
    "LearnerFailed",
    "LearnerRefused",
    "LearnerUnavailable",
    "TooLarge",
    "Unprotected",
]


class LearnerUnavailable(LearnerError):
    """The learner's server does not answer, or no longer does; it may well later.

    Args:
        message: what is wrong.
        again: whether the line broke in the midst, so that trying again at once may do.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        self.again = again
        super().__init__(message)


class LearnerRefused(LearnerError):
    """The learner's server, or this side, refuses to talk; the message says what to mend."""


class LearnerFailed(LearnerError):
    """The learner itself raised an error; the message has it."""


class BadMessage(LearnerError):
    """What came is not what the protocol says."""


class TooLarge(BadMessage):
    """More bytes are announced, or come, than are allowed."""


class CanNotListen(LearnerError):
    """The server can not listen where it is to."""


class Unprotected(LearnerError, ValueError):
    """Weights would travel readable, or anybody could send some."""


class InvalidAddress(LearnerError, ValueError):
    """The text is not the address of a learner's server."""


class InvalidToken(LearnerError, ValueError):
    """A token that can not be one. It is never repeated."""
