"""Creation, admission, joining and start of experiments."""

import pytest

from colearn_ledger.protocol import (
    Admission,
    AlreadyJoined,
    ExperimentCreated,
    ExperimentFull,
    ExperimentStarted,
    InvalidParameter,
    LearnerAdmitted,
    LearnerJoined,
    Merge,
    NotAdmitted,
    NotCreator,
    RoundStarted,
    Selection,
    Status,
    WrongStatus,
)
from tests.support.samples import content_of, params
from tests.support.world import World


class Enrolment:
    def test_new_experiment_is_enrolling_and_has_the_given_parameters(self, world: World) -> None:
        chosen = params(
            name="größe ✓",
            approval_bps=6_667,
            reveal_window=7,
            selection=Selection.RANDOM,
            proposers=16,
            merge=Merge.BEST,
            admission=Admission.ALLOWLIST,
            late_join=True,
            settle_early=True,
            max_strikes=65_535,
            patience=9,
        )
        receipt = world.view("creator").create(chosen).wait()
        world.id = receipt.experiment

        assert receipt.events == (ExperimentCreated(world.id, world.account("creator"), chosen),)
        e = world.experiment()
        assert (e.id, e.creator, e.params) == (world.id, world.account("creator"), chosen)
        assert (e.status, e.round, e.current, e.current_round) == (
            Status.ENROLLING,
            None,
            (content_of("initial"),),
            None,
        )
        assert (e.created_at, e.started_at, e.ended_at) == (receipt.time, None, None)
        assert not e.cancel_requested
        assert (e.active_learners, e.joined_learners, e.seed) == (0, 0, bytes(32))

    def test_experiment_ids_count_from_one(self, world: World) -> None:
        assert [world.create(), world.create(by="ana"), world.create()] == [1, 2, 3]

    def test_parameters_at_their_bounds_are_accepted(self, world: World) -> None:
        smallest = dict.fromkeys(("rounds", "approval_bps", "propose_window", "vote_window"), 1)
        world.create(**smallest, name="x", min_learners=2, max_learners=2, initial=None)
        windows = ("propose_window", "vote_window", "reveal_window", "patience")
        largest = dict.fromkeys(windows, 2**32 - 1)
        world.create(
            **largest,
            name="x" * 64,
            rounds=2**32 - 2,
            min_learners=10_000,
            max_learners=10_000,
            approval_bps=10_000,
            max_strikes=65_535,
            proposers=16,
        )
        assert world.experiment().params.rounds == 2**32 - 2

    @pytest.mark.parametrize(
        "bad",
        [
            {"name": ""},
            {"name": "x" * 65},
            {"name": "é" * 33},
            {"rounds": 0},
            {"rounds": 2**32 - 1},
            {"min_learners": 1},
            {"max_learners": 1},
            {"max_learners": 10_001},
            {"approval_bps": 0},
            {"approval_bps": 10_001},
            {"propose_window": 0},
            {"vote_window": 0},
            {"proposers": 0},
            {"proposers": 17},
        ],
        ids=str,
    )
    def test_error_names_the_parameter_out_of_bounds(
        self, world: World, bad: dict[str, object]
    ) -> None:
        (name,) = bad
        with world.expect_refusal(InvalidParameter(name)):
            world.create(**bad)

    def test_parameters_are_checked_in_order(self, world: World) -> None:
        wrong = {
            "name": "",
            "rounds": 0,
            "min_learners": 0,
            "max_learners": 10_001,
            "approval_bps": 0,
            "propose_window": 0,
            "vote_window": 0,
            "proposers": 0,
        }
        good = {"name": "x", "rounds": 1, "min_learners": 2, "max_learners": 2}
        good |= {"approval_bps": 1, "propose_window": 1, "vote_window": 1}
        for name in list(wrong):
            with world.expect_refusal(InvalidParameter(name)):
                world.create(**wrong)
            wrong[name] = good.get(name)

    def test_learners_get_indexes_in_order_of_joining(self, world: World) -> None:
        world.create()
        key = bytes(range(32))
        assert world.join("ana", key) == (LearnerJoined(world.id, world.account("ana"), 0, key),)
        assert world.join("bob") == (LearnerJoined(world.id, world.account("bob"), 1, bytes(32)),)

        ana = world.learner("ana")
        assert (ana.account, ana.index, ana.active) == (world.account("ana"), 0, True)
        assert (ana.from_round, ana.until_round, ana.strikes) == (0, None, 0)
        assert (ana.missed_proposals, ana.missed_ballots) == (0, 0)
        assert ana.encryption_key == key
        assert (world.experiment().active_learners, world.experiment().joined_learners) == (2, 2)

    def test_account_cannot_join_twice_even_after_leaving(self, world: World) -> None:
        world.enrol("ana")
        with world.expect_refusal(AlreadyJoined(world.account("ana"))):
            world.join("ana")
        world.leave("ana")
        with world.expect_refusal(AlreadyJoined(world.account("ana"))):
            world.join("ana")

    def test_only_admitted_accounts_join_with_an_allowlist(self, world: World) -> None:
        world.create(admission=Admission.ALLOWLIST)
        with world.expect_refusal(NotAdmitted(world.account("ana"))):
            world.join("ana")
        ana, bob = world.account("ana"), world.account("bob")
        assert world.admit("ana", "bob") == (
            LearnerAdmitted(world.id, ana),
            LearnerAdmitted(world.id, bob),
        )
        world.join("ana")
        assert world.experiment().active_learners == 1

    def test_admitting_an_account_twice_emits_one_event(self, world: World) -> None:
        world.create(admission=Admission.ALLOWLIST)
        cy = world.account("cy")
        assert world.admit("cy", "cy") == (LearnerAdmitted(world.id, cy),)
        assert world.admit("cy") == ()
        assert world.admit() == ()

    def test_only_the_creator_admits(self, world: World) -> None:
        world.create(admission=Admission.ALLOWLIST)
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.admit("ana", by="ana")

    def test_admitting_is_refused_without_an_allowlist(self, world: World) -> None:
        world.create()
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.admit("ana", by="ana")
        with world.expect_refusal(InvalidParameter("admission")):
            world.admit("ana")

    def test_creator_can_start_once_enough_learners_have_joined(self, world: World) -> None:
        world.enrol("ana", min_learners=2)
        with world.expect_refusal(InvalidParameter("min_learners")):
            world.start()
        world.join("bob")
        receipt = world.send("creator", "start")
        deadline = receipt.time + world.window
        assert receipt.events == (
            ExperimentStarted(world.id),
            RoundStarted(world.id, 0, (world.account("ana"),), 1, 1, deadline),
        )
        e = world.experiment()
        assert (e.status, e.started_at, e.round) == (Status.RUNNING, receipt.time, 0)

    def test_learners_that_left_do_not_count_for_the_start(self, world: World) -> None:
        world.enrol("ana", "bob")
        world.leave("bob")
        with world.expect_refusal(InvalidParameter("min_learners")):
            world.start()

    def test_only_the_creator_starts_and_only_once(self, world: World) -> None:
        world.enrol("ana", "bob")
        with world.expect_refusal(NotCreator(world.account("ana"))):
            world.start(by="ana")
        world.start()
        with world.expect_refusal(WrongStatus(Status.RUNNING)):
            world.start()

    def test_experiment_starts_by_itself_when_it_is_full(self, world: World) -> None:
        world.enrol("ana", max_learners=2)
        kinds = [type(event) for event in world.join("bob")]
        assert kinds == [LearnerJoined, ExperimentStarted, RoundStarted]
        assert world.experiment().status == Status.RUNNING

    def test_late_joining_is_refused_unless_allowed(self, world: World) -> None:
        world.run("ana", "bob")
        with world.expect_refusal(WrongStatus(Status.RUNNING)):
            world.join("cy")

    def test_late_learners_take_part_from_the_next_round_on(self, world: World) -> None:
        world.run("ana", "bob", late_join=True)
        world.join("cy")
        assert world.learner("cy").from_round == 1
        assert not world.ballot("cy").eligible
        assert world.round().eligible == 1
        world.decline("ana")
        assert world.round().eligible == 2
        assert world.ballot("cy").eligible

    def test_max_learners_limits_the_active_learners(self, world: World) -> None:
        world.enrol("ana", "bob", "cy", max_learners=3, late_join=True)
        with world.expect_refusal(ExperimentFull(3)):
            world.join("dan")
        world.leave("cy")
        dan = LearnerJoined(world.id, world.account("dan"), 3, bytes(32))
        assert world.join("dan") == (dan,)  # full again, but it has already started
        assert world.current_index() == 0
        assert (world.experiment().active_learners, world.learner("dan").index) == (3, 3)

    def test_join_errors_come_in_order(self, world: World) -> None:
        world.create(max_learners=2, late_join=True, admission=Admission.ALLOWLIST)
        world.admit("ana", "bob", "cy")
        world.join("ana")
        world.join("bob")
        with world.expect_refusal(AlreadyJoined(world.account("ana"))):
            world.join("ana")
        with world.expect_refusal(NotAdmitted(world.account("dan"))):
            world.join("dan")
        with world.expect_refusal(ExperimentFull(2)):
            world.join("cy")

    def test_creator_does_not_have_to_join(self, world: World) -> None:
        world.run("ana", "bob")
        names = [row.account for row in world.view("ana").learners(world.id)]
        assert names == [world.account("ana"), world.account("bob")]

    def test_creator_can_admit_accounts_to_a_running_experiment(self, world: World) -> None:
        world.create(admission=Admission.ALLOWLIST, late_join=True)
        world.admit("ana", "bob")
        world.join("ana")
        world.join("bob")
        world.start()
        world.admit("cy")
        world.join("cy")
        assert world.learner("cy").from_round == 1
