"""Show the demo's progress: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from colearn_learner.agent.observation import Observation
from colearn_ledger.history.marks import Mark, explain_marks
from colearn_ledger.history.summary import mean_scores
from colearn_ledger.history.table import count_marks, draw_marks
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
from colearn_ledger.text.ranges import format_numbers

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from colearn_ledger.history import ScoreKind

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

    def current_scores(self) -> dict[int, Scores]:
        """Return each voter's scores of the weights that the round began with."""
        return {voter: vote.scores[0] for voter, vote in self.votes.items()}

    def scores_of(self, slot: int) -> dict[int, Scores]:
        """Return the scores of a proposal by each voter except for its proposer."""
        place = 1 + sorted(self.proposed).index(slot)
        return {
            voter: vote.scores[place]
            for voter, vote in self.votes.items()
            if len(vote.scores) == 1 + len(self.proposed) and self.proposers[slot] != voter
        }

    def proposed_score(self) -> float | None:
        """Return the voters' mean vote score of the accepted proposals, or of all if none is."""
        slots = self.accepted_slots or sorted(self.proposed)
        found = [score for slot in slots for score in self.scores_of(slot).values()]
        return mean_scores(found).vote_score


_HEADS = ("round", "proposer", "ballots", "approve", "outcome", "group", "proposed")
_HEADS_OF_NARROW = ("round", "outcome", "group")
_NARROWEST_BALLOTS = 4  # characters; with less room, only the narrow columns are shown


class LiveView(AbstractContextManager["LiveView"]):
    """A display of the agents of a simulation.

    `observe` may be called from any thread, but not from several at the same time.

    Args:
        console: where to draw.
        accounts: the learners' accounts, in order of index.
        score: what the scores measure.
    """

    def __init__(self, console: Console, accounts: Sequence[Account], *, score: ScoreKind) -> None:
        from rich.live import Live

        self._console = console
        self._index = {account: i for i, account in enumerate(accounts)}
        self._score = score
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
        marks = "".join(self._mark(row, i).symbol for i in range(len(self._index)))
        approvals = f"{row.approvals(0)} of {row.eligible} approve"
        outcome = _outcome(row)
        if row.is_plural:
            counts = " ".join(str(row.approvals(slot)) for slot in sorted(row.proposed))
            approvals = f"approvals {counts or 'none'}"
            accepted = sorted(row.proposers[slot] for slot in row.accepted_slots)
            outcome += f" (learners {format_numbers(accepted)})" if accepted else ""
        self._console.print(
            f"round {index}: {_proposers(row)}, ballots {marks}, "
            f"{approvals} ({row.needed} needed), {outcome}, {self._score.name} of the group's "
            f"model {_score(self._group_score(index))}, proposed {_score(row.proposed_score())}",
            highlight=False,
            soft_wrap=True,
        )

    def _table(self) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        # `_ballots` leaves room for the other columns
        table = Table(
            box=SIMPLE_HEAD,
            pad_edge=False,
            caption=self._caption(),
            caption_justify="left",
        )
        is_narrow = self._console.width < self._width_of_the_rest() + _NARROWEST_BALLOTS
        heads = _HEADS_OF_NARROW if is_narrow else _HEADS
        for head in heads:
            is_number = head in ("round", "approve", "group", "proposed")
            table.add_column(head, justify="right" if is_number else "left", no_wrap=True)
        for index, row in self._shown_rows():
            cells: dict[str, Text | str] = {
                "round": str(index),
                "proposer": _proposer(row),
                "ballots": self._ballots(row),
                "approve": _approvals(row),
                "outcome": Text(_outcome(row), _STYLES.get(row.outcome, "cyan")),
                "group": _score(self._group_score(index)),
                "proposed": _score(row.proposed_score()),
            }
            table.add_row(*(cells[head] for head in heads))
        return table

    def _group_score(self, index: int) -> float | None:
        """Return the score of the group's model when a round began, as in `colearn history`.

        It is a mean over the learners that have scored this model so far, in any round.
        """
        scores: dict[int, Scores] = {}
        for number in range(index, -1, -1):
            row = self._rows.get(number, _Row())
            if number < index and (accepted := row.accepted_slots):
                if len(accepted) == 1:
                    own = {row.proposers[accepted[0]]: row.proposed[accepted[0]]}
                    scores = {**own, **row.scores_of(accepted[0]), **scores}
                break
            scores = {**row.current_scores(), **scores}
        return mean_scores(scores.values()).vote_score

    def _caption(self) -> str:
        marks = explain_marks(set(Mark) - {Mark.OUTSIDE}, plural=self._has_plural_rounds())
        lines = [f"{marks}", f"group: the group's model when the round began; {self._score}"]
        if self._has_plural_rounds():
            lines.append("approve, outcome: numbers of proposals")
        return "\n".join(lines)

    def _ballots(self, row: _Row) -> Text:
        """Return a mark for each learner, or the number of each mark if they do not fit."""
        n_learners = len(self._index)
        marks = [self._mark(row, i) for i in range(n_learners)]
        room = self._console.width - self._width_of_the_rest()
        if n_learners > room:
            return count_marks(marks)
        return draw_marks(marks, " " if 2 * n_learners <= room else "")

    def _width_of_the_rest(self) -> int:
        """Return the width, in characters, of all columns except the ballots."""
        plural = self._has_plural_rounds()
        proposer = max(
            len("proposer"), len(f"learner {len(self._index) - 1}"), plural * len("16 learners")
        )
        outcome = len("accepted 16/16" if plural else "no proposal")
        scores = len("000.0000") + len("proposed")
        between = 20  # three characters between two columns, one at either end
        return len("round") + proposer + len("approve") + outcome + scores + between

    def _has_plural_rounds(self) -> bool:
        return any(row.is_plural for row in self._rows.values())

    def _shown_rows(self) -> list[tuple[int, _Row]]:
        """Return the last rounds, as many as fit on the screen."""
        fit = max(3, self._console.height - 8)
        return sorted(self._rows.items())[-fit:]

    @staticmethod
    def _mark(row: _Row, learner: int) -> Mark:
        if learner in row.votes:
            return Mark.APPROVED if row.votes[learner].approvals else Mark.REJECTED
        if learner in row.committed:
            return Mark.COMMITTED
        if learner in row.proposers:
            return Mark.PROPOSER
        return Mark.MISSING if row.voting else Mark.OUTSIDE


def _proposer(row: _Row) -> str:
    if row.is_plural:
        return f"{len(row.proposers)} learners"
    return f"learner {row.proposers[0]}" if row.proposers else "…"


def _proposers(row: _Row) -> str:
    if row.is_plural:
        return f"proposers {format_numbers(row.proposers)}"
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


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.4f}"
