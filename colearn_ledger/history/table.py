"""Show an experiment's rounds as a table, with one line for each round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from colearn_ledger.history.columns import (
    Column,
    draw_columns,
    draw_legend,
    fit_columns,
    make_text,
    wrap_text,
)
from colearn_ledger.history.marks import Mark, explain_marks
from colearn_ledger.history.numbers import ScoreFormat
from colearn_ledger.history.summary import RoundSummary, mean_scores, summarise_rounds
from colearn_ledger.protocol import ContentRef, Outcome, Scores
from colearn_ledger.text.shortening import shorten

if TYPE_CHECKING:
    from rich.text import Text

    from colearn_ledger.history.records import History

_MOST_NAMED = 12
"""The most learners whose names are listed below the table."""

_MOST_ANNOUNCEMENTS = 5
"""The most announcements below the table, which are the last ones."""

_IMPORTANCE = {
    **{"voters": 1, "mean": 1, "own": 2, "best": 2, "ballots": 3, "closed": 4},
    **{"weights": 5, "accepted": 6},
}
"""What a narrow table leaves out, the largest number first; the other columns always stay."""

_LEGEND = {
    "own": "the proposal, by its proposer's own vote score",
    "voters": "the proposal, by the voters' mean vote score",
    "best": "the best proposal, by its voters' mean vote score",
    "mean": "the mean of the proposals, each by its voters' mean vote score",
}

_RIGHT = {"round", "group", "own", "voters", "best", "mean"}
_STYLES = {
    Outcome.ACCEPTED: "bold green",
    Outcome.REJECTED: "red",
    Outcome.NO_PROPOSAL: "yellow",
    Outcome.ABANDONED: "yellow",
}


def describe_history(history: History) -> str:
    """Return one line about an experiment: id, name, status, and its size."""
    e = history.experiment
    closed = sum(record.round.outcome != Outcome.NONE for record in history.rounds)
    learners = count(len(history.learners), "learner")
    status = e.status.name.lower()
    rounds = f"{closed} of {count(e.params.rounds, 'round')}"
    return f"experiment {e.id}, {e.params.name}: {status}, {rounds}, {learners}"


def count(number: int, what: str) -> str:
    """Return a number with its noun, in the plural unless the number is 1."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def table_lines(history: History, *, width: int | None = None) -> list[Text]:
    """Return the lines of the table.

    Args:
        history: the history.
        width: the most characters in a line; by default as many as all columns need.
    """
    summaries = summarise_rounds(history)
    title = describe_history(history)
    lines = wrap_text(title[0].upper() + title[1:], width)
    if not summaries:
        return [*lines, *wrap_text("No round has begun yet.", width)]
    lines += wrap_text(
        f"Score: {history.score or 'unknown, because the specification was not read'}", width
    )
    table = _Table(history, summaries, width)
    columns = fit_columns(table.columns(), width)
    legend = list(table.explain({column.head for column in columns}))
    return [
        *lines,
        make_text(),
        *draw_columns(columns, width),
        make_text(),
        *draw_legend(legend, width),
    ]


def announcement_lines(history: History, *, width: int | None = None) -> list[Text]:
    """Return the lines of a table of the last announcements; none if there are none."""
    if not history.announcements:
        return []
    earlier = len(history.announcements) - _MOST_ANNOUNCEMENTS
    rows = [
        (
            _format_time(each.time, "%Y-%m-%d %H:%M:%S"),
            history.name_of(each.learner),
            each.topic,
            shorten(each.content.cid),
        )
        for each in history.announcements[-_MOST_ANNOUNCEMENTS:]
    ]
    heads = ("announced", "learner", "topic", "content")
    columns = [
        Column(head, tuple(map(make_text, cells)), flexible=head in ("learner", "topic"))
        for head, cells in zip(heads, zip(*rows, strict=True), strict=True)
    ]
    lines = [make_text(), *draw_columns(columns, width)]
    if earlier > 0:
        lines += wrap_text(f"{count(earlier, 'earlier announcement')}: see --json", width)
    return lines


def table_columns(history: History) -> tuple[list[Column], list[tuple[str, str]]]:
    """Return all columns of a table that has at least one round, and its legend."""
    table = _Table(history, summarise_rounds(history), None)
    columns = fit_columns(table.columns(), None)
    return columns, list(table.explain({column.head for column in columns}))


