"""The experiment's hash, announcements, encryption keys and agendas."""

import hashlib
import struct

import pytest

from colearn_ledger.protocol import (
    Admission,
    Agenda,
    AlreadyJoined,
    Announced,
    ContentRef,
    Duty,
    ExperimentFull,
    InvalidParameter,
    Merge,
    NotAdmitted,
    NotALearner,
    Selection,
    Status,
    WrongExperiment,
    WrongStatus,
)
from colearn_ledger.text.address import address_bytes
from tests.support.samples import content_of
from tests.support.world import World

_CONTROLS = ("\0", "\n", "\x1f", "\x7f", "\x80", "\x9f")


def packed(content: ContentRef | None) -> bytes:
    if content is None:
        return bytes(73)
    sha256 = bytes.fromhex(content.sha256)
    return struct.pack(">B32s32sQ", content.codec, content.digest, sha256, content.size)


class Hashes:
    def test_hash_covers_creator_and_parameters(self, world: World) -> None:
        world.create(
            name="größe ✓",
            rounds=7,
            min_learners=3,
            max_learners=300,
            approval_bps=6_667,
            propose_window=70_000,
            vote_window=2,
            reveal_window=2**32 - 1,
            selection=Selection.RANDOM,
            proposers=9,
            merge=Merge.BEST,
            initial=None,
            admission=Admission.ALLOWLIST,
            late_join=True,
            settle_early=False,
            max_strikes=513,
            patience=65_536,
        )
        creator = address_bytes(world.account("creator"))
        numbers = struct.pack(
            ">IHHHIIIBBBBBBHI",
            *(7, 3, 300, 6_667, 70_000, 2, 2**32 - 1),
            *(1, 9, 1, 1, 1, 0, 513, 65_536),
        )
        preimage = (
            bytes([len(creator)])
            + creator
            + packed(content_of("spec"))
            + packed(None)
            + numbers
            + "größe ✓".encode()
        )
        assert world.experiment().hash == hashlib.sha256(preimage).digest()

    def test_experiments_of_other_creators_or_parameters_differ(self, world: World) -> None:
        world.create()
        first = world.experiment().hash
        world.create()
        assert world.experiment().hash == first
        world.create(by="ana")
        assert world.experiment().hash != first
        world.create(patience=1)
        assert world.experiment().hash != first

    def test_joining_an_unexpected_experiment_is_refused(self, world: World) -> None:
        world.create(by="ana")
        other = world.experiment().hash
        world.create()
        known = world.experiment().hash
        for wrong in (other, bytes(32)):
            with world.expect_refusal(WrongExperiment(known)):
                world.join("bob", experiment_hash=wrong)
        world.join("bob", experiment_hash=known)

    def test_hash_is_checked_after_the_status_and_before_the_caller(self, world: World) -> None:
        world.create(max_learners=2, admission=Admission.ALLOWLIST, late_join=True)
        known = world.experiment().hash
        world.admit("ana", "bob", "cy")
        world.join("ana")
        world.join("bob")
        for name in ("ana", "dan", "cy"):
            with world.expect_refusal(WrongExperiment(known)):
                world.join(name, experiment_hash=bytes(32))
        with world.expect_refusal(AlreadyJoined(world.account("ana"))):
            world.join("ana")
        with world.expect_refusal(NotAdmitted(world.account("dan"))):
            world.join("dan")
        with world.expect_refusal(ExperimentFull(2)):
            world.join("cy")
        world.cancel()
        with world.expect_refusal(WrongStatus(Status.CANCELLED)):
            world.join("cy", experiment_hash=bytes(32))


class PluralParameters:
    def test_mean_of_several_proposers_needs_initial_weights(self, world: World) -> None:
        with world.expect_refusal(InvalidParameter("initial")):
            world.create(proposers=2, initial=None)
        world.create(proposers=1, initial=None)
        world.create(proposers=2, initial=None, merge=Merge.BEST)
        assert world.experiment().params.initial is None

    def test_initial_weights_are_checked_after_the_number_of_proposers(self, world: World) -> None:
        for number in (0, 17):
            with world.expect_refusal(InvalidParameter("proposers")):
                world.create(proposers=number, initial=None)
        with world.expect_refusal(InvalidParameter("vote_window")):
            world.create(proposers=2, initial=None, vote_window=0)

    @pytest.mark.parametrize("control", _CONTROLS, ids=ascii)
    def test_names_with_control_characters_are_refused(self, world: World, control: str) -> None:
        for name in (control, f"a{control}", f"{control}b"):
            with world.expect_refusal(InvalidParameter("name")):
                world.create(name=name)

    def test_names_next_to_control_characters_are_accepted(self, world: World) -> None:
        for name in (" ", "~", "\u00a0", "\u200b", "ß"):
            world.create(name=name)
            assert world.experiment().params.name == name


