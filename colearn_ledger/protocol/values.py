"""Values that all ledgers use, and the functions that define their encodings."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NewType

from colearn_ledger.protocol.errors import InvalidParameter
from colearn_ledger.text.cid import decode_cid, encode_cid

ExperimentId = NewType("ExperimentId", int)
Account = NewType("Account", str)
"""An account's address: EIP-55 hexadecimal on EVM chains and the local ledger, bech32 on Cosmos
chains."""

NO_ROUND = 2**32 - 1
"""An index that no round can have. `WrongRound` carries it before the first round has begun."""

MAX_LEARNERS = 10_000
"""The most learners that an experiment can have."""

MAX_PAGE = 100
"""The most rows that one list query returns; a larger ``limit`` is reduced to it."""

CODEC_RAW = 0x55
CODEC_DAG_PB = 0x70

ABSENT_SCORE_BITS = 0x7FF8_0000_0000_0000
"""The bits that represent an absent score on a chain: the quiet NaN of IEEE 754 binary64."""


class Status(IntEnum):
    """The status of an experiment."""

    ENROLLING = 0
    RUNNING = 1
    COMPLETED = 2
    CANCELLED = 3


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
    """The rule by which the proposer of a round is selected."""

    ROUND_ROBIN = 0
    RANDOM = 1


class Admission(IntEnum):
    """The rule that decides which accounts may join."""

    OPEN = 0
    ALLOWLIST = 1


class BallotState(IntEnum):
    """The recorded ballot of one learner in one round."""

    NONE = 0
    COMMITTED = 1
    APPROVED = 2
    REJECTED = 3


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


@dataclass(frozen=True, slots=True)
class ContentRef:
    """A reference to a file by its content.

    Args:
        cid: CIDv1, base32, sha2-256, codec ``raw`` or ``dag-pb``.
        sha256: the sha256 of the file's bytes, 64 lower-case hexadecimal digits.
        size: the size of the file in bytes, at least 1.

    Raises:
        InvalidParameter: the fields do not fit together; carries ``content``.
    """

    cid: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        """Check the fields. With the codec ``raw``, the CID's digest must be the file's sha256."""
        if self.cid != _encode_cid(*_decode_cid(self.cid)):
            raise InvalidParameter("content")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InvalidParameter("content")
        if not 1 <= self.size < 2**64:
            raise InvalidParameter("content")
        empty = not int(self.sha256, 16) or not any(self.digest)
        if empty or (self.codec == CODEC_RAW and self.digest.hex() != self.sha256):
            raise InvalidParameter("content")

    @classmethod
    def from_digest(cls, codec: int, digest: bytes, sha256: str, size: int) -> ContentRef:
        """Build a reference from the CID's codec and 32-byte digest."""
        return cls(_encode_cid(codec, digest), sha256, size)

    @property
    def codec(self) -> int:
        """Return the CID's codec, `CODEC_RAW` or `CODEC_DAG_PB`."""
        return _decode_cid(self.cid)[0]

    @property
    def digest(self) -> bytes:
        """Return the CID's sha2-256 digest, 32 bytes."""
        return _decode_cid(self.cid)[1]


def _encode_cid(codec: int, digest: bytes) -> str:
    if codec not in (CODEC_RAW, CODEC_DAG_PB) or len(digest) != 32:
        raise InvalidParameter("content")
    return encode_cid(codec, digest)


def _decode_cid(cid: str) -> tuple[int, bytes]:
    try:
        return decode_cid(cid)
    except ValueError as error:
        raise InvalidParameter("content") from error


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of weights on a learner's own data; ``None`` means absent, which differs from 0."""

    vote_score: float | None = None
    test_score: float | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """A voter's decision on a proposal, and its scores."""

    approve: bool
    scores: Scores = Scores()


@dataclass(frozen=True, slots=True)
class SignedBallot:
    """A vote signed off-chain, which any account may submit.

    Args:
        learner: the voter.
        vote: the vote.
        signature: EIP-712: 65 bytes, r ‖ s ‖ v with v of 27 or 28. ADR-036: 97 bytes, the
            compressed public key (33) ‖ r ‖ s.
    """

    learner: Account
    vote: Vote
    signature: bytes


