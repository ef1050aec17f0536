"""Show the demo's progress: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from colearn_learner.agent.observation import Observation
from colearn_learner.cli._support.output import format_numbers
from colearn_ledger.protocol import (
    Account,
    Event,
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

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_OF_A_ROUND = (
    *(RoundStarted, WeightsProposed, VotingStarted),
    *(VoteCommitted, VoteCast, RoundClosed),
)

_STYLES = {
    Outcome.ACCEPTED: "bold green",
    Outcome.REJECTED: "red",
    Outcome.NO_PROPOSAL: "yellow",
    Outcome.ABANDONED: "yellow",
}

_CAPTION = "★ proposer  ✔ approved  ✘ rejected  ● committed  · no ballot yet"
_PLURAL_CAPTION = (
    "★ proposer  ✔ approved some  ✘ approved none\n"
    "● committed  · no ballot yet\n"
    "approve: proposals with enough approvals"
)

_MARKS = {"yes": ("✔", "green"), "no": ("✘", "red"), "committed": ("●", "magenta")}


@dataclass(slots=True)
class _Row:
    """The known part of a round."""

    proposers: tuple[int, ...] = ()
    needed: int = 0
    eligible: int = 0
    voting: bool = False
    proposed: dict[int, Scores] = field(default_factory=dict)
    committed: set[int] = field(default_factory=set)
    votes: dict[int, Vote] = field(default_factory=dict)
    accepted: int = 0
    outcome: Outcome = Outcome.NONE

    @property
    def is_plural(self) -> bool:
        """Return whether several learners were selected to propose."""
        return len(self.proposers) > 1

    @property
    def is_complete(self) -> bool:
        """Return whether the round is closed and the events of all voters have arrived."""
        if not self.proposers or self.outcome == Outcome.NONE:
            return False
        if self.outcome in (Outcome.NO_PROPOSAL, Outcome.ABANDONED):
            return True
        proposals = len(self.proposed)
        voters = self.eligible + (proposals > 1)
        judged = {len(vote.scores) - 1 for vote in self.votes.values()}
        return judged <= {proposals} and len(self.votes) == voters

    @property
    def accepted_slots(self) -> list[int]:
        """Return the slots whose proposals were accepted."""
        return [slot for slot in sorted(self.proposed) if self.accepted >> slot & 1]

    def approvals(self, slot: int) -> int:
        """Return the number of known ballots that approve the proposal of a slot."""
        return sum(vote.approves(slot) for vote in self.votes.values())

    def mean(self) -> float | None:
        """Return the mean test score of the accepted proposals, or of all if none is accepted."""
        slots = self.accepted_slots or sorted(self.proposed)
        found = [self.proposed[slot].test_score for slot in slots]
        places = [1 + sorted(self.proposed).index(slot) for slot in slots]
        for vote in self.votes.values():
            if len(vote.scores) == 1 + len(self.proposed):
                found += [vote.scores[place].test_score for place in places]
        known = [score for score in found if score is not None and math.isfinite(score)]
        return math.fsum(known) / len(known) if known else None


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
        else:
            self._print_whole_rounds(at_the_end=True)

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
            row.proposers = tuple(self._index[account] for account in event.proposers)
            row.needed, row.eligible = event.needed, event.eligible
        elif isinstance(event, WeightsProposed):
            row.proposed[event.slot] = event.scores
        elif isinstance(event, VotingStarted):
            row.voting = True
        elif isinstance(event, VoteCommitted):
            row.committed.add(self._index[event.learner])
        elif isinstance(event, VoteCast):
            row.votes[self._index[event.learner]] = event.vote
        elif isinstance(event, RoundClosed):
            row.outcome, row.accepted = event.outcome, event.accepted

    def _print_whole_rounds(self, *, at_the_end: bool = False) -> None:
        """Print each complete round once, in order; at the end, all closed rounds."""
        while row := self._rows.get(self._printed):
            if not (row.is_complete or (at_the_end and row.outcome != Outcome.NONE)):
                return
            self._print_line(self._printed, row)
            self._printed += 1

    def _print_line(self, index: int, row: _Row) -> None:
        marks = "".join(self._mark(row, i)[0] for i in range(len(self._index)))
        approvals = f"{row.approvals(0)} of {row.eligible} approve"
        outcome = _outcome(row)
        if row.is_plural:
            counts = " ".join(str(row.approvals(slot)) for slot in sorted(row.proposed))
            approvals = f"approvals {counts or 'none'}"
            accepted = sorted(row.proposers[slot] + 1 for slot in row.accepted_slots)
            outcome += f" (learners {format_numbers(accepted)})" if accepted else ""
        self._console.print(
            f"round {index + 1}: {_proposers(row)}, ballots {marks}, "
            f"{approvals} ({row.needed} needed), {outcome}, mean {self._score_name} {_mean(row)}",
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
            caption=_PLURAL_CAPTION if self._has_plural_rounds() else _CAPTION,
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
                _approvals(row),
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
        plural = self._has_plural_rounds()
        proposer = max(
            len("proposer"), len(f"learner {len(self._index)}"), plural * len("16 learners")
        )
        outcome = len("accepted 16/16" if plural else "no proposal")
        score = max(len("000.0000"), *map(len, self._score_name.split()))
        between = 17  # three characters between two columns, one at either end
        return len("round") + proposer + len("approve") + outcome + score + between

    def _has_plural_rounds(self) -> bool:
        return any(row.is_plural for row in self._rows.values())

    def _shown_rows(self) -> list[tuple[int, _Row]]:
        """Return the last rounds, as many as fit on the screen."""
        fit = max(3, self._console.height - 8)
        return sorted(self._rows.items())[-fit:]

    @staticmethod
    def _mark(row: _Row, learner: int) -> tuple[str, str]:
        if learner in row.votes:
            return _MARKS["yes" if row.votes[learner].approvals else "no"]
        if learner in row.committed:
            return _MARKS["committed"]
        return ("★", "bold blue") if learner in row.proposers else ("·", "dim")


def _proposer(row: _Row) -> str:
    if row.is_plural:
        return f"{len(row.proposers)} learners"
    return f"learner {row.proposers[0] + 1}" if row.proposers else "…"


def _proposers(row: _Row) -> str:
    if row.is_plural:
        return f"proposers {format_numbers([learner + 1 for learner in row.proposers])}"
    return f"proposer {_proposer(row)}"


def _approvals(row: _Row) -> str:
    """Return the approvals of a single proposal, or how many of several have enough of them."""
    if not row.is_plural:
        return f"{row.approvals(0)}/{row.eligible}"
    passing = sum(row.approvals(slot) >= row.needed for slot in row.proposed)
    return f"{passing}/{len(row.proposed)}"


def _outcome(row: _Row) -> str:
    if row.outcome == Outcome.ACCEPTED and row.is_plural:
        return f"accepted {len(row.accepted_slots)}/{len(row.proposed)}"
    if row.outcome != Outcome.NONE:
        return row.outcome.name.lower().replace("_", " ")
    return "voting …" if row.voting else "training …"


def _mean(row: _Row) -> str:
    mean = row.mean()
    return "–" if mean is None else f"{mean:.4f}"
