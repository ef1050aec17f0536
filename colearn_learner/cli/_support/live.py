"""Show the demo's progress: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from colearn_learner.agent.loop import Observation
from colearn_ledger.protocol import (
    Account,
    Event,
    Outcome,
    RoundClosed,
    RoundStarted,
    VoteCast,
    VoteCommitted,
    WeightsProposed,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_OF_A_ROUND = (RoundStarted, WeightsProposed, VoteCommitted, VoteCast, RoundClosed)

_STYLES = {
    Outcome.ACCEPTED: "bold green",
    Outcome.REJECTED: "red",
    Outcome.NO_PROPOSAL: "yellow",
    Outcome.ABANDONED: "yellow",
}

_MARKS = {"yes": ("✔", "green"), "no": ("✘", "red"), "committed": ("●", "magenta")}


@dataclass(slots=True)
class _Row:
    """The known part of a round."""

    proposer: int | None = None
    needed: int = 0
    eligible: int = 0
    proposed: bool = False
    marks: dict[int, str] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    approvals: int = 0
    ballots: int = 0
    awaited: int = 0
    outcome: Outcome = Outcome.NONE


class LiveView(AbstractContextManager["LiveView"]):
    """A display of the agents of a simulation.

    `observe` may be called from any thread, but not from several at the same time.

    Args:
        console: where to draw.
        accounts: the learners' accounts, in order of index.
        score_name: name of the score.
    """

    def __init__(self, console: Console, accounts: Sequence[Account], *, score_name: str) -> None:
        from rich.live import Live

        self._console = console
        self._index = {account: i for i, account in enumerate(accounts)}
        self._score_name = score_name
        self._rows: dict[int, _Row] = {}
        self._printed = 0
        self._live = (
            Live(self._table(), console=console, refresh_per_second=12, transient=False)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def observe(self, observation: Observation) -> None:
        """Process an observation of an agent."""
        for event in observation.events:
            self._fold(event)
        if self._live is not None:
            self._live.update(self._table())
        else:
            self._print_whole_rounds()

    def _fold(self, event: Event) -> None:
        """Process an event; the events of different agents can arrive in any order."""
        if not isinstance(event, _OF_A_ROUND):
            return
        row = self._rows.setdefault(event.round, _Row())
        if isinstance(event, RoundStarted):
            row.proposer = self._index[event.proposer]
            row.needed, row.eligible = event.needed, event.eligible
        elif isinstance(event, WeightsProposed):
            row.proposed = True
            self._add_score(row, event.scores.test_score)
        elif isinstance(event, VoteCommitted):
            row.marks.setdefault(self._index[event.learner], "committed")
        elif isinstance(event, VoteCast):
            row.marks[self._index[event.learner]] = "yes" if event.vote.approve else "no"
            row.approvals += event.vote.approve
            row.ballots += 1
            self._add_score(row, event.vote.scores.test_score)
        elif isinstance(event, RoundClosed):
            row.outcome = event.outcome
            row.awaited = event.approvals + event.rejections

    def _print_whole_rounds(self) -> None:
        """Print each complete round once, in order."""
        while (row := self._rows.get(self._printed)) and row.proposer is not None:
            if row.outcome == Outcome.NONE or row.ballots != row.awaited:
                return
            self._print_line(self._printed, row)
            self._printed += 1

    @staticmethod
    def _add_score(row: _Row, score: float | None) -> None:
        if score is not None and math.isfinite(score):
            row.scores.append(score)

    def _print_line(self, index: int, row: _Row) -> None:
        marks = "".join(self._mark(row, i)[0] for i in range(len(self._index)))
        self._console.print(
            f"round {index + 1}: proposer {_proposer(row)}, ballots {marks}, "
            f"{row.approvals} of {row.eligible} approve ({row.needed} needed), "
            f"{_outcome(row)}, mean {self._score_name} {_mean(row)}",
            highlight=False,
            soft_wrap=True,
        )

    def _table(self) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        # `_ballots` leaves room for the other columns; the name of the score is shortened first
        table = Table(
            box=SIMPLE_HEAD,
            pad_edge=False,
            caption="★ proposer  ✔ approved  ✘ rejected  ● committed  · no ballot yet",
            caption_justify="left",
        )
        table.add_column("round", justify="right")
        table.add_column("proposer", no_wrap=True)
        table.add_column("ballots", no_wrap=True)
        table.add_column("approve", justify="right")
        table.add_column("outcome", no_wrap=True)
        table.add_column(self._score_name, justify="right")
        for index, row in self._shown_rows():
            table.add_row(
                str(index + 1),
                _proposer(row),
                self._ballots(row),
                f"{row.approvals}/{row.eligible}",
                Text(_outcome(row), _STYLES.get(row.outcome, "cyan")),
                _mean(row),
            )
        return table

    def _ballots(self, row: _Row) -> Text:
        """Return a mark for each learner, or the number of each mark if they do not fit."""
        from rich.text import Text

        n_learners = len(self._index)
        marks = [self._mark(row, i) for i in range(n_learners)]
        room = self._console.width - self._width_of_the_rest()
        if n_learners <= room:
            space = " " if 2 * n_learners <= room else ""
            return Text(space).join(Text(*mark) for mark in marks)
        counted = [(mark, marks.count(mark)) for mark in _MARKS.values()]
        return Text(" ").join(Text(f"{n} {mark[0]}", mark[1]) for mark, n in counted if n)

    def _width_of_the_rest(self) -> int:
        """Return the width, in characters, of all columns except the ballots."""
        proposer = max(len("proposer"), len(f"learner {len(self._index)}"))
        score = max(len("000.0000"), *map(len, self._score_name.split()))
        between = 17  # three characters between two columns, one at either end
        return len("round") + proposer + len("approve") + len("no proposal") + score + between

    def _shown_rows(self) -> list[tuple[int, _Row]]:
        """Return the last rounds, as many as fit on the screen."""
        fit = max(3, self._console.height - 8)
        return sorted(self._rows.items())[-fit:]

    @staticmethod
    def _mark(row: _Row, learner: int) -> tuple[str, str]:
        if learner == row.proposer:
            return "★", "bold blue"
        return _MARKS.get(row.marks.get(learner, ""), ("·", "dim"))


def _proposer(row: _Row) -> str:
    return "…" if row.proposer is None else f"learner {row.proposer + 1}"


def _outcome(row: _Row) -> str:
    if row.outcome != Outcome.NONE:
        return row.outcome.name.lower().replace("_", " ")
    return "voting …" if row.proposed else "training …"


def _mean(row: _Row) -> str:
    return f"{math.fsum(row.scores) / len(row.scores):.4f}" if row.scores else "–"
