"""Queries, events, duties, and the order of errors."""

import pytest

from colearn_ledger.calls import BALLOTS
from colearn_ledger.protocol import (
    BallotState,
    DeadlinePassed,
    Duty,
    ExperimentCreated,
    ExperimentId,
    LearnerJoined,
    NotALearner,
    NotCreator,
    NotEligible,
    NotProposer,
    Outcome,
    RoundClosed,
    SignedBallot,
    SlotState,
    Status,
    UnknownExperiment,
    Vote,
    WrongPhase,
    WrongRound,
    WrongStatus,
)
from tests.support.samples import SCORES, content_of, params
from tests.support.world import World

_NOT_STARTED = 4_294_967_295


class Queries:
    def test_past_rounds_and_ballots_can_be_queried(self, world: World) -> None:
        world.run("ana", "bob", "cy", rounds=3)
        world.propose("ana", "w0")
        world.vote("bob")
        world.vote("cy", False)
        world.decline("bob")
        world.end_phase()

        rows = world.view("ana").rounds(world.id)
        slots = [r.slots[0] for r in rows]
        assert [(r.index, r.outcome, r.ballots) for r in rows] == [
            (0, Outcome.ACCEPTED, 2),
            (1, Outcome.NO_PROPOSAL, 0),
            (2, Outcome.NO_PROPOSAL, 0),
        ]
        assert [(s.state, s.content, s.approvals, s.accepted) for s in slots] == [
            (SlotState.PROPOSED, content_of("w0"), 1, True),
            (SlotState.DECLINED, None, 0, False),
            (SlotState.MISSED, None, 0, False),
        ]
        assert [r.by_deadline for r in rows] == [False, False, True]
        assert [row == world.round(row.index) for row in rows] == [True] * 3
        ballots = world.view("ana").ballots(world.id, 0)
        assert [(b.learner, b.eligible, b.state, b.approvals) for b in ballots] == [
            (world.account("ana"), False, BallotState.NONE, 0),
            (world.account("bob"), True, BallotState.CAST, 1),
            (world.account("cy"), True, BallotState.CAST, 0),
        ]
        assert ballots[1] == world.ballot("bob", 0)

    def test_lists_are_paged(self, world: World) -> None:
        names = [f"learner {i}" for i in range(5)]
        world.run(*names, rounds=3)
        view = world.view("ana")
        world.decline(names[0])
        rows = view.learners(world.id)
        assert [r.index for r in rows] == [0, 1, 2, 3, 4]
        assert view.learners(world.id, 1, 2) == rows[1:3]
        assert view.learners(world.id, 4, 100) == rows[4:]
        assert view.learners(world.id, 5, 1) == view.learners(world.id, 0, 0) == []
        assert [b.learner for b in view.ballots(world.id, 0, 2, 2)] == [
            rows[2].account,
            rows[3].account,
        ]
        assert view.ballots(world.id, 0, 99, 10) == []
        assert view.ask_all(BALLOTS, [(world.id, index, 2, 2) for index in (1, 0)]) == [
            view.ballots(world.id, index, 2, 2) for index in (1, 0)
        ]
        assert view.ask_all(BALLOTS, []) == []
        assert [r.index for r in view.rounds(world.id, 1, 10)] == [1]
        assert view.rounds(world.id, 2, 10) == []

    def test_experiments_are_listed_in_order(self, world: World) -> None:
        assert world.view("ana").experiments() == []
        ids = [world.create() for _ in range(3)]
        view = world.view("ana")
        assert [e.id for e in view.experiments()] == ids
        assert [e.id for e in view.experiments(1, 1)] == [2]
        assert view.experiments(3, 5) == []
        assert view.experiments(0, 10**6)[0] == view.experiment(ids[0])

    def test_query_of_a_future_round_is_refused(self, world: World) -> None:
        world.enrol("ana", "bob")
        view = world.view("ana")
        assert view.rounds(world.id) == []
        for query in (
            lambda i: view.round(world.id, i),
            lambda i: view.ballots(world.id, i),
            lambda i: view.ballot(world.id, i, world.account("ana")),
        ):
            with world.expect_refusal(WrongRound(_NOT_STARTED)):
                query(0)
        world.start()
        for query in (
            lambda i: view.round(world.id, i),
            lambda i: view.ballots(world.id, i),
            lambda i: view.ballot(world.id, i, world.account("ana")),
        ):
            with world.expect_refusal(WrongRound(0)):
                query(1)

    def test_account_that_never_joined_is_not_a_learner(self, world: World) -> None:
        world.run("ana", "bob")
        stranger = world.account("stranger")
        with world.expect_refusal(NotALearner(stranger)):
            world.learner("stranger")
        with world.expect_refusal(NotALearner(stranger)):
            world.ballot("stranger")

    def test_every_call_and_query_refuses_an_unknown_experiment(self, world: World) -> None:
        world.enrol("ana", "bob")
        view, ana, vote = world.view("ana"), world.account("ana"), Vote(1, (SCORES, SCORES))
        word, ballot = bytes(31) + b"w", SignedBallot(ana, vote, bytes(65))
        for unknown in (ExperimentId(0), ExperimentId(2)):
            calls = [
                lambda u: view.admit(u, [ana]).wait(),
                lambda u: view.join(u, word).wait(),
                lambda u: view.set_encryption_key(u, word).wait(),
                lambda u: view.leave(u).wait(),
                lambda u: view.remove(u, ana).wait(),
                lambda u: view.start(u).wait(),
                lambda u: view.cancel(u).wait(),
                lambda u: view.propose(u, 0, content_of("w"), SCORES).wait(),
                lambda u: view.decline(u, 0).wait(),
                lambda u: view.vote(u, 0, word, vote).wait(),
                lambda u: view.commit(u, 0, word, word).wait(),
                lambda u: view.reveal(u, 0, vote, bytes(32)).wait(),
                lambda u: view.vote_signed(u, 0, word, [ballot]).wait(),
                lambda u: view.advance(u).wait(),
                lambda u: view.announce(u, "topic", content_of("w")).wait(),
                view.experiment,
                lambda u: view.learner(u, ana),
                view.learners,
                lambda u: view.round(u, 0),
                view.rounds,
                lambda u: view.ballot(u, 0, ana),
                lambda u: view.ballots(u, 0),
                view.current_weights,
                lambda u: view.duty(u, ana),
                lambda u: view.agenda(u, ana),
                view.events,
            ]
            for call in calls:
                with pytest.raises(UnknownExperiment) as refusal:
                    call(unknown)
                assert refusal.value.args == (unknown,)

    def test_experiments_do_not_affect_each_other(self, world: World) -> None:
        world.run("ana", "bob")
        first, before = world.id, world.experiment()
        world.run("ana", "bob", rounds=1)
        world.decline("ana")
        assert world.experiment().status == Status.COMPLETED
        assert world.view("ana").experiment(first) == before


