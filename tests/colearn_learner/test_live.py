"""The demo's table fits the screen, and each round appears once, in order."""

from __future__ import annotations

import re
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from colearn_learner.agent.observation import Action, Observation
from colearn_learner.catalogue.baselines import Comparison
from colearn_learner.cli._support.demo_results import _comparison_table
from colearn_learner.cli._support.live import LiveView
from colearn_ledger.history import ScoreKind
from colearn_ledger.protocol import (
    Account,
    Event,
    ExperimentId,
    Outcome,
    RoundClosed,
    RoundStarted,
    Scores,
    Vote,
    VoteCast,
    VoteCommitted,
    VotingStarted,
    WeightsProposed,
)
from colearn_ledger.weights.unixfs import content_of

EXPERIMENT = ExperimentId(1)
CONTENT = content_of(b"weights")


def accounts(n: int) -> list[Account]:
    return [Account(f"0x{i:040x}") for i in range(n)]


def make_view(
    n_learners: int, width: int, *, terminal: bool, score_name: str = "log loss"
) -> LiveView:
    screen = Console(
        file=StringIO(), width=width, height=40, force_terminal=terminal, color_system=None
    )
    return LiveView(
        screen, accounts(n_learners), score=ScoreKind(score_name, higher_is_better=False)
    )


