"""Secret and signed ballots on several proposals, and the duties that voters miss."""

import hashlib
from dataclasses import replace

from colearn_ledger.protocol import (
    BadReveal,
    BallotState,
    Basis,
    Duty,
    InvalidParameter,
    LearnerRemoved,
    NotRemovable,
    Outcome,
    Phase,
    RevealStarted,
    RoundClosed,
    Scores,
    SkipReason,
    Vote,
    VoteCast,
    WrongProposals,
    commitment_hash,
)
from colearn_ledger.text.address import address_bytes
from tests.support.samples import SCORES, content_of, digest_of, salt_of
from tests.support.world import World

_NAMES = ("ana", "bob", "cy")
_FILES = {0: "of ana", 1: "of bob"}
_DIGEST = digest_of(_FILES)
_SWAPPED = digest_of({0: "of bob", 1: "of ana"})


def open_vote(world: World, *more: str, **changes: object) -> None:
    """Start an experiment in which ana and bob have proposed."""
    world.run(*_NAMES, *more, **{"proposers": 2, "rounds": 9, **changes})
    world.propose("ana", _FILES[0])
    world.propose("bob", _FILES[1])


class PluralSecrets:
    def open_secret_ballots(self, world: World, **changes: object) -> None:
        open_vote(world, reveal_window=world.window, **changes)

    def commit_to(self, world: World, name: str, vote: Vote, proposals: bytes = _DIGEST) -> None:
        """Commit to any vote, even to one that cannot be revealed."""
        basis = Basis(world.id, 0, proposals)
        domain, account = world.view(name).domain, world.account(name)
        commitment = commitment_hash(domain, basis, account, vote, salt_of(name))
        world.do(name, "commit", 0, _DIGEST, commitment)

    def check_reveals_are_refused(
        self, world: World, votes: dict[str, Vote], parameter: str
    ) -> None:
        """Commit to these votes and bob's valid one; check that they cannot be revealed."""
        self.open_secret_ballots(world)
        for name, vote in votes.items():
            self.commit_to(world, name, vote)
        world.commit("bob")
        for name, vote in votes.items():
            with world.expect_refusal(InvalidParameter(parameter)):
                world.do(name, "reveal", 0, vote, salt_of(name))

    def test_commitment_is_the_hash_that_the_protocol_page_describes(self, world: World) -> None:
        self.open_secret_ballots(world)
        numbers = ("3fd0000000000000", "bff8000000000000", "7ff8000000000000", "0" * 16)
        scores = "".join((*numbers, "7ff0000000000000", "8000000000000000"))
        preimage = b"".join(
            (
                world.view("cy").domain.separator,
                world.id.to_bytes(8, "big"),
                (0).to_bytes(4, "big"),
                address_bytes(world.account("cy")),
                _DIGEST,
                (0b10).to_bytes(2, "big"),
                bytes.fromhex(scores),
                salt_of("cy"),
            )
        )
        commitment = hashlib.sha256(preimage).digest()
        world.do("cy", "commit", 0, _DIGEST, commitment)
        world.commit("ana")
        world.commit("bob")
        vote = Vote(0b10, (SCORES, Scores(None, 0.0), Scores(float("inf"), -0.0)))
        assert world.do("cy", "reveal", 0, vote, salt_of("cy")) == (
            VoteCast(world.id, 0, world.account("cy"), vote),
        )
        assert world.approvals() == [0, 1]

    def test_proposers_commit_and_reveal(self, world: World) -> None:
        self.open_secret_ballots(world)
        assert world.duties(*_NAMES) == [Duty.COMMIT] * 3
        world.commit("ana")
        world.commit("cy", (0,))
        receipt = world.send("bob", "commit", 0, _DIGEST, world.commitment("bob"))
        assert receipt.events[1:] == (RevealStarted(world.id, 0, receipt.time + world.window),)
        assert world.round().commitments == 3
        assert world.duties(*_NAMES) == [Duty.REVEAL] * 3
        world.reveal("ana")
        world.reveal("cy", (0,))
        assert world.ballots(*_NAMES) == [
            (BallotState.CAST, 0b10),
            (BallotState.COMMITTED, 0),
            (BallotState.CAST, 0b01),
        ]
        assert world.reveal("bob")[1] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b11, (2, 1), 2)

    def test_commitment_to_other_proposals_is_refused(self, world: World) -> None:
        self.open_secret_ballots(world)
        with world.expect_refusal(WrongProposals(_DIGEST)):
            world.commit("cy", proposals=bytes.fromhex(content_of("of ana").sha256))
        with world.expect_refusal(WrongProposals(_DIGEST)):  # checked before the commitment
            world.do("cy", "commit", 0, bytes(32), bytes(32))

    def test_commitment_is_bound_to_the_digest(self, world: World) -> None:
        self.open_secret_ballots(world)
        self.commit_to(world, "cy", world.make_vote("cy"), _SWAPPED)
        world.commit("ana")
        world.commit("bob")
        with world.expect_refusal(BadReveal(world.account("cy"))):
            world.reveal("cy")

    def test_reveal_is_checked_against_the_commitment_before_its_content(
        self, world: World
    ) -> None:
        self.open_secret_ballots(world)
        for name in _NAMES:
            world.commit(name)
        with world.expect_refusal(BadReveal(world.account("ana"))):
            world.reveal("ana", (0,))  # its own slot
        with world.expect_refusal(BadReveal(world.account("cy"))):
            world.do("cy", "reveal", 0, Vote(0b11, ()), salt_of("cy"))

    def test_committed_approvals_must_be_valid(self, world: World) -> None:
        own = Vote(0b01, (SCORES,) * 3)
        empty = Vote(0b100, ())  # approvals are checked before the scores
        self.check_reveals_are_refused(world, {"ana": own, "cy": empty}, "approvals")

    def test_committed_scores_must_be_complete(self, world: World) -> None:
        short, long = Vote(0b11, (SCORES,) * 2), Vote(0b10, (SCORES,) * 4)
        self.check_reveals_are_refused(world, {"cy": short, "ana": long}, "scores")

    def test_ballot_that_cannot_be_revealed_is_missed(self, world: World) -> None:
        self.open_secret_ballots(world)
        self.commit_to(world, "ana", Vote(0b01, (SCORES,) * 3))
        world.commit("bob")
        world.commit("cy")
        world.reveal("bob")
        world.reveal("cy")
        assert world.round().phase == Phase.REVEALING
        assert world.end_phase()[0] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b11, (2, 1), 2)
        assert world.strikes(*_NAMES) == [1, 0, 0]