class Events:
    def test_recorded_events_are_complete_and_in_order(self, world: World) -> None:
        sent = []
        sent += world.view("creator").create(params()).wait().events
        world.id = sent[0].experiment
        sent += world.join("ana")
        sent += world.join("bob")
        sent += world.start()
        sent += world.propose("ana")
        sent += world.vote("bob")
        recorded = world.view("ana").events(world.id)
        assert [r.event for r in recorded] == sent
        cursors = [r.cursor for r in recorded]
        assert cursors == sorted(set(cursors))

    def test_events_carry_their_transaction_and_time(self, world: World) -> None:
        world.create()
        receipt = world.send("ana", "join", world.experiment().hash)
        recorded = world.view("bob").events(world.id)[-1]
        assert recorded.event == LearnerJoined(world.id, world.account("ana"), 0, bytes(32))
        assert (recorded.transaction, recorded.time) == (receipt.transaction, receipt.time)
        assert receipt.events == (recorded.event,)

    def test_events_after_a_cursor_can_be_read(self, world: World) -> None:
        world.run("ana", "bob")
        view = world.view("ana")
        every = view.events(world.id)
        first = view.events(world.id, limit=2)
        assert first == every[:2]
        rest = view.events(world.id, after=first[-1].cursor)
        assert rest == every[2:]
        assert view.events(world.id, after=every[-1].cursor) == []

    def test_events_of_other_experiments_are_left_out(self, world: World) -> None:
        one = world.create()
        world.join("ana")
        two = world.create()
        world.join("bob")
        kinds = [type(r.event) for r in world.view("ana").events(two)]
        assert kinds == [ExperimentCreated, LearnerJoined]
        assert {r.event.experiment for r in world.view("ana").events(one)} == {one}

    def test_refused_call_emits_no_event(self, world: World) -> None:
        world.run("ana", "bob")
        before = world.view("ana").events(world.id)
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.cancel(by="ana")
        assert world.view("ana").events(world.id) == before