def open_round(index: int, n_learners: int, n_proposers: int = 1) -> list[Event]:
    learners = accounts(n_learners)
    proposers = tuple(learners[(index + i) % n_learners] for i in range(n_proposers))
    n_voters = n_learners - 1
    return [
        RoundStarted(EXPERIMENT, index, proposers, n_voters, (n_voters + 1) // 2, 0),
        *(
            WeightsProposed(EXPERIMENT, index, proposer, slot, CONTENT, Scores(0.5, 0.5))
            for slot, proposer in enumerate(proposers)
        ),
        VotingStarted(EXPERIMENT, index, bytes(32), 0),
    ]


def complete_round(index: int, n_learners: int) -> list[Event]:
    """Return the events of a round in which the learners with an even index approve."""
    learners = accounts(n_learners)
    proposer = index % n_learners
    votes = {i: i % 2 == 0 for i in range(n_learners) if i != proposer}
    yes = sum(votes.values())
    cast = [
        VoteCast(EXPERIMENT, index, learners[i], Vote(int(vote), (Scores(), Scores(0.25, 0.25))))
        for i, vote in votes.items()
    ]
    accepted = 2 * yes >= len(votes)
    outcome = Outcome.ACCEPTED if accepted else Outcome.REJECTED
    closed = RoundClosed(EXPERIMENT, index, outcome, int(accepted), (yes,), len(votes))
    return [*open_round(index, n_learners), *cast, closed]


def rejected_round(index: int, n_learners: int, current: dict[int, float]) -> list[Event]:
    """Return the events of a round whose voters report these scores of the current weights."""
    learners = accounts(n_learners)
    cast = [
        VoteCast(EXPERIMENT, index, learners[i], Vote(0, (Scores(score), Scores(2.0))))
        for i, score in current.items()
    ]
    closed = RoundClosed(EXPERIMENT, index, Outcome.REJECTED, 0, (0,), n_learners - 1)
    return [*open_round(index, n_learners), *cast, closed]


def complete_plural_round(index: int, n_learners: int, n_proposers: int) -> list[Event]:
    """Return the events of a round in which everybody approves the even slots of the others."""
    learners = accounts(n_learners)
    slots = range(n_proposers)
    own = {(index + slot) % n_learners: slot for slot in slots}
    cast = [
        VoteCast(
            EXPERIMENT,
            index,
            learner,
            Vote(
                sum(1 << slot for slot in slots if slot % 2 == 0 and own.get(i) != slot),
                (Scores(0.1, 0.1), *(Scores(0.25, 0.25 + slot % 2) for slot in slots)),
            ),
        )
        for i, learner in enumerate(learners)
    ]
    accepted = sum(1 << slot for slot in slots if slot % 2 == 0)
    approvals = tuple(0 if slot % 2 else n_learners - 1 for slot in slots)
    closed = RoundClosed(EXPERIMENT, index, Outcome.ACCEPTED, accepted, approvals, n_learners - 1)
    return [*open_round(index, n_learners, n_proposers), *cast, closed]


def show(live: LiveView, events: list[Event]) -> None:
    live.observe(Observation("0x", Action.VOTED, 0, events=tuple(events)))


def draw_table(live: LiveView) -> list[str]:
    """Return the lines of the table as they appear on the screen."""
    out = StringIO()
    paper = Console(file=out, width=live._console.width, color_system=None)
    paper.print(live._table())
    return out.getvalue().splitlines()


@pytest.mark.parametrize("score_name", ["log loss", "mean squared error"])
@pytest.mark.parametrize("n_learners", [2, 5, 11, 12, 13, 25, 40, 100])
@pytest.mark.parametrize("width", [80, 120])
def test_table_fits_the_width_without_truncation(width: int, n_learners: int, score_name: str):
    live = make_view(n_learners, width, terminal=True, score_name=score_name)
    for index in range(3):
        show(live, complete_round(index, n_learners))
    without_proposal = [
        RoundStarted(EXPERIMENT, 3, (accounts(n_learners)[-1],), n_learners - 1, 1, 0),
        RoundClosed(EXPERIMENT, 3, Outcome.NO_PROPOSAL, 0, (0,), n_learners - 1),
    ]
    show(live, without_proposal)
    lines = draw_table(live)
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    rows = [line.split() for line in lines if "learner " in line]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    assert rows[3][-4:-2] == ["no", "proposal"]
    assert rows[3][-1] == "–"
    assert f"learner {n_learners - 1}" in " ".join(rows[3])
    for row in rows[:3]:
        assert row[-3] in ("accepted", "rejected")
        assert len(row[-1]) == len("0.0000")
        assert row[-4].endswith(f"/{n_learners - 1}")
    assert f"{score_name}, lower is better" in " ".join(" ".join(lines).split())


@pytest.mark.parametrize(
    ("width", "n_learners", "ballots"),
    [
        (80, 5, "✔ ★ ✔ ✘ ✔"),
        (80, 11, "✔★✔✘✔✘✔✘✔✘✔"),
        (80, 60, "30✔ 29✘ 1★"),
        (120, 50, "✔★" + "✔✘" * 24),
    ],
)
def test_marks_become_counts_when_they_do_not_fit(width, n_learners, ballots):
    live = make_view(n_learners, width, terminal=True)
    show(live, complete_round(1, n_learners))
    assert any(re.search(rf"learner 1 +{ballots} +\d+/", line) for line in draw_table(live))


@pytest.mark.parametrize("plural", [False, True])
def test_narrow_table_has_the_outcome_and_the_groups_score(plural: bool):
    live = make_view(5, 40, terminal=True)
    for index in range(3):
        show(live, complete_plural_round(index, 5, 5) if plural else complete_round(index, 5))
    lines = draw_table(live)
    assert max(map(len, lines)) <= 40
    assert ["round", "outcome", "group"] in [line.split() for line in lines]
    rows = [line.split() for line in lines if re.match(" +[012] ", line)]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert all(row[1] in ("accepted", "rejected") for row in rows)
    assert all(len(row[-1]) == len("0.0000") for row in rows[1:])


def test_narrow_comparison_of_a_demo_has_the_scores():
    plan: Any = SimpleNamespace(data=SimpleNamespace(task="classification"))
    comparison = Comparison(0.93, (0.915, 0.951), 0.944, 0.931, higher_is_better=True)
    out = StringIO()
    Console(file=out, width=40).print(_comparison_table(plan, comparison))
    shown = [line.split()[-1] for line in out.getvalue().splitlines() if "0." in line]
    assert shown == ["0.930", "0.931", "0.951", "0.933", "0.915", "0.951", "0.944"]


@pytest.mark.parametrize(("n_learners", "n_proposers"), [(5, 5), (32, 16), (100, 16)])
@pytest.mark.parametrize("width", [80, 120])
def test_table_of_plural_rounds_fits_the_width(width: int, n_learners: int, n_proposers: int):
    live = make_view(n_learners, width, terminal=True, score_name="mean squared error")
    for index in range(3):
        show(live, complete_plural_round(index, n_learners, n_proposers))
    lines = draw_table(live)
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    rows = [line.split() for line in lines if " learners " in line]
    half = f"{(n_proposers + 1) // 2}/{n_proposers}"
    assert [row[:3] for row in rows] == [[str(i), str(n_proposers), "learners"] for i in range(3)]
    assert all(row[-5:-2] == [half, "accepted", half] for row in rows)


def test_group_score_is_the_same_until_a_proposal_is_accepted():
    live = make_view(4, 100, terminal=True)
    show(live, rejected_round(0, 4, {1: 0.6, 2: 0.7, 3: 0.8}))
    show(live, rejected_round(1, 4, {0: 0.9, 2: 0.7, 3: 0.8}))
    rows = [line.split() for line in draw_table(live) if "learner " in line]
    assert [row[-2] for row in rows] == ["0.7000", "0.7500"], "the last one has all four learners"


def test_own_score_of_a_proposer_does_not_count():
    live = make_view(3, 100, terminal=True)
    show(live, complete_round(0, 3))
    (row,) = (line for line in draw_table(live) if "learner 0" in line)
    assert row.split()[-1] == "0.2500", "the proposer reported 0.5"


def test_missing_and_committed_ballots_have_different_marks():
    live = make_view(4, 80, terminal=True)
    committed = VoteCommitted(EXPERIMENT, 0, accounts(4)[2], b"\x03" * 32)
    show(live, [*open_round(0, 4), committed])
    (row,) = (line for line in draw_table(live) if "learner 0" in line)
    assert "★ ○ ● ○" in row
    assert "voting …" in row


def test_without_a_terminal_each_complete_round_is_one_line():
    live = make_view(3, 80, terminal=False)
    first, second = complete_round(0, 3), complete_round(1, 3)
    with live:
        show(live, [*first[:3], first[-1], *second])
        assert live._console.file.getvalue() == "", "two ballots are missing"
        show(live, first[3:-1])
    lines = live._console.file.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["round 0", "round 1"]
    assert "proposer learner 0, ballots ★✘✔, 1 of 2 approve (1 needed), accepted" in lines[0]


def test_line_of_a_plural_round_names_the_accepted_learners():
    live = make_view(5, 80, terminal=False)
    first, second = complete_plural_round(0, 5, 5), complete_plural_round(1, 5, 5)
    with live:
        show(live, [*first[:1], *first[2:], *second])
        assert live._console.file.getvalue() == "", "a proposal is missing"
        show(live, first[1:2])
    lines = live._console.file.getvalue().splitlines()
    assert lines[0] == (
        "round 0: proposers 0-4, ballots ✔✔✔✔✔, approvals 4 0 4 0 4 (2 needed), accepted 3/5 "
        "(learners 0, 2, 4), log loss of the group's model 0.1000, proposed 0.2500"
    )
    assert lines[1].startswith("round 1: proposers 1-4, 0, ")
    assert "(learners 0, 1, 3)" in lines[1]


def test_round_without_all_ballots_is_printed_at_the_end():
    live = make_view(3, 80, terminal=False)
    first = complete_round(0, 3)
    with live:
        show(live, [*first[:-2], first[-1]])
        assert live._console.file.getvalue() == ""
    assert "ballots ★✘○" in live._console.file.getvalue()