class PluralBatches:
    def test_batch_reports_every_reason_to_skip_a_ballot(self, world: World) -> None:
        open_vote(world, "dan", late_join=True)
        world.join("late")
        world.vote("dan")
        forged = replace(world.sign_ballot("dan"), learner=world.account("cy"))
        events = world.submit_ballots(
            forged,
            world.sign_ballot("stranger", (15,)),
            world.sign_ballot("late", (15,)),
            world.sign_ballot("dan", (15,)),
            world.sign_ballot("ana", (0,)),
            world.sign_ballot("bob", (0, 2)),
            world.sign_ballot("ana"),
            world.sign_ballot("cy"),
        )
        assert events == (
            world.skip_event("cy", SkipReason.BAD_SIGNATURE),
            world.skip_event("stranger", SkipReason.NOT_A_LEARNER),
            world.skip_event("late", SkipReason.NOT_ELIGIBLE),
            world.skip_event("dan", SkipReason.ALREADY_VOTED),
            world.skip_event("ana", SkipReason.INVALID_BALLOT),
            world.skip_event("bob", SkipReason.INVALID_BALLOT),
            VoteCast(world.id, 0, world.account("ana"), Vote(0b10, (SCORES,) * 3)),
            VoteCast(world.id, 0, world.account("cy"), Vote(0b11, (SCORES,) * 3)),
        )
        assert world.approvals() == [2, 3]
        assert world.ballot("bob").state == BallotState.NONE

    def test_batch_with_scores_of_the_wrong_length_is_refused(self, world: World) -> None:
        open_vote(world)
        good = world.sign_ballot("cy")
        for length in (0, 1, 2, 4):
            bad = replace(world.sign_ballot("ana"), vote=Vote(0b10, (SCORES,) * length))
            with world.expect_refusal(InvalidParameter("ballots")):
                world.submit_ballots(good, bad)
        world.submit_ballots(good)
        assert world.approvals() == [1, 1]

    def test_batch_for_other_proposals_is_refused(self, world: World) -> None:
        open_vote(world)
        with world.expect_refusal(WrongProposals(_DIGEST)):
            world.submit_ballots(world.sign_ballot("cy"), proposals=bytes(32))
        with world.expect_refusal(WrongProposals(_DIGEST)):  # before an empty batch
            world.submit_ballots(proposals=bytes(32))

    def test_signature_is_bound_to_the_digest(self, world: World) -> None:
        open_vote(world)
        skipped = world.skip_event("cy", SkipReason.BAD_SIGNATURE)
        assert world.submit_ballots(world.sign_ballot("cy", proposals=_SWAPPED)) == (skipped,)

    def test_signature_is_bound_to_approvals_and_scores(self, world: World) -> None:
        open_vote(world)
        good = world.sign_ballot("cy", (0, 1))
        skipped = world.skip_event("cy", SkipReason.BAD_SIGNATURE)
        for vote in (
            replace(good.vote, approvals=0b01),
            replace(good.vote, scores=(SCORES, SCORES, Scores(None, None))),
            replace(good.vote, scores=(Scores(0.0, 0.0), SCORES, SCORES)),
        ):
            assert world.submit_ballots(replace(good, vote=vote)) == (skipped,)
        assert isinstance(world.submit_ballots(good)[0], VoteCast)

    def test_batch_is_counted_whole_before_the_best_is_chosen(self, world: World) -> None:
        open_vote(world, "dan", settle_early=True, approval_bps=3_333)
        ballots = [world.sign_ballot(name) for name in ("ana", "bob", "cy", "dan")]
        events = world.submit_ballots(*ballots)
        assert events[4] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0b11, (3, 3), 3)