class Duties:
    def test_duty_is_to_wait_until_the_start(self, world: World) -> None:
        world.enrol("ana", "bob")
        world.leave("bob")
        assert world.duties("ana", "bob", "stranger") == [Duty.WAIT] * 3

    def test_duties_with_open_ballots(self, world: World) -> None:
        world.run("ana", "bob", "cy", late_join=True, rounds=1)
        world.join("late")
        names = ("ana", "bob", "cy", "late", "stranger")
        wait = Duty.WAIT
        assert world.duties(*names) == [Duty.PROPOSE, wait, wait, wait, wait]
        world.propose("ana")
        assert world.duties(*names) == [wait, Duty.VOTE, Duty.VOTE, wait, wait]
        world.vote("bob")
        assert world.duties(*names) == [wait, wait, Duty.VOTE, wait, wait]
        world.vote("cy")
        assert world.duties(*names) == [Duty.DONE] * 5

    def test_duties_with_secret_ballots(self, world: World) -> None:
        world.run("ana", "bob", "cy", reveal_window=world.window)
        world.propose("ana")
        names, wait = ("ana", "bob", "cy"), Duty.WAIT
        assert world.duties(*names) == [wait, Duty.COMMIT, Duty.COMMIT]
        world.commit("bob")
        assert world.duties(*names) == [wait, wait, Duty.COMMIT]
        world.commit("cy")
        assert world.duties(*names) == [wait, Duty.REVEAL, Duty.REVEAL]
        world.reveal("bob")
        assert world.duties(*names) == [wait, wait, Duty.REVEAL]

    def test_learner_without_a_commitment_has_no_reveal_duty(self, world: World) -> None:
        world.run("ana", "bob", "cy", reveal_window=world.window)
        world.propose("ana")
        world.commit("bob")
        world.end_phase()
        assert world.duties("bob", "cy") == [Duty.REVEAL, Duty.WAIT]

    def test_duty_after_a_deadline_is_to_advance(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.pass_deadline()
        assert world.duties("ana", "bob", "stranger") == [Duty.ADVANCE, Duty.ADVANCE, Duty.WAIT]
        world.advance("ana")
        world.propose("bob")
        world.vote("ana")
        world.pass_deadline()
        assert world.duties("ana", "bob", "cy") == [Duty.ADVANCE] * 3

    def test_duty_is_done_after_leaving(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.propose("ana")
        world.leave("bob")
        assert world.duty("bob") == Duty.DONE
        world.pass_deadline()
        assert world.duty("bob") == Duty.DONE

    def test_duty_is_done_after_cancelling(self, world: World) -> None:
        world.enrol("ana", "bob")
        world.cancel()
        assert world.duties("ana", "stranger") == [Duty.DONE, Duty.DONE]


class OrderOfErrors:
    """Stories in which several checks fail at once, since each check hides the later ones."""

    def test_status_is_checked_before_the_round(self, world: World) -> None:
        world.enrol("ana", "bob")
        for call in (world.propose, world.decline, world.vote, world.commit, world.reveal):
            with world.expect_refusal(WrongStatus(Status.ENROLLING)):
                call("stranger", at=5)
        with world.expect_refusal(WrongStatus(Status.ENROLLING)):
            world.submit_ballots(at=5)
        with world.expect_refusal(WrongStatus(Status.ENROLLING)):
            world.advance()
        with world.expect_refusal(WrongStatus(Status.ENROLLING)):
            world.remove("stranger")

    def test_round_then_phase_are_checked_before_deadline_and_caller(self, world: World) -> None:
        world.run("ana", "bob")
        phase = world.round().phase
        world.pass_deadline()
        with world.expect_refusal(WrongRound(0)):
            world.vote("stranger", at=1)
        with world.expect_refusal(WrongPhase(phase)):
            world.vote("stranger")
        with world.expect_refusal(WrongPhase(phase)):
            world.reveal("stranger")

    def test_deadline_is_checked_before_caller_and_content(self, world: World) -> None:
        world.run("ana", "bob")
        deadline = world.pass_deadline()
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.propose("stranger", "initial")
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.decline("stranger")

    def test_deadline_is_checked_before_an_empty_batch(self, world: World) -> None:
        world.run("ana", "bob")
        world.propose("ana")
        deadline = world.pass_deadline()
        with world.expect_refusal(DeadlinePassed(deadline)):
            world.submit_ballots()

    def test_caller_is_checked_before_content(self, world: World) -> None:
        world.run("ana", "bob", reveal_window=world.window)
        with world.expect_refusal(NotProposer(world.account("bob"))):
            world.propose("bob", "initial")
        world.propose("ana")
        with world.expect_refusal(NotEligible(world.account("ana"))):
            world.do("ana", "commit", 0, bytes(32), bytes(32))
        with world.expect_refusal(NotALearner(world.account("stranger"))):
            world.do("stranger", "commit", 0, bytes(32), bytes(32))

    def test_status_then_creator_then_content_are_checked(self, world: World) -> None:
        world.enrol("ana")
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.start(by="ana")  # too few have joined as well
        world.cancel()
        over = WrongStatus(Status.CANCELLED)
        for call in (world.start, world.cancel):
            with world.expect_refusal(over):
                call(by="stranger")
        with world.expect_refusal(over):
            world.admit("ana", by="stranger")

    def test_closed_rounds_do_not_change(self, world: World) -> None:
        world.run("ana", "bob", rounds=3)
        world.propose("ana")
        events = world.vote("bob", False)
        assert RoundClosed(world.id, 0, Outcome.REJECTED, 0, (0,), 1) in events
        closed, ballots = world.round(0), world.view("ana").ballots(world.id, 0)
        with world.expect_refusal(WrongRound(1)):
            world.vote("bob", at=0)
        world.decline("bob")
        world.end_phase()
        assert (world.round(0), world.view("ana").ballots(world.id, 0)) == (closed, ballots)
