"""Errors in the communication between an agent and a learner on another machine."""

from __future__ import annotations

from colearn_learner.errors import LearnerError


class LearnerUnavailable(LearnerError):
    """Raised when the learner's server does not answer; it may answer later.

    Args:
        message: description of the failure.
        again: whether an immediate retry may succeed, for example after a broken connection.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        self.again = again
        super().__init__(message)


class LearnerRefused(LearnerError):
    """Raised when the server or the client refuses the call; the message names the remedy."""


class LearnerFailed(LearnerError):
    """Raised when the learner itself raised an error; the message contains it."""


class BadMessage(LearnerError):
    """Raised for a message that violates the protocol."""


class TooLarge(BadMessage):
    """Raised for a body with more bytes than announced or allowed."""


class CannotListen(LearnerError):
    """Raised when the server cannot listen on its host and port."""


class Unprotected(LearnerError, ValueError):
    """Raised for settings under which others could read the weights or send their own."""


class InvalidAddress(LearnerError, ValueError):
    """Raised for a text that is not the address of a learner's server."""


class InvalidToken(LearnerError, ValueError):
    """Raised for an invalid token; its value is never shown."""
