"""An experiment's history: state and events joined, as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from colearn_ledger.history import Announcement, History, read_history
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Scores, SlotState, Vote
from colearn_ledger.weights.unixfs import content_of
from tests.support.plural import PluralExperiment, scores_of


@pytest.fixture
def classic() -> PluralExperiment:
    """Run two rounds of three learners: one accepted with a missing score, one declined."""
    made = PluralExperiment(3, rounds=2, initial=None)
    made.views[0].propose(made.id, 0, content_of(b"w"), Scores(0.5, float("inf")))
    proposals = made.round.proposals
    for view, approvals, scores in (
        (made.views[1], 1, Scores(0.25, None)),
        (made.views[2], 0, Scores(0.125, 0.1)),
    ):
        view.vote(made.id, 0, proposals, Vote(approvals, (Scores(), scores)))
    made.views[1].decline(made.id, 1)
    return made


@pytest.fixture
def plural() -> PluralExperiment:
    """Play two rounds of five proposers: slots 0, 2 and 4 accepted, then one slot declined."""
    made = PluralExperiment(5, proposers=5, patience=2)
    made.play(lambda _, slot: slot % 2 == 0)
    made.views[3].announce(made.id, "keys", content_of(b"keys"))
    made.propose(1)
    made.vote(lambda _, slot: False)
    return made


def read(made: PluralExperiment) -> History:
    return read_history(made.ledger, made.id)


def read_json(made: PluralExperiment) -> Any:
    return json.loads(read(made).to_json(), parse_constant=pytest.fail)


def test_scores_of_events_are_joined_to_slots_and_ballots(classic, plural):
    first, second = read(classic).rounds
    assert first.scores == (Scores(0.5, float("inf")),)
    assert [r.proposals.get(0) for r in first.ballots] == [
        None,
        Scores(0.25, None),
        Scores(0.125, 0.1),
    ]
    assert second.scores == (Scores(),)
    for learner, row in enumerate(read(plural).rounds[0].ballots):
        assert row.current == scores_of(learner)
        assert row.proposals == {slot: scores_of(learner, slot) for slot in range(5)}


def test_learners_score_of_its_own_proposal_is_the_proposed_one(plural):
    first = read(plural).rounds[0]
    assert first.scores_of(first.ballots[2])[2] == Scores(2.5, 2.25)
    assert first.scores_of(first.ballots[2])[1] == scores_of(2, 1)


def test_accepted_set_and_missing_proposals_are_recorded(plural):
    first, second, third = read(plural).rounds
    assert first.accepted == (0, 2, 4)
    assert [slot.approvals for slot in first.round.slots] == [4, 0, 4, 0, 4]
    assert second.accepted == ()
    assert second.round.slots[1].state == SlotState.DECLINED
    assert list(second.ballots[0].proposals) == [0, 2, 3, 4]
    assert [slot.state for slot in third.round.slots] == [SlotState.OPEN] * 5


def test_announcements_are_part_of_the_history(plural):
    announced = Announcement(1_000, plural.accounts[3], "keys", content_of(b"keys"))
    assert read(plural).announcements == (announced,)
    assert read_json(plural)["announcements"][0]["topic"] == "keys"


def test_json_is_strict_and_has_null_for_absent_scores(classic):
    document = read_json(classic)
    first, second = document["rounds"]
    assert (first["outcome"], second["outcome"]) == ("accepted", "no_proposal")
    assert first["slots"][0]["test_score"] == "inf"
    assert [b["ballot"] for b in first["ballots"]] == ["proposer", "cast", "cast"]
    assert [b["approvals"] for b in first["ballots"]] == [[], [0], []]
    assert first["ballots"][1]["scores"][0]["test_score"] is None
    assert document["experiment"]["params"]["selection"] == "round_robin"
    assert [learner["index"] for learner in document["learners"]] == [0, 1, 2]


def test_json_of_a_plural_round_has_slots_ballots_and_the_accepted_set(plural):
    document = read_json(plural)
    assert document["experiment"]["hash"] == plural.ledger.experiment(plural.id).hash.hex()
    assert document["experiment"]["cancel_requested"] is False
    assert len(document["experiment"]["current"]) == 3
    assert document["experiment"]["params"]["patience"] == 2
    assert {"missed_proposals", "missed_ballots"} <= document["learners"][0].keys()
    first, second, _ = document["rounds"]
    assert (first["accepted"], first["counted"]) == ([0, 2, 4], 5)
    slot = first["slots"][4]
    assert (slot["proposer"], slot["approvals"]) == (plural.accounts[4], 4)
    assert (slot["state"], slot["accepted"], slot["vote_score"]) == ("proposed", True, 4.5)
    assert first["ballots"][4]["approvals"] == [0, 2]
    assert first["ballots"][4]["current"]["vote_score"] == scores_of(4).vote_score
    assert [s["slot"] for s in second["ballots"][4]["scores"]] == [0, 2, 3, 4]


def test_csv_has_a_row_for_each_learner_and_slot_in_each_round(classic, plural):
    rows = list(csv.DictReader(io.StringIO(read(classic).to_csv())))
    assert len(rows) == 6
    assert [r["ballot"] for r in rows[:3]] == ["proposer", "cast", "cast"]
    assert [r["approves"] for r in rows[:3]] == ["", "true", "false"]
    assert [r["vote_score"] for r in rows[:3]] == ["0.5", "0.25", "0.125"]
    assert rows[1]["test_score"] == ""
    rows = list(csv.DictReader(io.StringIO(read(plural).to_csv())))
    assert len(rows) == 3 * 5 * 5
    assert [r["approves"] for r in rows[:5]] == ["", "false", "true", "false", "true"]
    assert [r["accepted"] for r in rows[:5]] == ["true", "false", "true", "false", "true"]


def test_history_without_old_events_has_ballots_and_outcomes(plural):
    class Pruned:
        def __getattr__(self, name):
            return getattr(plural.ledger, name)

        def events(self, *_):
            raise LedgerUnavailable("pruned")

    history = read_history(Pruned(), plural.id)
    assert not history.scores_complete
    first = history.rounds[0]
    assert first.round.slots[0].approvals == 4
    assert first.approved_slots(first.ballots[1].ballot) == [0, 2, 4]
    assert (first.ballots[1].current, first.ballots[1].proposals) == (Scores(), {})


def test_ballots_are_read_by_page_of_learners_and_not_by_round():
    made = PluralExperiment(103, initial=None)
    for index in range(2):
        made.views[index].decline(made.id, index)
    asked = []

    class Recording:
        def __getattr__(self, name):
            asked.append(name)
            return getattr(made.ledger, name)

    history = read_history(Recording(), made.id)
    rows = [[b.ballot.learner for b in r.ballots] for r in history.rounds]
    assert rows == [made.accounts] * 3
    assert asked.count("ask_all") == 2
    assert "ballots" not in asked
