"""Rounds with several proposers: slots, proposals and their digest."""

from colearn_ledger.protocol import (
    Duty,
    NotProposer,
    Outcome,
    Phase,
    ProposalDeclined,
    RoundClosed,
    RoundStarted,
    SlotState,
    Unchanged,
    VotingStarted,
    WeightsProposed,
    WrongPhase,
)
from tests.support.samples import SCORES, content_of, digest_of
from tests.support.world import World

_OPEN, _PROPOSED, _DECLINED, _MISSED = SlotState


class PluralRounds:
    def run_plural(self, world: World, **changes: object) -> None:
        """Start an experiment of five in which ana, bob and cy propose first."""
        world.run("ana", "bob", "cy", "dan", "eve", **{"proposers": 3, "rounds": 9, **changes})

    def states(self, world: World, index: int | None = None) -> list[SlotState]:
        return [slot.state for slot in world.round(index).slots]

    def test_round_selects_a_proposer_for_each_slot(self, world: World) -> None:
        world.enrol("ana", "bob", "cy", "dan", "eve", proposers=3)
        receipt = world.send("creator", "start")
        accounts = tuple(world.account(name) for name in ("ana", "bob", "cy"))
        deadline = receipt.time + world.window
        assert receipt.events[1] == RoundStarted(world.id, 0, accounts, 4, 2, deadline)
        round_ = world.round()
        assert tuple(slot.proposer for slot in round_.slots) == accounts
        assert (round_.eligible, round_.needed) == (4, 2)
        assert self.states(world) == [_OPEN] * 3

    def test_last_proposal_opens_the_vote(self, world: World) -> None:
        self.run_plural(world)
        cy = content_of("of cy")
        assert world.propose("cy", "of cy") == (
            WeightsProposed(world.id, 0, world.account("cy"), 2, cy, SCORES),
        )
        assert world.round().phase == Phase.PROPOSING
        world.propose("ana", "of ana")
        receipt = world.send("bob", "propose", 0, content_of("of bob"), SCORES)
        digest = digest_of({0: "of ana", 1: "of bob", 2: "of cy"})
        assert receipt.events == (
            WeightsProposed(world.id, 0, world.account("bob"), 1, content_of("of bob"), SCORES),
            VotingStarted(world.id, 0, digest, receipt.time + world.window),
        )
        round_ = world.round()
        assert (round_.phase, round_.proposals, round_.voting_started_at, round_.deadline) == (
            Phase.VOTING,
            digest,
            receipt.time,
            receipt.time + world.window,
        )
        assert [slot.content for slot in round_.slots] == [
            content_of(f"of {name}") for name in ("ana", "bob", "cy")
        ]
        assert round_.slots[1].proposed_at == receipt.time

    def test_declined_slot_is_left_out_of_the_digest(self, world: World) -> None:
        self.run_plural(world)
        assert world.decline("bob") == (ProposalDeclined(world.id, 0, world.account("bob"), 1),)
        world.propose("ana", "of ana")
        world.propose("cy", "of cy")
        assert self.states(world) == [_PROPOSED, _DECLINED, _PROPOSED]
        assert world.round().proposals == digest_of({0: "of ana", 2: "of cy"})

    def test_declining_the_last_open_slot_opens_the_vote(self, world: World) -> None:
        self.run_plural(world)
        world.propose("ana", "of ana")
        world.propose("cy", "of cy")
        kinds = [type(event) for event in world.decline("bob")]
        assert kinds == [ProposalDeclined, VotingStarted]

    def test_slot_that_is_open_at_the_deadline_is_missed(self, world: World) -> None:
        self.run_plural(world)
        world.propose("ana", "of ana")
        world.propose("bob", "of bob")
        world.pass_deadline()
        receipt = world.send("stranger", "advance")
        digest = digest_of({0: "of ana", 1: "of bob"})
        assert receipt.events == (VotingStarted(world.id, 0, digest, receipt.time + world.window),)
        assert self.states(world) == [_PROPOSED, _PROPOSED, _MISSED]
        assert world.strikes("ana", "bob", "cy") == [0, 0, 1]

    def test_digest_of_one_proposal_is_the_hash_of_its_file(self, world: World) -> None:
        self.run_plural(world)
        world.propose("bob", "of bob")
        world.decline("ana")
        world.decline("cy")
        assert world.round().proposals == bytes.fromhex(content_of("of bob").sha256)

    def test_round_in_which_all_decline_has_no_proposal(self, world: World) -> None:
        self.run_plural(world)
        world.decline("ana")
        world.decline("cy")
        events = world.decline("bob")
        assert events[1] == RoundClosed(world.id, 0, Outcome.NO_PROPOSAL, 0, (0, 0, 0), 4)
        assert not world.round(0).by_deadline

    def test_round_in_which_all_decline_or_miss_has_no_proposal(self, world: World) -> None:
        self.run_plural(world)
        world.decline("bob")
        events = world.end_phase()
        assert events[0] == RoundClosed(world.id, 0, Outcome.NO_PROPOSAL, 0, (0, 0, 0), 4)
        assert world.round(0).by_deadline
        assert self.states(world, 0) == [_MISSED, _DECLINED, _MISSED]
        assert world.strikes("ana", "bob", "cy", "dan") == [1, 0, 1, 0]

    def test_slot_is_used_once(self, world: World) -> None:
        self.run_plural(world)
        world.propose("ana")
        world.decline("bob")
        for name in ("ana", "bob", "dan", "stranger"):
            with world.expect_refusal(NotProposer(world.account(name))):
                world.propose(name)
            with world.expect_refusal(NotProposer(world.account(name))):
                world.decline(name)

    def test_missed_slot_cannot_be_used_later(self, world: World) -> None:
        self.run_plural(world)
        world.propose("ana")
        world.end_phase()
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.propose("bob")
        with world.expect_refusal(WrongPhase(Phase.VOTING)):
            world.decline("bob")

    def test_equal_proposals_are_allowed(self, world: World) -> None:
        self.run_plural(world, proposers=2)
        world.propose("ana", "the same")
        world.propose("bob", "the same")
        assert world.round().proposals == digest_of({0: "the same", 1: "the same"})

    def test_current_file_is_refused_only_if_it_is_the_only_one(self, world: World) -> None:
        self.run_plural(world, proposers=2)
        with world.expect_refusal(Unchanged()):
            world.propose("ana", "initial")
        world.propose("ana", "of ana")
        world.propose("bob", "of bob")
        world.vote_all("ana", "bob", "cy", "dan", "eve")
        assert world.current_weights() == [content_of("of ana"), content_of("of bob")]
        world.propose("cy", "of ana")
        assert self.states(world) == [_PROPOSED, _OPEN]

    def test_duties_of_several_proposers(self, world: World) -> None:
        self.run_plural(world)
        propose, wait = Duty.PROPOSE, Duty.WAIT
        names = ("ana", "bob", "cy", "dan")
        assert world.duties(*names) == [propose, propose, propose, wait]
        world.propose_all("bob")
        world.decline("ana")
        assert world.duties(*names) == [wait, wait, propose, wait]
        world.propose_all("cy")
        assert world.duties(*names) == [Duty.VOTE] * 4
        world.vote("cy")
        assert world.duties(*names) == [Duty.VOTE, Duty.VOTE, wait, Duty.VOTE]

    def test_sixteen_slots_with_eighteen_learners(self, world: World) -> None:
        names = [f"learner {number}" for number in range(18)]
        world.run(*names, proposers=16, max_learners=19, rounds=1)
        assert world.proposers() == names[:16]
        for number, name in enumerate(names[:16]):
            world.propose(name, f"weights {number}")
        assert world.round().proposals == digest_of({i: f"weights {i}" for i in range(16)})
        world.vote("learner 15")  # all but bit 15
        assert world.ballot("learner 15").approvals == 0x7FFF
        world.vote("learner 17", (0, 15))
        rest = [name for name in names if name not in ("learner 15", "learner 17")]
        events = world.submit_ballots(*(world.sign_ballot(name) for name in rest))
        approvals = (17, *[16] * 14, 17)  # by everyone but its proposer, and twice one more
        assert events[16] == RoundClosed(world.id, 0, Outcome.ACCEPTED, 0xFFFF, approvals, 17)
        assert world.approvals(0) == list(approvals)
        assert world.current_weights() == [content_of(f"weights {i}") for i in range(16)]
