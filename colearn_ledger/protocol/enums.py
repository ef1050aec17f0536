"""The enumerations of the protocol; their numbers are those of the contracts."""

from __future__ import annotations

from enum import Enum, IntEnum


class Status(IntEnum):
    """The status of an experiment."""

    ENROLLING = 0
    RUNNING = 1
    COMPLETED = 2
    CANCELLED = 3

    @property
    def is_over(self) -> bool:
        """Return whether the experiment has ended, so that it never changes again."""
        return self in (Status.COMPLETED, Status.CANCELLED)


class Phase(IntEnum):
    """The phase of a round."""

    PROPOSING = 0
    VOTING = 1
    REVEALING = 2
    CLOSED = 3


class Outcome(IntEnum):
    """The result of a closed round; ``NONE`` while the round is open."""

    NONE = 0
    ACCEPTED = 1
    REJECTED = 2
    NO_PROPOSAL = 3
    ABANDONED = 4


class Selection(IntEnum):
    """The rule by which the proposers of a round are selected."""

    ROUND_ROBIN = 0
    RANDOM = 1


class Merge(IntEnum):
    """What the accepted proposals of a round become: their mean, or only the best one."""

    MEAN = 0
    BEST = 1


class Admission(IntEnum):
    """The rule that decides which accounts may join."""

    OPEN = 0
    ALLOWLIST = 1


class SlotState(IntEnum):
    """The state of a proposer's slot in a round."""

    OPEN = 0
    PROPOSED = 1
    DECLINED = 2
    MISSED = 3


class BallotState(IntEnum):
    """The recorded ballot of one learner in one round."""

    NONE = 0
    COMMITTED = 1
    CAST = 2


class Duty(IntEnum):
    """The action that an account should take now."""

    WAIT = 0
    PROPOSE = 1
    VOTE = 2
    COMMIT = 3
    REVEAL = 4
    ADVANCE = 5
    DONE = 6


class SigningScheme(Enum):
    """The scheme of ballots signed off-chain; its value is the CAIP-2 namespace of its chains."""

    EIP712 = "eip155"
    ADR036 = "cosmos"


class SkipReason(IntEnum):
    """The reason why a signed ballot of a batch was not counted."""

    BAD_SIGNATURE = 0
    NOT_A_LEARNER = 1
    NOT_ELIGIBLE = 2
    ALREADY_VOTED = 3
    INVALID_BALLOT = 4
