"""Values of the protocol: content references, scores, votes, thresholds."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.protocol import (
    ABSENT_SCORE_BITS,
    CODEC_DAG_PB,
    CODEC_RAW,
    Account,
    ContentRef,
    ExperimentId,
    InvalidParameter,
    Learner,
    Outcome,
    Phase,
    Round,
    Scores,
    Slot,
    SlotState,
    Vote,
    WrongProposals,
    WrongRound,
    bits_to_score,
    decode_scores,
    encode_scores,
    needed_approvals,
    score_to_bits,
)

DIGEST = hashlib.sha256(b"weights").digest()
NUMBERS = st.none() | st.floats(allow_nan=False)


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

    @pytest.mark.parametrize("bits", [2**64, -1, 2**4_000, "1", 1.0, None])
    def test_more_than_64_bits_are_refused(self, bits: object):
        with pytest.raises(InvalidParameter):
            bits_to_score(bits)

    def test_scores_of_a_ballot_are_encoded_one_after_another(self):
        scores = (Scores(0.5, None), Scores(-1.0, 0.25))
        data = bytes.fromhex("3fe0000000000000 7ff8000000000000 bff0000000000000 3fd0000000000000")
        assert encode_scores(scores) == data
        assert decode_scores(data) == scores
        assert (encode_scores(()), decode_scores(b"")) == (b"", ())

    @given(st.lists(st.builds(Scores, NUMBERS, NUMBERS), max_size=17))
    def test_encoded_scores_are_decoded_exactly(self, scores: list[Scores]):
        data = encode_scores(scores)
        assert len(data) == 16 * len(scores)
        assert decode_scores(data) == tuple(scores)
        assert encode_scores(decode_scores(data)) == data

    @pytest.mark.parametrize("length", [1, 8, 15, 17, 24])
    def test_scores_of_the_wrong_length_are_refused(self, length: int):
        with pytest.raises(InvalidParameter) as refused:
            decode_scores(bytes(length))
        assert refused.value.args == ("scores",)


@pytest.mark.parametrize(
    ("eligible", "bps", "needed"),
    [(4, 5_000, 2), (4, 5_001, 3), (1, 1, 1), (4, 10_000, 4), (3, 3_333, 1), (3, 3_334, 2)],
)
def test_needed_approvals_round_up_in_integers(eligible: int, bps: int, needed: int):
    assert needed_approvals(eligible, bps) == needed


def test_vote_approves_the_slots_of_its_bitmap():
    vote = Vote(0b101, ())
    assert [vote.approves(slot) for slot in range(4)] == [True, False, True, False]


class TestRound:
    @pytest.mark.parametrize(
        ("proposed", "voters"), [([], 0), ([1], 4), ([0, 2], 5), ([0, 1, 2], 5)]
    )
    def test_proposer_votes_unless_its_proposal_is_the_only_one(
        self, proposed: list[int], voters: int
    ):
        round_ = round_with(proposed, of=3)
        assert list(round_.contents) == proposed
        assert round_.voters == voters


def round_with(proposed: list[int], *, of: int) -> Round:
    """Return a round of five learners with proposals in some of its slots."""
    slots = tuple(
        Slot(
            Account(f"0x{i:040x}"),
            SlotState.PROPOSED if i in proposed else SlotState.DECLINED,
            raw() if i in proposed else None,
            7 if i in proposed else None,
            0,
            accepted=False,
        )
        for i in range(of)
    )
    return Round(
        **{"experiment": ExperimentId(1), "index": 0, "phase": Phase.VOTING, "slots": slots},
        **{"outcome": Outcome.NONE, "eligible": 4, "needed": 2, "ballots": 0, "commitments": 0},
        **{"proposals": b"p" * 32, "started_at": 5, "voting_started_at": 7, "deadline": 9},
        **{"reveal_started_at": None, "closed_at": None, "by_deadline": False},
    )


def test_strikes_are_the_larger_count_of_missed_duties():
    learner = Learner(ExperimentId(1), Account("0x" + "22" * 20), 0, True, 0, None, 2, 3, bytes(32))
    assert learner.strikes == 3
    assert replace(learner, missed_proposals=4).strikes == 4


def test_error_text_has_name_values_and_explanation():
    assert str(WrongRound(3)) == "WrongRound(3): that is not the current round"
    assert str(WrongProposals(b"\xab" * 32)).startswith(f"WrongProposals({'ab' * 32}): ")