@dataclass(frozen=True, slots=True)
class SigningDomain:
    """One contract on one chain, to which signed ballots and commitments are bound.

    Args:
        chain: the chain as in CAIP-2, for example ``eip155:31337`` or ``cosmos:testing-1``;
            ``eip155:0`` for an in-process ledger.
        contract: the contract's address.
        separator: 32 bytes derived from both: EIP-712's, or its counterpart on Cosmos chains.
    """

    chain: str
    contract: Account
    separator: bytes

    @property
    def scheme(self) -> SigningScheme:
        """Return the scheme of ballots signed for this contract."""
        return SigningScheme(self.chain.partition(":")[0])

    @property
    def chain_id(self) -> int | str:
        """Return the chain's own id: a number on EVM chains (EIP-155), a text on Cosmos chains."""
        own = self.chain.partition(":")[2]
        return int(own) if self.scheme == SigningScheme.EIP712 else own


@dataclass(frozen=True, slots=True)
class ExperimentParams:
    """The parameters fixed at creation; windows are in seconds of block time."""

    name: str
    spec: ContentRef
    initial: ContentRef | None
    rounds: int
    min_learners: int
    max_learners: int
    approval_bps: int = 5_000
    propose_window: int = 600
    vote_window: int = 600
    reveal_window: int = 0
    selection: Selection = Selection.ROUND_ROBIN
    admission: Admission = Admission.OPEN
    late_join: bool = False
    settle_early: bool = False
    max_strikes: int = 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """The current state of an experiment.

    ``round`` is the index of the current or last round, ``None`` before the start.
    ``current`` refers to the current weights. ``current_round`` is the round that accepted them;
    it is ``None`` for the initial weights, and while there are no weights. ``seed`` is 32 zero
    bytes unless proposers are selected at random and the experiment has started.
    Times are in seconds since the epoch.
    """

    id: ExperimentId
    creator: Account
    params: ExperimentParams
    status: Status
    created_at: int
    started_at: int | None
    ended_at: int | None
    round: int | None
    active_learners: int
    joined_learners: int
    current: ContentRef | None
    current_round: int | None
    seed: bytes


@dataclass(frozen=True, slots=True)
class Learner:
    """A learner of an experiment.

    It belongs to the electorate of round r exactly if
    ``from_round <= r`` and (``until_round is None`` or ``r < until_round``).
    ``until_round`` is set when it leaves or is removed; its strikes are kept.
    """

    experiment: ExperimentId
    account: Account
    index: int
    active: bool
    from_round: int
    until_round: int | None
    strikes: int
    encryption_key: bytes


@dataclass(frozen=True, slots=True)
class Round:
    """The current state of a round; times are in seconds since the epoch.

    ``deadline`` belongs to the open phase; it is ``None`` once the round is closed.
    ``commitments`` is the number of committed secret ballots. ``by_deadline`` is true if a deadline
    closed the round.
    """

    experiment: ExperimentId
    index: int
    phase: Phase
    outcome: Outcome
    proposer: Account
    eligible: int
    needed: int
    approvals: int
    rejections: int
    commitments: int
    content: ContentRef | None
    started_at: int
    proposed_at: int | None
    reveal_started_at: int | None
    closed_at: int | None
    deadline: int | None
    by_deadline: bool


@dataclass(frozen=True, slots=True)
class Ballot:
    """The recorded ballot of one learner in one round, and whether the learner may vote."""

    experiment: ExperimentId
    round: int
    learner: Account
    eligible: bool
    state: BallotState


def score_to_bits(score: float | None) -> int:
    """Return the IEEE 754 binary64 bits of a score; `ABSENT_SCORE_BITS` for absent and NaN."""
    if score is None or math.isnan(score):
        return ABSENT_SCORE_BITS
    return int.from_bytes(struct.pack(">d", score), "big")


def bits_to_score(bits: int) -> float | None:
    """Return the score of IEEE 754 binary64 bits; ``None`` for any NaN."""
    score: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return None if math.isnan(score) else score


def needed_approvals(eligible: int, approval_bps: int) -> int:
    """Return max(1, ⌈eligible · approval_bps / 10,000⌉)."""
    return max(1, -(-eligible * approval_bps // 10_000))
