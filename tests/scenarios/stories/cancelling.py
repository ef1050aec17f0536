"""Experiments that end early: by their creator, or because nothing is accepted any more."""

from colearn_ledger.protocol import (
    CancelRequested,
    Duty,
    ExperimentCancelled,
    ExperimentCompleted,
    NotCreator,
    Outcome,
    Phase,
    RoundClosed,
    SlotState,
    Status,
    VoteCast,
    WrongStatus,
)
from tests.support.samples import content_of
from tests.support.world import World


class Cancelling:
    def test_creator_can_cancel_while_enrolling(self, world: World) -> None:
        world.enrol("ana", "bob")
        assert world.cancel() == (ExperimentCancelled(world.id),)
        e = world.experiment()
        assert (e.status, e.round, e.started_at) == (Status.CANCELLED, None, None)
        assert e.ended_at is not None
        assert not e.cancel_requested

    def test_cancelling_abandons_a_round_without_all_proposals(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2)
        world.propose("bob", "weights")
        receipt = world.send("creator", "cancel")
        assert receipt.events == (
            RoundClosed(world.id, 0, Outcome.ABANDONED, 0, (0, 0), 2),
            ExperimentCancelled(world.id),
        )
        closed = world.round(0)
        assert (closed.phase, closed.outcome, closed.proposals) == (
            Phase.CLOSED,
            Outcome.ABANDONED,
            None,
        )
        assert (closed.closed_at, closed.by_deadline) == (receipt.time, False)
        assert [slot.state for slot in closed.slots] == [SlotState.OPEN, SlotState.PROPOSED]
        assert world.experiment().current_round is None
        assert world.strikes("ana", "bob", "cy") == [0, 0, 0]

    def test_cancelling_during_a_vote_waits_for_its_outcome(self, world: World) -> None:
        world.run("ana", "bob", "cy", rounds=9)
        world.propose("ana", "weights")
        world.vote("bob")
        before = world.round()
        assert world.cancel() == (CancelRequested(world.id),)
        e = world.experiment()
        assert (e.status, e.cancel_requested, e.ended_at) == (Status.RUNNING, True, None)
        assert world.round() == before
        assert world.duty("cy") == Duty.VOTE
        receipt = world.send("cy", "vote", 0, before.proposals, world.make_vote("cy"))
        assert receipt.events[1:] == (
            RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (2,), 2),
            ExperimentCancelled(world.id),
        )
        e = world.experiment()
        assert (e.status, e.current_round, e.ended_at) == (Status.CANCELLED, 0, receipt.time)
        assert world.current_weights() == [content_of("weights")]

    def test_cancelling_does_not_spare_absent_voters(self, world: World) -> None:
        world.run("ana", "bob", "cy", rounds=9)
        world.propose("ana")
        world.cancel()
        assert world.end_phase() == (
            RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0,), 2),
            ExperimentCancelled(world.id),
        )
        assert world.strikes("bob", "cy") == [1, 1]

    def test_cancelling_a_secret_vote_waits_for_the_revealed_ballots(self, world: World) -> None:
        world.run("ana", "bob", "cy", rounds=9, reveal_window=world.window)
        world.propose("ana")
        world.commit("bob")
        world.commit("cy")
        assert world.round().phase == Phase.REVEALING
        assert world.cancel() == (CancelRequested(world.id),)
        world.reveal("bob")
        assert world.reveal("cy")[1:] == (
            RoundClosed(world.id, 0, Outcome.ACCEPTED, 1, (2,), 2),
            ExperimentCancelled(world.id),
        )

    def test_second_cancel_is_refused_by_the_status(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.cancel()
        for name in ("creator", "stranger"):
            with world.expect_refusal(WrongStatus(Status.RUNNING)):
                world.cancel(by=name)

    def test_last_round_completes_despite_a_requested_cancel(self, world: World) -> None:
        world.run("ana", "bob", rounds=1)
        world.propose("ana")
        world.cancel()
        assert world.vote("bob")[-1] == ExperimentCompleted(world.id)
        e = world.experiment()
        assert (e.status, e.cancel_requested) == (Status.COMPLETED, True)

    def test_learners_may_join_and_leave_after_a_requested_cancel(self, world: World) -> None:
        world.run("ana", "bob", "cy", late_join=True)
        world.propose("ana")
        world.cancel()
        world.join("late")
        world.leave("bob")
        assert world.experiment().active_learners == 3
        assert isinstance(world.vote("bob")[0], VoteCast)
        assert world.vote("cy")[-1] == ExperimentCancelled(world.id)

    def test_only_the_creator_cancels(self, world: World) -> None:
        world.run("ana", "bob")
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.cancel(by="ana")
        world.propose("ana")
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.cancel(by="ana")

    def test_every_call_is_refused_after_the_end(self, world: World) -> None:
        world.run("ana", "bob", rounds=1)
        world.decline("ana")
        over = WrongStatus(Status.COMPLETED)
        calls = [
            lambda: world.admit("cy"),
            lambda: world.join("cy"),
            lambda: world.set_key("ana", bytes(32)),
            lambda: world.leave("ana"),
            lambda: world.remove("ana"),
            world.start,
            world.cancel,
            lambda: world.propose("ana"),
            lambda: world.decline("ana"),
            lambda: world.vote("bob"),
            lambda: world.commit("bob"),
            lambda: world.reveal("bob"),
            lambda: world.submit_ballots(world.sign_ballot("bob")),
            world.advance,
        ]
        for call in calls:
            with world.expect_refusal(over):
                call()


class Patience:
    def test_experiment_completes_after_enough_rounds_without_acceptance(
        self, world: World
    ) -> None:
        world.run("ana", "bob", rounds=9, patience=2)
        world.propose("ana")
        world.vote("bob", False)
        receipt = world.send("bob", "decline", 1)
        assert receipt.events[-2:] == (
            RoundClosed(world.id, 1, Outcome.NO_PROPOSAL, 0, (0,), 1),
            ExperimentCompleted(world.id),
        )
        e = world.experiment()
        assert (e.status, e.ended_at, e.round) == (Status.COMPLETED, receipt.time, 1)

    def test_missed_rounds_use_up_the_patience(self, world: World) -> None:
        world.run("ana", "bob", rounds=9, patience=2)
        for _ in range(2):
            assert world.experiment().status == Status.RUNNING
            events = world.end_phase()
        assert events[-1] == ExperimentCompleted(world.id)

    def test_acceptance_restores_the_patience(self, world: World) -> None:
        world.run("ana", "bob", rounds=9, patience=2)
        world.decline("ana")
        world.propose("bob")
        world.vote("ana")
        world.decline("ana")
        assert world.experiment().status == Status.RUNNING
        world.decline("bob")
        assert world.experiment().status == Status.COMPLETED

    def test_patience_of_zero_never_ends(self, world: World) -> None:
        world.run("ana", "bob", rounds=9, patience=0)
        for _ in range(3):
            world.decline("ana")
            world.decline("bob")
        assert world.experiment().status == Status.RUNNING

    def test_patience_may_end_in_the_last_round(self, world: World) -> None:
        world.run("ana", "bob", rounds=2, patience=2)
        world.decline("ana")
        events = world.decline("bob")
        assert events[2:] == (ExperimentCompleted(world.id),)

    def test_requested_cancel_comes_before_the_patience(self, world: World) -> None:
        world.run("ana", "bob", rounds=9, patience=1)
        world.propose("ana")
        world.cancel()
        assert world.vote("bob", False)[-1] == ExperimentCancelled(world.id)

    def test_patience_comes_before_the_number_of_learners(self, world: World) -> None:
        world.run("ana", "bob", rounds=9, patience=1)
        assert world.leave("ana")[-1] == ExperimentCompleted(world.id)