class MissedDuties:
    def run_two(self, world: World, **changes: object) -> None:
        """Start an experiment of three learners, of which two propose in each round."""
        world.run(*_NAMES, proposers=2, rounds=9, **changes)

    def miss_round(self, world: World) -> None:
        """Let bob propose in round 0, and everybody miss everything else."""
        self.run_two(world)
        world.propose("bob")
        world.end_phase()
        world.end_phase()

    def missed(self, world: World, name: str) -> tuple[int, int]:
        learner = world.learner(name)
        return learner.missed_proposals, learner.missed_ballots

    def test_missed_proposals_and_ballots_are_counted_separately(self, world: World) -> None:
        self.run_two(world, max_strikes=2)
        world.propose("bob")
        world.end_phase()
        assert self.missed(world, "ana") == (1, 0)
        world.vote("cy")
        world.end_phase()  # ana has not voted on bob's proposal
        assert self.missed(world, "ana") == (1, 1)
        assert world.strikes(*_NAMES) == [1, 0, 0]
        with world.expect_refusal(NotRemovable(1)):
            world.remove("ana")

    def test_learner_is_removable_by_the_larger_count(self, world: World) -> None:
        self.run_two(world, max_strikes=2)
        world.propose_all("ana", "bob")
        world.vote_all("ana", "bob")
        world.end_phase()
        world.propose_all("ana")
        world.end_phase()  # cy has missed its proposal
        world.vote("bob")
        with world.expect_refusal(NotRemovable(1)):
            world.remove("cy")
        world.end_phase()
        assert self.missed(world, "cy") == (1, 2)
        assert world.strikes("cy") == [2]
        assert world.remove("cy")[0] == LearnerRemoved(world.id, world.account("cy"))

    def test_proposal_clears_missed_proposals_only(self, world: World) -> None:
        self.miss_round(world)
        assert [self.missed(world, name) for name in _NAMES] == [(1, 1), (0, 0), (0, 1)]
        assert world.proposers() == ["cy", "ana"]
        world.propose("ana")
        assert self.missed(world, "ana") == (0, 1)
        world.decline("cy")
        assert self.missed(world, "cy") == (0, 1)

    def test_ballot_clears_missed_ballots_only(self, world: World) -> None:
        self.miss_round(world)
        world.propose("cy")
        world.decline("ana")
        assert self.missed(world, "ana") == (1, 1)
        world.vote("ana")
        assert self.missed(world, "ana") == (1, 0)

    def test_absent_proposer_misses_the_ballot_on_other_proposals(self, world: World) -> None:
        open_vote(world)
        world.vote_all("bob", "cy")
        world.end_phase()
        assert [self.missed(world, name) for name in _NAMES] == [(0, 1), (0, 0), (0, 0)]