class Announcing:
    def announced(self, world: World, name: str, topic: str, text: str = "help") -> Announced:
        return Announced(world.id, world.account(name), topic, content_of(text))

    def test_learners_announce_in_every_status(self, world: World) -> None:
        world.enrol("ana", "bob", rounds=1)
        assert world.announce("ana", "adapter") == (self.announced(world, "ana", "adapter"),)
        world.start()
        assert world.announce("bob", "update", "a file") == (
            self.announced(world, "bob", "update", "a file"),
        )
        world.decline("ana")
        assert world.experiment().status == Status.COMPLETED
        assert world.announce("bob", "card") == (self.announced(world, "bob", "card"),)
        recorded = [r.event for r in world.view("ana").events(world.id)]
        assert [event for event in recorded if isinstance(event, Announced)] == [
            self.announced(world, "ana", "adapter"),
            self.announced(world, "bob", "update", "a file"),
            self.announced(world, "bob", "card"),
        ]

    def test_learners_of_a_cancelled_experiment_announce(self, world: World) -> None:
        world.enrol("ana", "bob")
        world.cancel()
        assert world.announce("ana", "card") == (self.announced(world, "ana", "card"),)

    def test_announcement_changes_nothing(self, world: World) -> None:
        world.run("ana", "bob")
        before = (world.experiment(), world.round(), world.learner("ana"))
        world.announce("ana", "anything", "initial")
        world.announce("ana", "anything", "initial")
        assert (world.experiment(), world.round(), world.learner("ana")) == before

    def test_only_active_learners_announce(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.leave("bob")
        for name in ("stranger", "creator", "bob"):
            with world.expect_refusal(NotALearner(world.account(name))):
                world.announce(name, "")  # checked before the topic

    @pytest.mark.parametrize("topic", ["", "x" * 33, "é" * 17, *_CONTROLS, "a\nb"], ids=ascii)
    def test_malformed_topics_are_refused(self, world: World, topic: str) -> None:
        world.enrol("ana")
        with world.expect_refusal(InvalidParameter("topic")):
            world.announce("ana", topic)

    def test_longest_topics_are_accepted(self, world: World) -> None:
        world.enrol("ana")
        for topic in ("x" * 32, "é" * 16, "\U0001f600" * 8, "x"):
            assert world.announce("ana", topic) == (self.announced(world, "ana", topic),)

    def test_spaces_around_a_topic_are_kept(self, world: World) -> None:
        world.enrol("ana")
        for topic in (" ", " a b ", "\u00a0a", '"'):
            assert world.announce("ana", topic) == (self.announced(world, "ana", topic),)


class EncryptionKeys:
    def test_learner_replaces_its_key_without_an_event(self, world: World) -> None:
        world.enrol("ana", "bob")
        key, other = bytes(range(32)), b"\xff" * 32
        assert world.set_key("ana", key) == ()
        assert world.learner("ana").encryption_key == key
        world.start()
        assert world.set_key("ana", other) == ()
        assert world.learner("ana").encryption_key == other
        assert world.learner("bob").encryption_key == bytes(32)
        world.set_key("ana", bytes(32))
        assert world.learner("ana").encryption_key == bytes(32)

    def test_only_active_learners_have_a_key(self, world: World) -> None:
        world.run("ana", "bob", "cy")
        world.leave("bob")
        for name in ("stranger", "bob"):
            with world.expect_refusal(NotALearner(world.account(name))):
                world.set_key(name, b"k" * 32)

    def test_keys_are_fixed_after_the_end(self, world: World) -> None:
        world.enrol("ana", "bob")
        world.cancel()
        for name in ("ana", "stranger"):
            with world.expect_refusal(WrongStatus(Status.CANCELLED)):
                world.set_key(name, b"k" * 32)


class Agendas:
    def check_agenda(self, world: World, name: str, duty: Duty) -> None:
        """Check that an agenda agrees with the queries that it replaces."""
        agenda = world.agenda(name)
        assert agenda == Agenda(world.experiment(), world.round(), world.learner(name), duty)
        assert agenda.duty == world.duty(name)

    def test_agenda_before_the_start_has_no_round(self, world: World) -> None:
        world.enrol("ana", "bob")
        e = world.experiment()
        assert world.agenda("ana") == Agenda(e, None, world.learner("ana"), Duty.WAIT)
        assert world.agenda("stranger") == Agenda(e, None, None, Duty.WAIT)

    def test_agenda_of_a_running_experiment_agrees_with_its_parts(self, world: World) -> None:
        world.run("ana", "bob", "cy", proposers=2)
        self.check_agenda(world, "ana", Duty.PROPOSE)
        self.check_agenda(world, "cy", Duty.WAIT)
        world.propose_all("ana", "bob")
        self.check_agenda(world, "cy", Duty.VOTE)
        world.leave("bob")
        self.check_agenda(world, "bob", Duty.DONE)
        agenda = world.agenda("stranger")
        assert (agenda.learner, agenda.duty) == (None, Duty.WAIT)

    def test_agenda_after_a_deadline_is_to_advance(self, world: World) -> None:
        world.run("ana", "bob")
        world.pass_deadline()
        self.check_agenda(world, "bob", Duty.ADVANCE)

    def test_agenda_after_the_end_is_done(self, world: World) -> None:
        world.run("ana", "bob", rounds=1)
        world.decline("ana")
        self.check_agenda(world, "ana", Duty.DONE)
        assert world.agenda("stranger").duty == Duty.DONE
