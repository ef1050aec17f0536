"""The checks and the count of ballots, apart from the calls that cast them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.keys.signing import sign_ballot, signing_domain
from colearn_ledger.protocol import (
    Account,
    AlreadyVoted,
    BallotSkipped,
    Basis,
    ExperimentId,
    InvalidParameter,
    Merge,
    NotALearner,
    NotEligible,
    Phase,
    ProtocolError,
    Scores,
    SignedBallot,
    SkipReason,
    SlotState,
    Vote,
    VoteCast,
    WrongProposals,
)
from colearn_ledger.reference.ballots import (
    check_proposals,
    check_vote,
    check_voter,
    choose_accepted,
    count_signed,
    is_settled,
)
from colearn_ledger.reference.state import ExperimentState, Member, ProposerSlot, RoundState
from tests.support.samples import content_of, params, wallet_of

NAMES = ("ana", "ben", "cat", "dan", "eve")
ANA, BEN, CAT, DAN, EVE = (wallet_of(name).address for name in NAMES)
STRANGER = wallet_of("stranger")
DOMAIN = signing_domain(1, Account("0x" + "11" * 20))
DIGEST = b"\xdd" * 32
BASIS = Basis(ExperimentId(1), 3, DIGEST)


def vote_on(*slots: bool, needed: int = 2, **terms: object) -> tuple[ExperimentState, RoundState]:
    """Return an experiment of five learners in the vote of round 3.

    Args:
        slots: for ana, ben, and so on, whether it made a proposal or declined.
        needed: approvals that a proposal needs.
        terms: parameters of the experiment.
    """
    proposers = [
        ProposerSlot(account, SlotState.PROPOSED, content_of(str(slot)), 5)
        if slots[slot]
        else ProposerSlot(account, SlotState.DECLINED)
        for slot, account in zip(range(len(slots)), (ANA, BEN, CAT, DAN, EVE), strict=False)
    ]
    round_ = RoundState(3, proposers, 4, needed, 5, 90, Phase.VOTING, proposals=DIGEST)
    state = ExperimentState(BASIS.experiment, ANA, params(**terms), 0, rounds=[round_] * 4)
    for index, account in enumerate((ANA, BEN, CAT, DAN, EVE)):
        state.members[account] = Member(account, index, bytes(32), from_round=0)
    return state, round_


def is_refused(error: type[ProtocolError], account: Account, *slots: bool) -> bool:
    state, round_ = vote_on(*slots)
    try:
        check_voter(state, round_, account)
    except error:
        return True
    return False


class TestVoter:
    def test_proposer_votes_only_if_another_proposal_exists(self):
        assert is_refused(NotEligible, ANA, True)
        assert is_refused(NotEligible, ANA, True, False)
        assert not is_refused(ProtocolError, ANA, True, True)

    def test_proposer_without_a_proposal_is_a_voter(self):
        assert not is_refused(ProtocolError, BEN, True, False)

    def test_account_that_never_joined_is_not_a_voter(self):
        assert is_refused(NotALearner, STRANGER.address, True)

    @pytest.mark.parametrize(
        ("from_round", "until_round", "votes"),
        [(3, None, True), (4, None, False), (0, 3, False), (0, 4, True), (4, 4, False)],
    )
    def test_electorate_depends_on_the_rounds_of_joining_and_leaving(
        self, from_round: int, until_round: int | None, votes: bool
    ):
        state, round_ = vote_on(True)
        state.members[EVE] = replace(
            state.members[EVE], from_round=from_round, until_round=until_round
        )
        assert state.is_eligible(EVE, round_) == votes

    def test_second_ballot_is_refused(self):
        state, round_ = vote_on(True)
        round_.ballots[BEN] = 0
        with pytest.raises(AlreadyVoted):
            check_voter(state, round_, BEN)


class TestVote:
    def test_ballot_on_other_proposals_is_refused_with_the_digest(self):
        _, round_ = vote_on(True)
        check_proposals(round_, DIGEST)
        with pytest.raises(WrongProposals) as refused:
            check_proposals(round_, bytes(32))
        assert refused.value.args == (DIGEST,)

    @pytest.mark.parametrize(
        ("account", "allowed"), [(ANA, 0b100), (BEN, 0b101), (CAT, 0b001), (EVE, 0b101)]
    )
    def test_own_slot_and_slots_without_a_proposal_are_not_approved(
        self, account: Account, allowed: int
    ):
        _, round_ = vote_on(True, False, True)
        scores = (Scores(),) * 3
        for approvals in (*range(16), 1 << 15):
            if approvals & ~allowed:
                with pytest.raises(InvalidParameter) as refused:
                    check_vote(round_, account, Vote(approvals, scores))
                assert refused.value.args == ("approvals",)
            else:
                check_vote(round_, account, Vote(approvals, scores))

    @pytest.mark.parametrize("number", [0, 1, 2, 4, 17])
    def test_wrong_number_of_scores_is_refused(self, number: int):
        _, round_ = vote_on(True, False, True)
        with pytest.raises(InvalidParameter) as refused:
            check_vote(round_, EVE, Vote(0, (Scores(),) * number))
        assert refused.value.args == ("scores",)


class TestSigned:
    VOTE = Vote(0b10, (Scores(0.5, None),) * 3)

    def skip(self, ballot: SignedBallot, *voted: Account) -> SkipReason | None:
        """Return why a ballot on two proposals, by ana and ben, is skipped."""
        state, round_ = vote_on(True, True)
        state.members[EVE] = replace(state.members[EVE], until_round=3)
        round_.ballots |= dict.fromkeys(voted, 0)
        event = count_signed(state, round_, DOMAIN, ballot)
        if isinstance(event, BallotSkipped):
            assert event.learner == ballot.learner
            return event.reason
        assert event == VoteCast(state.id, 3, ballot.learner, ballot.vote)
        assert round_.ballots[ballot.learner] == ballot.vote.approvals
        return None

    def sign(self, name: str, vote: Vote = VOTE) -> SignedBallot:
        return sign_ballot(wallet_of(name), DOMAIN, BASIS, vote)

    def test_signed_ballot_is_counted(self):
        assert self.skip(self.sign("cat")) is None
        assert self.skip(self.sign("ana")) is None

    def test_first_applicable_reason_is_reported(self):
        wrong = replace(self.VOTE, approvals=0b1100)
        forged = replace(self.sign("cat", wrong), learner=EVE)
        assert self.skip(forged, EVE) == SkipReason.BAD_SIGNATURE
        assert self.skip(self.sign("stranger", wrong)) == SkipReason.NOT_A_LEARNER
        assert self.skip(self.sign("eve", wrong), EVE) == SkipReason.NOT_ELIGIBLE
        assert self.skip(self.sign("cat", wrong), CAT) == SkipReason.ALREADY_VOTED
        assert self.skip(self.sign("cat", wrong)) == SkipReason.INVALID_BALLOT
        assert self.skip(self.sign("ben")) == SkipReason.INVALID_BALLOT  # approves its own

    @pytest.mark.parametrize(
        "basis",
        [
            replace(BASIS, experiment=ExperimentId(2)),
            replace(BASIS, round=2),
            replace(BASIS, proposals=b"\xde" * 32),
        ],
    )
    def test_ballot_signed_on_something_else_is_skipped(self, basis: Basis):
        ballot = sign_ballot(wallet_of("cat"), DOMAIN, basis, self.VOTE)
        assert self.skip(ballot) == SkipReason.BAD_SIGNATURE


class TestOutcome:
    @pytest.mark.parametrize(
        ("ballots", "mean", "best"),
        [
            ([0b001, 0b010, 0b100], (), ()),
            ([0b011, 0b010, 0b001], (0, 1), (0,)),
            ([0b110, 0b110, 0b010], (1, 2), (1,)),
            ([0b101, 0b101, 0b100], (0, 2), (2,)),
            ([0b111, 0b111, 0b000], (0, 1, 2), (0,)),
        ],
    )
    def test_mean_accepts_all_that_passed_and_best_the_first_with_most_approvals(
        self, ballots: list[int], mean: tuple[int, ...], best: tuple[int, ...]
    ):
        for merge, expected in ((Merge.MEAN, mean), (Merge.BEST, best)):
            state, round_ = vote_on(True, True, True, merge=merge)
            round_.ballots = dict(zip((CAT, DAN, EVE), ballots, strict=True))
            assert choose_accepted(state, round_) == expected

    @pytest.mark.parametrize(("slots", "voters"), [((True,), 4), ((True, True), 5)])
    def test_vote_is_settled_once_every_voter_has_cast(self, slots: tuple[bool, ...], voters: int):
        state, round_ = vote_on(*slots)
        for number, account in enumerate((EVE, DAN, CAT, BEN, ANA)[:voters], 1):
            round_.ballots[account] = 0
            assert is_settled(state, round_, voters - number) == (number == voters)

    @given(
        merge=st.sampled_from(Merge),
        needed=st.integers(1, 4),
        cast=st.lists(st.integers(0, 7), max_size=4),
        outstanding=st.integers(1, 3),
    )
    def test_early_end_never_changes_the_outcome(
        self, merge: Merge, needed: int, cast: list[int], outstanding: int
    ):
        state, round_ = vote_on(True, True, True, needed=needed, merge=merge, settle_early=True)
        round_.ballots = {Account(str(number)): ballot for number, ballot in enumerate(cast)}
        outcomes = set()
        for more in product(range(8), repeat=outstanding):
            late = {Account(f"late {number}"): ballot for number, ballot in enumerate(more)}
            outcomes.add(choose_accepted(state, replace(round_, ballots=round_.ballots | late)))
        settled = is_settled(state, round_, outstanding)
        assert not settled or len(outcomes) == 1
        if merge == Merge.MEAN:
            assert settled == (len(outcomes) == 1)
