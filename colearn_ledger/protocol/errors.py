"""Errors that all ledgers raise: one class for each refusal of the protocol."""

from __future__ import annotations

from typing import ClassVar


class LedgerError(Exception):
    """Base class of all errors that `colearn_ledger` raises on purpose."""


class InvalidDocument(LedgerError):
    """A dictionary or JSON document that is not a value of the protocol.

    Args:
        where: the path of the malformed part, ``Round.slots[0].content.size`` for example.
        reason: what is wrong with it.
    """

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        super().__init__(f"{where}: {reason}")


class ProtocolError(LedgerError):
    """The protocol refuses a call; nothing changed.

    Args:
        *args: the values of the error, in the order of the Solidity error.
    """

    explanation: ClassVar[str] = "the protocol refuses this call"

    def __str__(self) -> str:
        """Return the error's name, its values and an explanation, in one line."""
        values = ", ".join(a.hex() if isinstance(a, bytes) else str(a) for a in self.args)
        return f"{type(self).__name__}({values}): {self.explanation}"


class UnknownExperiment(ProtocolError):
    """``args[0]``: the experiment id."""

    explanation = "no experiment has this id"


class InvalidParameter(ProtocolError):
    """``args[0]``: the parameter's name."""

    explanation = "this parameter is out of its bounds (see docs/protocol.md)"


class NotCreator(ProtocolError):
    """``args[0]``: the caller."""

    explanation = "only the experiment's creator may do this"


class NotAdmitted(ProtocolError):
    """``args[0]``: the caller."""

    explanation = "the creator has not admitted this account"


class AlreadyJoined(ProtocolError):
    """``args[0]``: the caller."""

    explanation = "an account joins an experiment once"


class ExperimentFull(ProtocolError):
    """``args[0]``: max_learners."""

    explanation = "the experiment has as many active learners as it allows"


class WrongExperiment(ProtocolError):
    """``args[0]``: the hash of the experiment that has this id, 32 bytes."""

    explanation = "the experiment with this id has another creator or other parameters"


class NotALearner(ProtocolError):
    """``args[0]``: the account."""

    explanation = "this account is not a learner of the experiment"


class WrongStatus(ProtocolError):
    """``args[0]``: the experiment's `Status`."""

    explanation = "the experiment's status does not allow this"


class WrongPhase(ProtocolError):
    """``args[0]``: the round's `Phase`."""

    explanation = "the round's phase does not allow this"


class WrongRound(ProtocolError):
    """``args[0]``: the current round's index."""

    explanation = "that is not the current round"


class NotProposer(ProtocolError):
    """``args[0]``: the caller."""

    explanation = "this account has no open slot in the round"


class NotEligible(ProtocolError):
    """``args[0]``: the account."""

    explanation = "this learner has no vote in this round"


class AlreadyVoted(ProtocolError):
    """``args[0]``: the account."""

    explanation = "this learner has already voted in this round"


class WrongProposals(ProtocolError):
    """``args[0]``: the digest of the round's proposals, 32 bytes."""

    explanation = "the ballot judges other proposals than those of the round"


class BadReveal(ProtocolError):
    """``args[0]``: the account."""

    explanation = "the ballot does not match a commitment of this account"


class Unchanged(ProtocolError):
    """The error has no values."""

    explanation = "these weights are already the current ones"


class NotRemovable(ProtocolError):
    """``args[0]``: the learner's strikes."""

    explanation = "the learner has not missed enough duties to be removed"


class DeadlinePassed(ProtocolError):
    """``args[0]``: the deadline, seconds since the epoch."""

    explanation = "the deadline has passed; anyone may call advance"


class DeadlineNotPassed(ProtocolError):
    """``args[0]``: the deadline, seconds since the epoch."""

    explanation = "the deadline has not passed yet"
