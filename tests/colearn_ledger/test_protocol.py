"""Values of the protocol: content references, scores, thresholds, seeds, commitments."""

from __future__ import annotations

import hashlib
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.protocol import (
    ABSENT_SCORE_BITS,
    CODEC_DAG_PB,
    CODEC_RAW,
    Account,
    ContentRef,
    ExperimentId,
    InvalidParameter,
    Scores,
    Vote,
    WrongRound,
    bits_to_score,
    commitment_hash,
    needed_approvals,
    next_seed,
    score_to_bits,
)

DIGEST = hashlib.sha256(b"weights").digest()
DOMAIN = signing_domain(1, Account("0x" + "11" * 20))


def raw(digest: bytes = DIGEST, size: int = 7) -> ContentRef:
    return ContentRef.from_digest(CODEC_RAW, digest, digest.hex(), size)


class TestContentRef:
    def test_raw_cid_has_the_sha256_of_the_file(self):
        assert raw().digest == DIGEST
        assert raw().codec == CODEC_RAW
        assert raw().cid.startswith("bafkrei")

    def test_dag_pb_cid_has_another_digest_than_the_file(self):
        other = ContentRef.from_digest(CODEC_DAG_PB, DIGEST, "ab" * 32, 300_000)
        assert other.cid.startswith("bafybei")
        assert other.digest == DIGEST

    @pytest.mark.parametrize(
        ("cid", "sha256", "size"),
        [
            ("", DIGEST.hex(), 7),
            ("bafkrei", DIGEST.hex(), 7),
            ("../../etc/passwd", DIGEST.hex(), 7),
            ("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", DIGEST.hex(), 7),
            (raw().cid.upper(), DIGEST.hex(), 7),
            (raw().cid[:-1] + "/", DIGEST.hex(), 7),
            (raw().cid + "\n", DIGEST.hex(), 7),
            ("bafk?arg=x", DIGEST.hex(), 7),
            (raw().cid + "a", DIGEST.hex(), 7),
            (raw().cid, "ab" * 32, 7),
            (raw().cid, DIGEST.hex().upper(), 7),
            (raw().cid, DIGEST.hex()[:-1], 7),
            (raw().cid, DIGEST.hex(), 0),
            (raw().cid, DIGEST.hex(), 2**64),
        ],
    )
    def test_malformed_references_are_refused(self, cid: str, sha256: str, size: int):
        with pytest.raises(InvalidParameter) as refused:
            ContentRef(cid, sha256, size)
        assert refused.value.args == ("content",)

    @pytest.mark.parametrize("codec", [0x71, 0x0129, 0])
    def test_other_codecs_are_refused(self, codec: int):
        with pytest.raises(InvalidParameter):
            ContentRef.from_digest(codec, DIGEST, DIGEST.hex(), 7)

    def test_zero_digests_are_refused(self):
        with pytest.raises(InvalidParameter):
            raw(bytes(32))


class TestScores:
    @given(st.floats(allow_nan=False))
    def test_bits_are_kept_exactly(self, score: float):
        back = bits_to_score(score_to_bits(score))
        assert back is not None
        assert struct.pack(">d", back) == struct.pack(">d", score)

    def test_absent_score_is_the_quiet_nan_and_not_zero(self):
        assert score_to_bits(None) == score_to_bits(math.nan) == ABSENT_SCORE_BITS
        assert bits_to_score(ABSENT_SCORE_BITS) is None

    @pytest.mark.parametrize("bits", [0xFFF8_0000_0000_0000, 0x7FF0_0000_0000_0001, 2**64 - 1])
    def test_any_nan_is_read_as_absent(self, bits: int):
        assert bits_to_score(bits) is None


@pytest.mark.parametrize(
    ("eligible", "bps", "needed"),
    [(4, 5_000, 2), (4, 5_001, 3), (1, 1, 1), (4, 10_000, 4), (3, 3_333, 1), (3, 3_334, 2)],
)
def test_needed_approvals_round_up_in_integers(eligible: int, bps: int, needed: int):
    assert needed_approvals(eligible, bps) == needed


class TestCommitment:
    account = Account("0x" + "22" * 20)
    vote = Vote(True, Scores(0.5, None))

    def hash(self, **change: object) -> bytes:
        values: dict[str, object] = {
            "domain": DOMAIN,
            "experiment": ExperimentId(1),
            "round_index": 0,
            "account": self.account,
            "vote": self.vote,
            "salt": bytes(32),
        }
        return commitment_hash(**(values | change))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "change",
        [
            {"domain": signing_domain(2, DOMAIN.contract)},
            {"domain": signing_domain(1, Account("0x" + "33" * 20))},
            {"experiment": ExperimentId(2)},
            {"round_index": 1},
            {"account": Account("0x" + "23" * 20)},
            {"vote": Vote(False, Scores(0.5, None))},
            {"vote": Vote(True, Scores(0.25, None))},
            {"vote": Vote(True, Scores(0.5, 0.5))},
            {"salt": b"\1" * 32},
        ],
    )
    def test_hash_depends_on_every_part(self, change: dict[str, object]):
        assert self.hash(**change) != self.hash()


def test_next_seed_is_the_hash_of_its_three_parts():
    assert next_seed(b"a" * 32, b"b" * 32, b"c" * 32) == (
        hashlib.sha256(b"a" * 32 + b"b" * 32 + b"c" * 32).digest()
    )


def test_error_text_has_name_values_and_explanation():
    assert str(WrongRound(3)) == "WrongRound(3): that is not the current round"
