"""Ballots that are signed off-chain and submitted by any account."""

from dataclasses import replace

from colearn_ledger.protocol import (
    BallotSkipped,
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
    def skipped(self, world: World, name: str, reason: SkipReason) -> BallotSkipped:
        return BallotSkipped(world.id, world.now_in(), world.account(name), reason)

    def test_any_account_carries_ballots(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan")
        world.propose("ana")
        events = world.carry(world.signed("bob"), world.signed("cy", False), by="stranger")
        assert events == (
            VoteCast(world.id, 0, world.account("bob"), Vote(True, SCORES)),
            VoteCast(world.id, 0, world.account("cy"), Vote(False, SCORES)),
        )
        states = [world.ballot(name).state for name in ("bob", "cy", "dan")]
        assert states == [BallotState.APPROVED, BallotState.REJECTED, BallotState.NONE]

    def test_the_last_ballot_of_a_batch_closes_the_round(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        events = world.carry(world.signed("bob"), world.signed("cy"))
        assert events[2] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 2, 0, 2)

    def test_a_batch_is_counted_whole_before_settling(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan", settle_early=True, approval_bps=1)
        world.propose("ana")
        events = world.carry(*(world.signed(name) for name in ("bob", "cy", "dan")))
        assert events[3] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 3, 0, 3)

    def test_bad_ballots_are_skipped_and_the_others_count(self, world: World) -> None:
        world.run("ana", "bob", "cy", "dan")
        world.propose("ana")
        world.vote("dan")
        forged = replace(world.signed("bob", False), learner=world.account("cy"))
        altered = replace(world.signed("cy"), vote=Vote(False, SCORES))
        events = world.carry(
            forged,
            altered,
            world.signed("stranger"),
            world.signed("ana"),
            world.signed("dan"),
            world.signed("bob"),
        )
        assert events == (
            self.skipped(world, "cy", SkipReason.BAD_SIGNATURE),
            self.skipped(world, "cy", SkipReason.BAD_SIGNATURE),
            self.skipped(world, "stranger", SkipReason.NOT_A_LEARNER),
            self.skipped(world, "ana", SkipReason.NOT_ELIGIBLE),
            self.skipped(world, "dan", SkipReason.ALREADY_VOTED),
            VoteCast(world.id, 0, world.account("bob"), Vote(True, SCORES)),
        )

    def test_a_ballot_twice_in_a_batch_counts_once(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        events = world.carry(world.signed("bob", True), world.signed("bob", False))
        assert events[1] == self.skipped(world, "bob", SkipReason.ALREADY_VOTED)
        assert world.round().approvals == 1

    def test_a_batch_of_bad_ballots_only_changes_nothing_but_is_reported(
        self, world: World
    ) -> None:
        world.run("ana", "bob")
        world.propose("ana")
        before = world.round()
        bad = replace(world.signed("bob"), vote=Vote(False))
        assert world.carry(bad) == (self.skipped(world, "bob", SkipReason.BAD_SIGNATURE),)
        assert world.round() == before

    def test_malleable_and_broken_signatures_are_bad(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        good = world.signed("bob")
        signatures = [
            malleable_twin(good.signature),
            other_tag(good.signature),
            bytes(len(good.signature)),
            b"",
            good.signature + b"\0",
        ]
        broken = [replace(good, signature=signature) for signature in signatures]
        skipped = self.skipped(world, "bob", SkipReason.BAD_SIGNATURE)
        assert world.carry(*broken) == (skipped,) * len(broken)
        assert world.ballot("bob").state == BallotState.NONE

    def test_a_ballot_is_bound_to_its_round(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        early = world.signed("cy", at=1)
        world.propose("ana")
        assert world.carry(early) == (self.skipped(world, "cy", SkipReason.BAD_SIGNATURE),)

    def test_a_ballot_is_bound_to_its_experiment(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        elsewhere = world.signed("bob")
        world.run("ana", "bob", "cy")
        world.propose("ana")
        assert world.carry(elsewhere) == (self.skipped(world, "bob", SkipReason.BAD_SIGNATURE),)

    def test_a_batch_needs_ballots_a_round_and_its_phase(self, world: World) -> None:
        world.run("ana", "bob")
        with world.refused(WrongPhase(Phase.PROPOSING)):
            world.carry(world.signed("bob"))
        world.propose("ana")
        with world.refused(InvalidParameter("ballots")):
            world.carry()
        with world.refused(WrongRound(0)):
            world.carry(world.signed("bob"), at=1)

    def test_one_who_left_still_votes_by_signature(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.leave("bob")
        assert isinstance(world.carry(world.signed("bob"))[0], VoteCast)