class _Table:
    """The table of the rounds of one history."""

    def __init__(
        self, history: History, summaries: Sequence[RoundSummary], width: int | None
    ) -> None:
        self._history = history
        self._summaries = summaries
        self._plural = history.experiment.params.proposers > 1
        self._day = _find_common_day(summaries)
        n_learners = len(history.learners)
        self._shows_marks = width is None or n_learners <= max(8, width // 5)
        self._format = ScoreFormat.fitting(_vote_scores(summaries))

    def columns(self) -> list[Column]:
        rows = [self._row(summary) for summary in self._summaries]
        rows.append({head: make_text() for head in rows[0]} | self._now())
        return [
            Column(
                head,
                tuple(row[head] for row in rows),
                _IMPORTANCE.get(head, 0),
                right=head in _RIGHT,
                flexible=head == "proposer",
            )
            for head in rows[0]
        ]

    def explain(self, shown: set[str]) -> Iterator[tuple[str, str]]:
        """Yield terms of the table and their explanations."""
        needed = {summary.record.round.needed for summary in self._summaries}
        votes = f"; {count(min(needed), 'approval')} needed" if len(needed) == 1 else ""
        if self._plural:
            yield "accepted", f"proposals{votes} for each"
        else:
            yield "n of m", f"approvals and voters{votes}"
        yield "group", "the group's model when the round began, by the learners' mean vote score"
        if self._summaries[-1].after.mean.vote_score is None:
            yield "now", "the current model, which no learner has scored yet"
        for head, text in _LEGEND.items():
            if head in shown:
                yield head, text
        if "closed" in shown:
            yield "closed", "time" + ("" if self._day is None else f" on {self._day}") + ", in UTC"
        if "ballots" in shown:
            used = {mark for summary in self._summaries for mark in summary.marks}
            yield (
                "ballots",
                f"of {self._name_learners()}: {explain_marks(used, plural=self._plural)}",
            )

    def _name_learners(self) -> str:
        learners = self._history.learners
        if len(learners) > _MOST_NAMED:
            return "the learners in the order in which they joined"
        return ", ".join(self._history.name_of(learner.account) for learner in learners)

    def _row(self, summary: RoundSummary) -> dict[str, Text]:
        round_ = summary.record.round
        scores = self._plural_scores(summary) if self._plural else self._scores(summary)
        contents = list(round_.contents.values())
        row = {"round": str(round_.index)}
        if not self._plural:
            row["proposer"] = self._history.name_of(round_.slots[0].proposer)
        shown = {name: make_text(text) for name, text in row.items()}
        shown["outcome"] = make_text(summary.outcome, _STYLES.get(round_.outcome, "cyan"))
        shown["ballots"] = self._marks(summary.marks)
        shown["group"] = make_text(self._format.format(summary.before.mean.vote_score))
        shown |= {name: make_text(score) for name, score in scores.items()}
        shown["closed"] = make_text(self._time(round_.closed_at))
        if self._plural:
            names = [self._history.name_of(p.proposer) for p in summary.proposals if p.accepted]
            shown["accepted"] = make_text(", ".join(names))
            contents = [round_.contents[slot] for slot in summary.record.accepted]
        shown["weights"] = make_text(_describe_files(contents))
        return shown

    def _now(self) -> dict[str, Text]:
        score = self._summaries[-1].after.mean.vote_score
        return {
            "round": make_text("now", "bold"),
            "group": make_text(self._format.format(score), "bold"),
        }

    def _scores(self, summary: RoundSummary) -> dict[str, str]:
        own, voters = None, None
        for proposal in summary.proposals:
            own, voters = proposal.own.vote_score, proposal.voters.vote_score
        return {"own": self._format.format(own), "voters": self._format.format(voters)}

    def _plural_scores(self, summary: RoundSummary) -> dict[str, str]:
        means = [p.voters.vote_score for p in summary.proposals]
        known = [mean for mean in means if mean is not None]
        shown = {}
        if (score := self._history.score) is not None:
            best = (max if score.higher_is_better else min)(known, default=None)
            shown["best"] = self._format.format(best)
        mean = mean_scores(Scores(mean) for mean in known).vote_score
        return {**shown, "mean": self._format.format(mean)}

    def _marks(self, marks: Sequence[Mark]) -> Text:
        return draw_marks(marks) if self._shows_marks else count_marks(marks)

    def _time(self, seconds: int | None) -> str:
        if seconds is None:
            return ""
        return _format_time(seconds, "%m-%d %H:%M" if self._day is None else "%H:%M:%S")


def draw_marks(marks: Sequence[Mark], between: str = "") -> Text:
    """Return a mark for each learner."""
    line = make_text()
    for number, mark in enumerate(marks):
        line.append(between if number else "").append(mark.symbol, mark.style)
    return line


def count_marks(marks: Sequence[Mark]) -> Text:
    """Return the number of each mark, for more learners than fit."""
    line = make_text()
    for mark in Mark:
        if number := marks.count(mark):
            line.append(" " if line.plain else "").append(f"{number}{mark.symbol}", mark.style)
    return line


def _describe_files(contents: Sequence[ContentRef]) -> str:
    if len(contents) > 1:
        return f"mean of {len(contents)}"
    return shorten(contents[0].cid) if contents else "-"


def _format_time(seconds: int, form: str) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):  # a chain's clock may be far off
        return str(seconds)


def _vote_scores(summaries: Sequence[RoundSummary]) -> Iterator[float | None]:
    for summary in summaries:
        yield summary.before.mean.vote_score
        yield from (proposal.voters.vote_score for proposal in summary.proposals)
    yield summaries[-1].after.mean.vote_score


def _find_common_day(summaries: Sequence[RoundSummary]) -> str | None:
    """Return the day on which all closed rounds were closed; None if there are several."""
    closed = [summary.record.round.closed_at for summary in summaries]
    days = {_format_time(seconds, "%Y-%m-%d") for seconds in closed if seconds is not None}
    return days.pop() if len(days) == 1 else None
