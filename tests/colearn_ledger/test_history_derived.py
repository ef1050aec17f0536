"""The lineage of the weights, the learners' contributions, and JSON lines of a history."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.history import (
    AcceptedProposal,
    History,
    ScoreKind,
    WeightsVersion,
    read_history,
)
from colearn_ledger.history.contributions import contribution_lines
from colearn_ledger.history.lineage import lineage_lines
from colearn_ledger.protocol import Basis, Scores, Vote, commitment_hash
from colearn_ledger.weights.unixfs import content_of
from tests.support.derived import check_derived, derive_contribution
from tests.support.histories import LOSS, play_classic, play_plural, read_named
from tests.support.plural import PluralExperiment
from tests.support.toyworld import TowardsTarget, World

HOSTILE = "\x1b[2J\x9b<script>"


def read_json(history: History) -> dict[str, Any]:
    return json.loads(history.to_json(), parse_constant=pytest.fail)


def with_scores(history: History, change: Any) -> History:
    """Replace the scores in every ballot by what a function makes of ballot and learner."""
    rounds = tuple(
        replace(record, ballots=tuple(change(record, row) for row in record.ballots))
        for record in history.rounds
    )
    return replace(history, rounds=rounds)


class ClockedExperiment:
    """An experiment whose time is set by hand."""

    def __init__(self, learners: int, **terms: Any) -> None:
        self.seconds = 1_000.0
        self.made = PluralExperiment(learners, clock=lambda: self.seconds, **terms)

    def let_time_pass(self) -> None:
        self.seconds += 10_000
        self.made.ledger.advance(self.made.id)

    def read(self) -> History:
        return read_history(self.made.ledger, self.made.id)


# ----------------------------------------------------------------- lineage


def test_each_accepted_proposal_is_a_version_made_from_the_one_before():
    made = play_classic()
    initial, first, *_, last = read_history(made.ledger, made.id).lineage()
    assert initial == WeightsVersion(0, None, None, content_of(b"initial"), ())
    accepted = AcceptedProposal(0, made.accounts[0], content_of(b"round 0"))
    assert first == WeightsVersion(1, 0, 0, None, (accepted,))
    # rounds 1 and 2 accepted nothing
    assert (last.version, last.round, last.previous) == (3, 4, 2)


def test_merge_has_every_accepted_proposal_in_slot_order():
    made = play_plural()
    history = read_history(made.ledger, made.id)
    *_, last = history.lineage()
    assert (last.version, last.round, last.previous) == (2, 1, 1)
    assert [proposal.slot for proposal in last.proposals] == [0, 2, 4]
    assert tuple(proposal.content for proposal in last.proposals) == history.experiment.current


def test_first_accepted_proposal_is_the_first_version_without_initial_weights():
    made = PluralExperiment(3, initial=None)
    assert read_history(made.ledger, made.id).lineage() == ()
    assert "There are no weights yet." in str(lineage_lines(read_history(made.ledger, made.id)))
    made.play(lambda *_: True)
    [version] = read_history(made.ledger, made.id).lineage()
    assert (version.version, version.round, version.previous) == (0, 0, None)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("named", [True, False])
def test_lineage_has_a_line_for_each_proposal_at_any_width(width: int, named: bool):
    history = read_named(play_plural())
    history = history if named else replace(history, names={})
    lines = [line.plain for line in lineage_lines(history, width=width)]
    assert max(map(len, lines)) <= width
    start = next(n for n, line in enumerate(lines) if line.startswith("version ")) + 1
    rows = [line.split() for line in lines[start : start + 7]]
    names = ["alice", "carol", "erin"] if named else ["0x7E5F", "0x6813", "0xe1AB"]
    assert rows[0][0] == "0"
    assert "(initial)" in rows[0]
    for row, name in zip(rows[1:], names * 2, strict=True):
        assert row[-2].startswith(name)
        assert row[-1].startswith("baf")
    assert [rows[1][0], rows[4][0]] == ["1", "2"]
    assert ("before" in lines[start - 1]) == (width > 40)
    assert any("trained from" in " ".join(lines[n : n + 2]) for n in range(start, len(lines)))


# ----------------------------------------------------------- contributions


def test_gain_is_the_sum_of_the_others_mean_improvements():
    alice, bob, carol = read_named(play_classic()).contributions()
    # the others' losses fall from .7 and .8 to half in round 0, and are a quarter in round 3
    assert alice.gain == pytest.approx(0.375 + 0.1875)
    assert alice.score_change == -alice.gain
    assert (alice.proposals_made, alice.proposals_accepted, alice.proposals_scored) == (2, 2, 2)
    # the others of bob's proposal in round 4 are alice (.225 before) and carol (.2 before)
    assert bob.gain == pytest.approx((0.1125 + 0.1) / 2)
    assert (bob.proposals_made, bob.proposals_accepted) == (2, 1)
    assert (carol.proposals_made, carol.proposals_declined, carol.gain) == (0, 1, None)
    assert [each.ballots_cast for each in (alice, bob, carol)] == [2, 2, 4]


def test_gain_is_unknown_without_the_direction_of_the_score():
    history = replace(read_named(play_classic()), score=None)
    assert [each.gain for each in history.contributions()] == [None] * 3
    assert history.contributions()[0].score_change == pytest.approx(-0.5625)
    higher = replace(history, score=ScoreKind("accuracy", higher_is_better=True))
    assert higher.contributions()[0].gain == pytest.approx(-0.5625)


def test_learners_own_scores_never_count():
    history = read_named(play_plural())
    before = history.contributions()

    def praise_oneself(record: Any, row: Any) -> Any:
        slot = record.find_slot(row.ballot.learner)
        own = {slot: Scores(-1e9)} if slot in row.proposals else {}
        return replace(row, proposals={**row.proposals, **own})

    assert with_scores(history, praise_oneself).contributions() == before
    assert before[0].gain is not None


def test_only_voters_who_scored_both_weights_count():
    made = PluralExperiment(4, rounds=1)
    made.propose()
    reported = {1: (None, 5.0), 2: (1.0, None), 3: (1.0, 1.5)}
    for learner, (before, after) in reported.items():
        vote = Vote(1, (Scores(before), Scores(after)))
        made.views[learner].vote(made.id, 0, made.ledger.round(made.id, 0).proposals, vote)
    proposer = read_named(made, score=ScoreKind("accuracy", True)).contributions()[0]
    assert (proposer.gain, proposer.proposals_scored) == (0.5, 1)


def test_scores_that_are_not_finite_or_huge_break_nothing():
    history = read_named(play_plural())
    infinite = with_scores(history, lambda _, row: replace(row, current=Scores(float("inf"))))
    assert [each.score_change for each in infinite.contributions()] == [None] * 5
    check_derived(read_json(infinite))

    def exaggerate(_: Any, row: Any) -> Any:
        return replace(
            row,
            current=Scores(-0.0),
            proposals=dict.fromkeys(row.proposals, Scores(1.7e308)),
        )

    huge = with_scores(history, exaggerate)
    assert read_json(huge)["contributions"][0]["score_change"] == "inf"
    assert huge.contributions()[0].gain == float("-inf")
    assert max(len(line.plain) for line in contribution_lines(huge, width=80)) <= 80


def test_ballot_is_missed_only_by_voters_after_the_deadline():
    clocked = ClockedExperiment(4, rounds=3)
    made = clocked.made
    made.propose()
    round_ = made.ledger.round(made.id, 0)
    made.views[1].vote(made.id, 0, round_.proposals, Vote(1, (Scores(), Scores())))
    assert [each.ballots_missed for each in clocked.read().contributions()] == [0] * 4
    clocked.let_time_pass()
    clocked.let_time_pass()  # nobody proposes in round 1
    contributions = clocked.read().contributions()
    assert [each.ballots_missed for each in contributions] == [0, 0, 1, 1]
    assert [each.ballots_cast for each in contributions] == [0, 1, 0, 0]
    assert [each.proposals_missed for each in contributions] == [0, 1, 0, 0]
    check_derived(read_json(clocked.read()))


def test_ballot_after_an_early_settlement_is_not_missed():
    clocked = ClockedExperiment(4, rounds=1, settle_early=True)
    made = clocked.made
    made.propose()
    round_ = made.ledger.round(made.id, 0)
    for view in made.views[1:3]:
        view.vote(made.id, 0, round_.proposals, Vote(1, (Scores(), Scores())))
    contributions = clocked.read().contributions()
    assert [each.ballots_cast for each in contributions] == [0, 1, 1, 0]
    assert [each.ballots_missed for each in contributions] == [0] * 4


def test_secret_ballot_is_missed_if_it_was_not_committed_or_not_revealed():
    clocked = ClockedExperiment(4, rounds=1, reveal_window=100)
    made = clocked.made
    made.propose()
    proposals = made.ledger.round(made.id, 0).proposals
    vote, salt = Vote(1, (Scores(1.0), Scores(2.0))), bytes(31) + b"s"
    for view in made.views[1:3]:
        basis = Basis(made.id, 0, proposals)
        made_hash = commitment_hash(view.domain, basis, view.account, vote, salt)
        view.commit(made.id, 0, proposals, made_hash)
    clocked.let_time_pass()
    made.views[1].reveal(made.id, 0, vote, salt)
    clocked.let_time_pass()
    history = clocked.read()
    assert [each.ballots_missed for each in history.contributions()] == [0, 0, 1, 1]
    check_derived(read_json(history))


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("score", [LOSS, None])
def test_contributions_have_one_line_for_each_learner(width: int, score: ScoreKind | None):
    history = replace(read_named(play_classic()), score=score)
    lines = [line.plain for line in contribution_lines(history, width=width)]
    assert max(map(len, lines)) <= width
    rows = {line.split()[0]: line.split() for line in lines if line.startswith(("alice", "carol"))}
    assert rows["alice"][1:4] == ["2", "of", "2"]
    assert rows["alice"][-4:] == ["2", "of", "2", "-0.5625" if score is None else "+0.5625"]
    assert rows["carol"][-1] == "-"
    assert any(line.startswith("timed out") for line in lines) == (width > 40)


def test_hostile_names_are_escaped_in_both_tables():
    history = read_named(play_plural())
    hostile = replace(history, names={learner.account: HOSTILE for learner in history.learners})
    for draw in (lineage_lines, contribution_lines):
        text = "\n".join(line.plain for line in draw(hostile))
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert "\\x1b[2J" in text


# --------------------------------------------------------------- documents


@pytest.mark.parametrize("kind", ["local", "evm"])
@pytest.mark.parametrize("proposers", [1, 3])
def test_derived_fields_can_be_recomputed_from_the_json(tmp_path: Path, kind: str, proposers: int):
    learners = [TowardsTarget(target) for target in (1.0, 1.0, 1.5, -4.0)]
    world = World(tmp_path, learners, {"rounds": 4, "proposers": proposers}, kind=kind)
    world.drive(world.agents())
    history = read_history(world.ledger, world.experiment, store=world.store(0))
    document = read_json(history)
    check_derived(document)
    assert [each["round"] for each in document["lineage"]][:2] == [None, 0]
    gains = [each.gain for each in history.contributions()]
    assert max(gain for gain in gains if gain is not None) > 0
    assert history.score == ScoreKind("score", higher_is_better=True)
    for each in history.contributions():
        expected = derive_contribution(document, each.learner)["score_change"]
        assert each.gain == pytest.approx(expected)


def test_json_of_one_round_has_the_lineage_of_all():
    made = play_plural()
    history = read_history(made.ledger, made.id)
    whole, one = read_json(history), json.loads(history.to_json(round_index=1))
    assert one == {**whole, "rounds": whole["rounds"][1:2]}
    assert len(one["lineage"]) == 3


def test_json_lines_are_the_experiment_rounds_and_announcements():
    made = play_plural()
    made.views[1].announce(made.id, "état \u2028", content_of(b"keys"))
    history = read_history(made.ledger, made.id)
    text = "".join(history.to_jsonl())
    assert text.endswith("\n")
    first, *others = [json.loads(line) for line in text.split("\n")[:-1]]
    assert [each["type"] for each in others] == ["round"] * 3 + ["announcement"]
    joined = {
        **first,
        "rounds": [each for each in others if each["type"] == "round"],
        "announcements": [each for each in others if each["type"] == "announcement"],
    }
    for each in (joined, *others):
        del each["type"]
    assert joined == read_json(history)
    _, only, *_ = history.to_jsonl(round_index=2)
    assert json.loads(only)["round"] == 2


def test_json_lines_are_made_one_by_one(monkeypatch: pytest.MonkeyPatch):
    history = read_named(play_classic())
    made = []
    from colearn_ledger.history import documents

    convert = documents._round_to_dict
    monkeypatch.setattr(documents, "_round_to_dict", lambda each: made.append(1) or convert(each))
    lines = history.to_jsonl()
    next(lines)
    assert made == []
    next(lines)
    assert made == [1]
