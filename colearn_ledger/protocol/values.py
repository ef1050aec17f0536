"""Values that calls and events contain, and the functions that define their encodings."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

from colearn_ledger.protocol.enums import Admission, Merge, Selection, SigningScheme
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

MAX_PROPOSERS = 16
"""The most learners that can propose in one round."""

MAX_PAGE = 100
"""The most rows that one list query returns; a larger ``limit`` is reduced to it."""

CODEC_RAW = 0x55
CODEC_DAG_PB = 0x70

ABSENT_SCORE_BITS = 0x7FF8_0000_0000_0000
"""The bits that represent an absent score on a chain: the quiet NaN of IEEE 754 binary64."""


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
    """A voter's decision on the proposals of a round, and its scores.

    Args:
        approvals: the bitmap of the slots that it approves: bit i for slot i.
        scores: the scores of the current weights, then of each proposal in slot order.
    """

    approvals: int
    scores: tuple[Scores, ...]

    def approves(self, slot: int) -> bool:
        """Return whether the vote approves the proposal of a slot."""
        return bool(self.approvals >> slot & 1)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a ballot judges: the proposals of one round. Signatures and commitments bind it.

    Args:
        experiment: the experiment's id.
        round: the round's index.
        proposals: the 32-byte digest of the round's proposals.
    """

    experiment: ExperimentId
    round: int
    proposals: bytes


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
    proposers: int = 1
    merge: Merge = Merge.MEAN
    admission: Admission = Admission.OPEN
    late_join: bool = False
    settle_early: bool = False
    max_strikes: int = 0
    patience: int = 0


def score_to_bits(score: float | None) -> int:
    """Return the IEEE 754 binary64 bits of a score; `ABSENT_SCORE_BITS` for absent and NaN."""
    if score is None or math.isnan(score):
        return ABSENT_SCORE_BITS
    return int.from_bytes(struct.pack(">d", score), "big")


def bits_to_score(bits: int) -> float | None:
    """Return the score of IEEE 754 binary64 bits; ``None`` for any NaN.

    Raises:
        InvalidParameter: it is not an integer of at most 64 bits; carries ``scores``.
    """
    if not isinstance(bits, int) or not 0 <= bits < 2**64:
        raise InvalidParameter("scores")
    score: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return None if math.isnan(score) else score


def needed_approvals(eligible: int, approval_bps: int) -> int:
    """Return max(1, ⌈eligible · approval_bps / 10,000⌉)."""
    return max(1, -(-eligible * approval_bps // 10_000))


def encode_scores(scores: Sequence[Scores]) -> bytes:
    """Return the scores of a ballot as the contracts take them: two big-endian uint64 for each."""
    numbers = (bits for each in scores for bits in (each.vote_score, each.test_score))
    return b"".join(score_to_bits(number).to_bytes(8, "big") for number in numbers)


def decode_scores(data: bytes) -> tuple[Scores, ...]:
    """Convert the bytes of `encode_scores` back into scores.

    Raises:
        InvalidParameter: the length is not a multiple of 16; carries ``scores``.
    """
    if len(data) % 16:
        raise InvalidParameter("scores")
    numbers = [
        bits_to_score(int.from_bytes(data[at : at + 8], "big")) for at in range(0, len(data), 8)
    ]
    return tuple(Scores(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
