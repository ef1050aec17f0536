"""Ballots that are signed off-chain and submitted by any account."""

from dataclasses import replace

from colearn_ledger.protocol import (
    BallotState,
    InvalidParameter,
    Outcome,
    Phase,
    RoundClosed,
    SkipReason,
    Vote,
    VoteCast,
    WrongPhase,
    WrongRound,
)
from tests.support.samples import SCORES
from tests.support.world import World

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def malleable_twin(signature: bytes) -> bytes:
    """Return the other valid signature of the same key on the curve, in either format."""
    if len(signature) == 65:
        s = _ORDER - int.from_bytes(signature[32:64], "big")
        return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    s = _ORDER - int.from_bytes(signature[65:], "big")
    return signature[:65] + s.to_bytes(32, "big")


def other_tag(signature: bytes) -> bytes:
    """Return a signature whose recovery id, or whose public key, is encoded differently."""
    if len(signature) == 65:
        return signature[:64] + bytes([signature[64] - 27])
    return bytes([5 - signature[0]]) + signature[1:]


class SignedVotes:
    def test_any_account_can_submit_signed_ballots(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan")
        world.propose("ana")
        events = world.submit_ballots(
            world.sign_ballot("bob"), world.sign_ballot("cy", False), by="stranger"
        )
        assert events == (
            VoteCast(world.id, 0, world.account("bob"), Vote(0b1, (SCORES,) * 2)),
            VoteCast(world.id, 0, world.account("cy"), Vote(0b0, (SCORES,) * 2)),
        )
        assert world.ballots("bob", "cy", "dan") == [
            (BallotState.CAST, 1),
            (BallotState.CAST, 0),
            (BallotState.NONE, 0),
        ]

    def test_last_ballot_of_a_batch_closes_the_round(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        events = world.submit_ballots(world.sign_ballot("bob"), world.sign_ballot("cy"))
        assert events[2] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (2,), 2)

    def test_whole_batch_is_counted_before_the_round_closes(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", settle_early=True, approval_bps=1)
        world.propose("ana")
        events = world.submit_ballots(*(world.sign_ballot(name) for name in ("bob", "cy", "dan")))
        assert events[3] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (3,), 3)

    def test_bad_ballots_are_skipped_and_the_others_count(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan")
        world.propose("ana")
        world.vote("dan")
        forged = replace(world.sign_ballot("bob", False), learner=world.account("cy"))
        altered = replace(world.sign_ballot("cy"), vote=world.make_vote("cy", approve=False))
        events = world.submit_ballots(
            forged,
            altered,
            world.sign_ballot("stranger"),
            world.sign_ballot("ana"),
            world.sign_ballot("dan"),
            world.sign_ballot("bob"),
        )
        assert events == (
            world.skip_event("cy", SkipReason.BAD_SIGNATURE),
            world.skip_event("cy", SkipReason.BAD_SIGNATURE),
            world.skip_event("stranger", SkipReason.NOT_A_LEARNER),
            world.skip_event("ana", SkipReason.NOT_ELIGIBLE),
            world.skip_event("dan", SkipReason.ALREADY_VOTED),
            VoteCast(world.id, 0, world.account("bob"), world.make_vote("bob")),
        )

    def test_second_ballot_of_a_voter_in_a_batch_is_skipped(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        events = world.submit_ballots(
            world.sign_ballot("bob", True), world.sign_ballot("bob", False)
        )
        assert events[1] == world.skip_event("bob", SkipReason.ALREADY_VOTED)
        assert world.approvals() == [1]

    def test_batch_of_only_bad_ballots_changes_nothing_but_is_reported(self, world: World) -> None:
        world.run("ana", "bob")
        world.propose("ana")
        before = world.round()
        bad = replace(world.sign_ballot("bob"), vote=world.make_vote("bob", approve=False))
        assert world.submit_ballots(bad) == (world.skip_event("bob", SkipReason.BAD_SIGNATURE),)
        assert world.round() == before

    def test_malleable_and_malformed_signatures_are_skipped(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        good = world.sign_ballot("bob")
        signatures = [
            malleable_twin(good.signature),
            other_tag(good.signature),
            bytes(len(good.signature)),
            b"",
            good.signature + b"\0",
        ]
        broken = [replace(good, signature=signature) for signature in signatures]
        skipped = world.skip_event("bob", SkipReason.BAD_SIGNATURE)
        assert world.submit_ballots(*broken) == (skipped,) * len(broken)
        assert world.ballot("bob").state == BallotState.NONE

    def test_ballot_is_bound_to_its_round(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        early = world.sign_ballot("cy", at=1)
        assert world.submit_ballots(early) == (world.skip_event("cy", SkipReason.BAD_SIGNATURE),)

    def test_ballot_is_bound_to_its_experiment(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana", "weights")
        elsewhere = world.sign_ballot("bob")
        world.run("ana", "bob", "cy")
        world.propose("ana", "weights")
        assert world.submit_ballots(elsewhere) == (
            world.skip_event("bob", SkipReason.BAD_SIGNATURE),
        )

    def test_batch_is_refused_if_empty_or_for_another_round_or_phase(self, world: World) -> None:
        world.run("ana", "bob")
        with world.expect_refusal(WrongPhase(Phase.PROPOSING)):
            world.submit_ballots(world.sign_ballot("bob"))
        world.propose("ana")
        with world.expect_refusal(InvalidParameter("ballots")):
            world.submit_ballots()
        with world.expect_refusal(WrongRound(0)):
            world.submit_ballots(world.sign_ballot("bob"), at=1, proposals=bytes(32))

    def test_learner_that_left_may_still_vote_by_signature(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.leave("bob")
        assert isinstance(world.submit_ballots(world.sign_ballot("bob"))[0], VoteCast)
