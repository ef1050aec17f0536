"""What people see of a history: table, picture, page, and data frame."""

from __future__ import annotations

import csv
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from colearn_ledger.history import Announcement, History, read_history
from colearn_ledger.history.chart import SidePanel, chart_of
from colearn_ledger.history.detail import round_lines
from colearn_ledger.history.drawing import draw_chart
from colearn_ledger.history.numbers import ScoreFormat
from colearn_ledger.history.plot import FileError, UnknownFormat
from colearn_ledger.history.summary import summarise_rounds
from colearn_ledger.history.table import announcement_lines
from colearn_ledger.optional import MissingPackage
from colearn_ledger.protocol import Account
from colearn_ledger.weights.unixfs import content_of
from tests.support.histories import NAMES, play_classic, play_plural, read_named
from tests.support.plural import PluralExperiment

HOSTILE = "\x1b[2J<script>alert(1)</script>$x$"


@pytest.fixture(scope="module")
def classic() -> History:
    return read_named(play_classic())


@pytest.fixture(scope="module")
def plural() -> History:
    return read_named(play_plural())


def draw_lines(history: History, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(history)
    return console.file.getvalue().splitlines()


def rows_of(lines: list[str]) -> list[list[str]]:
    """Return the cells of the lines about rounds, which begin with a number or ``now``."""
    return [line.split() for line in lines if re.match(r" {2,4}(\d+|now) ", line)]


def timed_out() -> History:
    now = [1_000.0]
    made = PluralExperiment(3, rounds=2, clock=lambda: now[0])
    now[0] += 10_000
    made.ledger.advance(made.id)
    return read_named(made)


# ----------------------------------------------------------------- summary


def test_group_score_changes_only_when_a_proposal_is_accepted(classic: History):
    before = [summary.before.mean.vote_score for summary in summarise_rounds(classic)]
    # in round 0, learner 0 proposes and reports no score of the initial weights until it votes
    assert before == pytest.approx([0.75, 0.4, 0.4, 0.4, 0.2])


def test_score_of_the_last_model_includes_every_learner(classic: History):
    # the voters 0 and 2, and the proposer 1, which reports a tenth of what the others do
    reported = (0.1125, 0.00875, 0.1)
    after = summarise_rounds(classic)[-1].after.mean.vote_score
    assert after == pytest.approx(sum(reported) / 3)


def test_own_score_of_the_proposer_is_kept_apart_from_the_voters(classic: History):
    (proposal,) = summarise_rounds(classic)[0].proposals
    assert proposal.own.vote_score == pytest.approx(0.045)
    assert proposal.voters.vote_score == pytest.approx(0.375)


def test_score_of_a_mean_is_unknown_until_the_next_round(plural: History):
    first, second, third = summarise_rounds(plural)
    assert first.after.mean == second.before.mean
    assert second.after.mean.vote_score is None
    assert third.before.mean.vote_score is None


def test_outcomes_are_distinguished(classic: History, plural: History):
    outcomes = [summary.outcome for summary in summarise_rounds(classic)]
    assert outcomes == [
        *("accepted 2 of 2", "rejected 0 of 2", "declined", "accepted 2 of 2", "accepted 2 of 2")
    ]
    assert [s.outcome for s in summarise_rounds(plural)] == ["3 of 5 accepted"] * 2 + ["proposing"]
    assert [s.outcome for s in summarise_rounds(timed_out())] == ["timed out", "proposing"]


# ------------------------------------------------------------------- table


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("n_learners", [3, 8, 32])
@pytest.mark.parametrize("n_proposers", [1, 3])
def test_each_round_has_one_line_at_any_width(width: int, n_learners: int, n_proposers: int):
    if n_proposers == 1:
        history = read_named(play_classic(6, n_learners))
    else:
        history = read_named(play_plural(n_learners, n_proposers, 6))
    lines = draw_lines(history, width)
    assert max(map(len, lines)) <= width
    rows = rows_of(lines)
    assert [row[0] for row in rows] == [*map(str, range(6)), "now"]
    assert not [line for line in lines if line != line.rstrip()]
    first = summarise_rounds(history)[0].before.mean.vote_score
    assert f"{first:.4g}"[:4] in " ".join(rows[0]), "the group's score is never left out"


def test_wide_table_has_every_column_of_a_classic_round(classic: History):
    lines = draw_lines(classic, 120)
    head = "round proposer outcome ballots group own voters closed weights"
    assert head.split() in [line.split() for line in lines]
    row = rows_of(lines)[1]
    assert row[:9] == ["1", "bob", "rejected", "0", "of", "2", "✘★✘", "0.4000", "0.0700"]
    assert "Score: log loss, lower is better" in lines
    assert any("on 1970-01-01, in UTC" in line for line in lines)


def test_wide_table_has_best_and_mean_of_a_plural_round(plural: History):
    lines = draw_lines(plural, 120)
    head = ["round", "outcome", "ballots", "group", "best", "mean", "closed", "accepted", "weights"]
    assert head in [line.split() for line in lines]
    # slot s has the mean of n + s / 100 over the other learners n
    assert rows_of(lines)[0][6:9] == ["1.9900", "1.5400", "2.0200"]
    assert any("✔ approved at least one" in line for line in lines)
    assert rows_of(lines)[0][-6:] == ["alice,", "carol,", "erin", "mean", "of", "3"]


def test_best_is_left_out_while_the_direction_is_unknown(plural: History):
    lines = draw_lines(replace(plural, score=None), 120)
    assert "best" not in " ".join(lines)
    assert any("Score: unknown" in line for line in lines)


def test_accounts_without_a_name_are_shortened(classic: History):
    account = classic.learners[0].account
    lines = draw_lines(replace(classic, names={}), 120)
    assert f"{account[:8]}…{account[-4:]}" in rows_of(lines)[0]


def test_missing_score_of_the_current_model_is_explained(classic: History, plural: History):
    assert not any(line.startswith("now ") for line in draw_lines(classic, 80))
    assert "now       the current model, which no learner has scored yet" in draw_lines(plural, 80)


def test_only_the_last_announcements_are_shown(plural: History):
    learner, file = plural.learners[1].account, content_of(b"the mean")
    made = tuple(Announcement(1_000 + n, learner, "merge", file) for n in range(7))
    lines = [str(line) for line in announcement_lines(replace(plural, announcements=made))]
    assert [line.split()[1:4] for line in lines if line.startswith("1970")] == [
        [f"00:16:{second}", "bob", "merge"] for second in range(42, 47)
    ]
    assert lines[-1] == "2 earlier announcements: see --json"
    assert "earlier" not in str(announcement_lines(replace(plural, announcements=made[:5])))


@pytest.mark.parametrize("width", [32, 40, 50, 120])
def test_legend_of_a_round_explains_the_columns_that_are_shown(classic: History, width: int):
    lines = [str(line) for line in round_lines(classic, 0, width=width)]
    [heads] = [set(line.split()) for line in lines if line.startswith("slot")][:1]
    explained = {found[1] for line in lines if (found := re.match("(own|voters)  ", line))}
    assert explained == heads & {"own", "voters"}
    assert ("own" in explained) == (width > 40)
    assert "2 of 2 ballots, 1 approval needed" in " ".join(lines)


def test_decimals_follow_the_size_of_the_scores():
    assert ScoreFormat.fitting([0.6931, 0.1]).format(0.5) == "0.5000"
    assert ScoreFormat.fitting([0.0031, 0.0021]).format(0.00213) == "0.002130"
    assert ScoreFormat.fitting([231.5, 120.0]).format(200) == "200.00"
    assert ScoreFormat().format(None) == "-"
    assert ScoreFormat().format(float("inf")) == "inf"
    assert len(ScoreFormat().format(1e300)) < 8


def test_repr_is_one_line_and_str_is_the_table(classic: History):
    assert repr(classic) == (
        "<History of experiment 1, plural: completed, 5 of 5 rounds, 3 learners>"
    )
    assert len(rows_of(str(classic).splitlines())) == 6


def test_experiment_without_rounds_has_a_table_and_a_picture():
    made = PluralExperiment(2, max_learners=3)
    history = read_history(made.ledger, made.id)
    assert "No round has begun yet." in str(history)
    assert "No round has begun yet." in history.to_html()


# ----------------------------------------------------------------- picture


def test_group_score_is_a_step_line_and_proposals_are_marks(classic: History):
    scores, _ = draw_chart(chart_of(classic)).axes
    line = next(line for line in scores.get_lines() if line.get_label() == "the group's model")
    assert line.get_drawstyle() == "steps-post"
    x, y = line.get_xdata(), line.get_ydata()
    assert list(x) == [-0.5, 0, 1, 2, 3, 4, 4.5]
    assert list(y[:5]) == pytest.approx([0.75, 0.4, 0.4, 0.4, 0.2])
    marks = {c.get_label(): c.get_offsets().tolist() for c in scores.collections}
    assert [x for x, _ in marks["proposal, accepted"]] == [0, 3, 4]
    beyond = marks.get("proposal, rejected, beyond the axis", [])
    assert [x for x, _ in [*marks["proposal, rejected"], *beyond]] == [1]
    legend = [text.get_text() for text in scores.get_legend().get_texts()]
    assert {"the group's model", "proposal, accepted"} <= set(legend)
    assert scores.get_ylabel().startswith("log loss, lower is better")


def test_one_terrible_proposal_does_not_hide_the_differences(classic: History):
    second = classic.rounds[1]
    rows = tuple(
        replace(
            row, proposals={slot: replace(s, vote_score=500.0) for slot, s in row.proposals.items()}
        )
        for row in second.ballots
    )
    rounds = (classic.rounds[0], replace(second, ballots=rows), *classic.rounds[2:])
    scores, _ = draw_chart(chart_of(replace(classic, rounds=rounds))).axes
    assert scores.get_ylim()[1] < 2
    labels = [collection.get_label() for collection in scores.collections]
    assert "proposal, rejected, beyond the axis" in labels


@pytest.mark.parametrize("rounds", [5, 15, 60])
def test_loss_that_falls_far_has_a_few_labelled_ticks(rounds: int):
    scores, _ = draw_chart(chart_of(read_named(play_classic(rounds)))).axes
    low, high = scores.get_ylim()
    ticks = [tick for tick in scores.get_yticks() if low <= tick <= high]
    assert 3 <= len(ticks) <= 10


def test_numbers_beside_lines_that_end_close_together_do_not_overlap(plural: History):
    scores, _ = draw_chart(chart_of(plural)).axes
    ends = {text.get_text(): text.get_verticalalignment() for text in scores.texts}
    assert ends == {"1.99": "top", "1.995": "bottom"}


def test_mark_of_no_vote_is_a_dot(classic: History):
    from matplotlib.collections import PathCollection

    _, votes = draw_chart(chart_of(classic)).axes
    drawn = [c for c in votes.collections if isinstance(c, PathCollection)]
    sizes = {len(marks.get_offsets()): marks.get_sizes()[0] for marks in drawn}
    n_outside = 2  # in the round that a proposer declined
    assert sizes[n_outside] < max(sizes.values()) / 10


def test_ballots_have_marks_beside_their_colours(classic: History):
    _, votes = draw_chart(chart_of(classic)).axes
    assert votes.get_xlabel().endswith(
        "✔ approved, ✘ rejected, ★ proposer, · no vote, framed: its proposal was accepted"
    )
    n_marks = sum(len(c.get_offsets()) for c in votes.collections if c.get_label() != "frames")
    assert n_marks >= 5 * 3
    assert [label.get_text() for label in votes.get_yticklabels()] == list(NAMES[:3])
    cells = np.asarray(votes.images[0].get_array())
    brightness = cells @ [0.299, 0.587, 0.114]
    approved, rejected = brightness[1, 0], brightness[0, 1]
    assert approved - rejected > 0.3, "they differ without colours, too"


@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_picture_is_written_in_each_format(classic: History, tmp_path: Path, ending: str):
    path = tmp_path / f"rounds.{ending}"
    panel = SidePanel("beside", "accuracy", (("together", 0.951), ("alone", 0.901)))
    classic.plot(path, panel=panel)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!DOCTYPE html>"}[ending]
    assert path.read_bytes().startswith(start)


def test_other_formats_and_missing_folders_are_refused(classic: History, tmp_path: Path):
    with pytest.raises(UnknownFormat, match=r"rounds\.pdf does not end with \.png, \.svg, \.html"):
        classic.plot(tmp_path / "rounds.pdf")
    with pytest.raises(FileError, match=r"cannot write .*rounds\.png: No such file"):
        classic.plot(tmp_path / "none" / "rounds.png")


def test_small_differences_beside_are_visible(classic: History):
    panel = SidePanel("beside", "accuracy", (("together", 0.951), ("alone", 0.901)))
    *_, beside = sorted(
        draw_chart(chart_of(classic), panel).axes, key=lambda a: a.get_position().x0
    )
    low, high = beside.get_xlim()
    assert high - low < 0.1


# -------------------------------------------------------------------- page


def test_page_needs_nothing_from_elsewhere(plural: History):
    page = plural.to_html()
    assert "default-src 'none'" in page
    assert "<svg" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)|url\((?!#)|@import""", page)
    assert "<?xml" not in page
    for learner in plural.learners:
        assert learner.account in page
    assert plural._repr_html_() in page


def test_text_of_strangers_is_escaped_everywhere(classic: History):
    params = replace(classic.experiment.params, name=HOSTILE.replace("\x1b", ""))
    names = {Account(learner.account): HOSTILE for learner in classic.learners}
    experiment = replace(classic.experiment, params=params)
    hostile = replace(classic, experiment=experiment, names=names)
    assert "<script" not in hostile.to_html()
    assert "\x1b" not in hostile.to_html()
    assert "\x1b" not in "\n".join(draw_lines(hostile, 200))
    assert hostile.plot().to_png()


def test_page_without_matplotlib_has_the_table(classic: History, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page = classic.to_html()
    assert "<svg" not in page
    assert "rejected 0 of 2" in page
    with pytest.raises(MissingPackage, match=r"plots need matplotlib.*colearn-ledger\[plot\]"):
        classic.plot()


# -------------------------------------------------------------- data frame


def test_times_in_csv_are_in_utc(classic: History):
    rows = list(csv.DictReader(io.StringIO(classic.to_csv())))
    assert rows[0]["closed_at"] == "1970-01-01T00:16:40Z"
    assert rows[0]["reveal_started_at"] == ""


def test_data_frame_has_the_rows_of_the_csv(classic: History):
    frame = classic.to_pandas()
    rows = list(csv.DictReader(io.StringIO(classic.to_csv())))
    assert list(frame.columns) == list(rows[0])
    assert len(frame) == len(rows) == 5 * 3
    assert str(frame["closed_at"].dt.tz) == "UTC"
    assert frame.groupby("round")["vote_score"].mean()[0] == pytest.approx((0.045 + 0.35 + 0.4) / 3)
    assert frame["accepted"].dtype == bool


def test_missing_pandas_is_explained(classic: History, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackage, match=r"pandas.*pip install 'colearn-ledger\[pandas\]'"):
        classic.to_pandas()
