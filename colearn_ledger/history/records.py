"""The records of an experiment's history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colearn_ledger.protocol import (
    Account,
    Ballot,
    ContentRef,
    Experiment,
    Learner,
    Round,
    Scores,
)
from colearn_ledger.text.shortening import shorten

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

    from colearn_ledger.history.chart import SidePanel
    from colearn_ledger.history.contributions import Contribution
    from colearn_ledger.history.fees import RoundFee
    from colearn_ledger.history.lineage import WeightsVersion
    from colearn_ledger.history.plot import Plot


@dataclass(frozen=True, slots=True)
class ScoreKind:
    """What the scores of an experiment measure, and whether a higher one is better."""

    name: str
    higher_is_better: bool

    def __str__(self) -> str:
        """Return the name with the direction, for people."""
        return f"{self.name}, {'higher' if self.higher_is_better else 'lower'} is better"


@dataclass(frozen=True, slots=True)
class BallotRecord:
    """One learner's ballot in one round.

    Args:
        ballot: the ballot as recorded on the ledger.
        current: its scores of the weights that the round started from.
        proposals: its scores of each proposal, by slot; empty if the ballot reported none.
    """

    ballot: Ballot
    current: Scores
    proposals: Mapping[int, Scores]


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round with a row for each learner that has joined, in order of index.

    ``scores`` are the ones that the proposers reported, one entry for each slot.
    """

    round: Round
    scores: tuple[Scores, ...]
    ballots: tuple[BallotRecord, ...]

    @property
    def accepted(self) -> tuple[int, ...]:
        """Return the slots whose proposals were accepted."""
        return tuple(i for i, slot in enumerate(self.round.slots) if slot.accepted)

    def find_slot(self, account: Account) -> int | None:
        """Return the slot in which an account was selected to propose."""
        proposers = [slot.proposer for slot in self.round.slots]
        return proposers.index(account) if account in proposers else None

    def scores_of(self, row: BallotRecord) -> dict[int, Scores]:
        """Return a learner's scores of the proposals by slot, with those of its own proposal."""
        slot = self.find_slot(row.ballot.learner)
        own = {} if slot is None or slot not in self.round.contents else {slot: self.scores[slot]}
        return {**row.proposals, **own}

    def approved_slots(self, ballot: Ballot) -> list[int]:
        """Return the slots that a ballot approves."""
        return [slot for slot in range(len(self.round.slots)) if ballot.approvals >> slot & 1]


@dataclass(frozen=True, slots=True)
class Announcement:
    """A file that a learner announced; ``time`` is in seconds since the epoch."""

    time: int
    learner: Account
    topic: str
    content: ContentRef


@dataclass(frozen=True, slots=True, repr=False)
class History:
    """The whole history of an experiment up to now.

    ``print(history)`` and `rich` show it as a table, a notebook as a page with a picture.

    Args:
        experiment: its current state.
        learners: every learner that joined, in order of index.
        rounds: every round that has begun.
        scores_complete: whether the ledger still had every event.
        announcements: every announcement, in order.
        score: what the scores measure; None if the specification was not read.
        fees: what accounts paid by round; None if it was not read, see `read_fees`.
        names: names of accounts, for people. The learners themselves have no names on a ledger.
    """

    experiment: Experiment
    learners: tuple[Learner, ...]
    rounds: tuple[RoundRecord, ...]
    scores_complete: bool
    announcements: tuple[Announcement, ...] = ()
    score: ScoreKind | None = None
    names: Mapping[Account, str] = field(default_factory=dict)
    fees: tuple[RoundFee, ...] | None = None

    def name_of(self, account: Account) -> str:
        """Return the account's name, or its two ends if it has none."""
        return self.names.get(account) or shorten(account)

    def lineage(self) -> tuple[WeightsVersion, ...]:
        """Return every version of the group's weights, with the proposals it was made of."""
        from colearn_ledger.history.lineage import trace_lineage

        return trace_lineage(self)

    def contributions(self) -> tuple[Contribution, ...]:
        """Return what each learner proposed, voted and improved, in order of index.

        The scores are the learners' own and not checked by anyone; docs/history.md has the
        definition.
        """
        from colearn_ledger.history.contributions import sum_contributions

        return sum_contributions(self)

    def to_json(self, *, round_index: int | None = None) -> str:
        """Return the history as JSON; infinite scores become strings and absent ones null.

        The JSON contains what the ledger has: no names, and nothing of the specification.

        Args:
            round_index: the only round to include; the rest of the JSON is still about all rounds.
        """
        from colearn_ledger.history.documents import write_json

        return write_json(self, round_index)

    def to_jsonl(self, *, round_index: int | None = None) -> Iterator[str]:
        """Yield the lines of the history as JSON Lines, with the same arguments as `to_json`.

        The first line is the experiment; each round and each announcement has its own.
        """
        from colearn_ledger.history.documents import write_jsonl

        return write_jsonl(self, round_index)

    def to_csv(self) -> str:
        """Return the history as CSV, with a row for each learner and slot in each round.

        Times are in UTC, as in ``2026-11-28T20:18:52Z``.
        """
        from colearn_ledger.history.documents import write_csv

        return write_csv(self)

    def to_parquet(self) -> bytes:
        """Return the rows of `to_csv` as a Parquet file, with times as timestamps in UTC.

        Raises:
            MissingPackage: pyarrow is not installed.
            TooLargeForParquet: a number, such as a time, exceeds 64 bits.
        """
        from colearn_ledger.history.documents import write_parquet

        return write_parquet(self)

    def to_pandas(self) -> Any:
        """Return the rows of `to_csv` as a DataFrame of `pandas`, with times as timestamps in UTC.

        Raises:
            MissingPackage: pandas is not installed.
        """
        from colearn_ledger.history.documents import make_frame

        return make_frame(self)

    def to_html(self) -> str:
        """Return a page that needs no other file and opens without a connection.

        It contains the picture only if matplotlib is installed.
        """
        from colearn_ledger.history.page import make_page
        from colearn_ledger.history.plot import draw_svg

        return make_page(self, draw_svg(self))

    def plot(self, path: str | Path | None = None, *, panel: SidePanel | None = None) -> Plot:
        """Draw the group's score, the proposals and the ballots by round.

        Args:
            path: a file to write: ``.png``, ``.svg``, or ``.html`` for a page with the table.
            panel: scores to compare beside the picture.

        Raises:
            MissingPackage: matplotlib is not installed.
            UnknownFormat: the file's name has another ending.
            FileError: the file cannot be written.
        """
        from colearn_ledger.history.plot import Plot, write_plot

        plot = Plot.of(self, panel)
        if path is not None:
            write_plot(self, plot, Path(path))
        return plot

    def __repr__(self) -> str:
        """Return one line about the history."""
        from colearn_ledger.history.table import describe_history

        return f"<History of {describe_history(self)}>"

    def __str__(self) -> str:
        """Return the table of the rounds, as wide as it needs to be."""
        from colearn_ledger.history.table import table_lines

        return "\n".join(line.plain for line in table_lines(self))

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterable[Text]:
        """Return the lines of the table, in the width of the console."""
        from colearn_ledger.history.table import table_lines

        return table_lines(self, width=options.max_width)

    def _repr_html_(self) -> str:
        """Return the history for notebooks."""
        from colearn_ledger.history.page import make_fragment
        from colearn_ledger.history.plot import draw_svg

        return make_fragment(self, draw_svg(self))
