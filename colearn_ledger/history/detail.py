"""Show one round of an experiment: each proposal, and each ballot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from colearn_ledger.history.columns import (
    Column,
    draw_columns,
    draw_legend,
    fit_columns,
    make_columns,
    make_text,
    wrap_text,
)
from colearn_ledger.history.marks import explain_marks, mark_ballot
from colearn_ledger.history.numbers import ScoreFormat
from colearn_ledger.history.summary import RoundSummary, describe_outcome, summarise_rounds
from colearn_ledger.history.table import count
from colearn_ledger.protocol import Scores
from colearn_ledger.text.ranges import format_numbers
from colearn_ledger.text.shortening import shorten

if TYPE_CHECKING:
    from rich.text import Text

    from colearn_ledger.history.records import BallotRecord, History

_MOST_SLOTS = 6
"""The most proposals whose scores are columns; more would not fit beside each other."""


def round_lines(history: History, index: int, *, width: int | None = None) -> list[Text]:
    """Return the lines about a round.

    Args:
        history: the whole history.
        index: the number of the round.
        width: the most characters in a line; by default as many as all columns need. Only CIDs,
            which are complete, can be longer.
    """
    summary = summarise_rounds(history)[index]
    round_ = summary.record.round
    title = (
        f"Round {index} of experiment {history.experiment.id}: {describe_outcome(round_)}, "
        f"{round_.ballots} of {count(round_.voters, 'ballot')}, "
        f"{count(round_.needed, 'approval')} needed"
    )
    lines = wrap_text(title, width)
    if history.score is not None:
        lines += wrap_text(f"Score: {history.score}", width)
    detail = _Detail(history, summary)
    heads = set()
    for columns in (detail.proposals(), detail.ballots()):
        shown = fit_columns(columns, width)
        heads |= {column.head for column in shown}
        lines += [make_text(), *draw_columns(shown, width)]
    lines += [make_text(), *draw_legend(detail.explain(heads), width)]
    if round_.contents:
        lines += [make_text(), *wrap_text("Weights of the proposals, by slot:", width)]
    lines += [make_text(f"{slot:>4}  {content.cid}") for slot, content in round_.contents.items()]
    return lines


class _Detail:
    """The tables of one round."""

    def __init__(self, history: History, summary: RoundSummary) -> None:
        self._history = history
        self._record = summary.record
        self._round = summary.record.round
        self._summary = summary
        self._slots = list(self._round.contents)
        seen = [row.current.vote_score for row in self._record.ballots]
        for row in self._record.ballots:
            seen += [scores.vote_score for scores in row.proposals.values()]
        self._format = ScoreFormat.fitting(seen)

    def proposals(self) -> list[Column]:
        voters = {proposal.slot: proposal.voters for proposal in self._summary.proposals}
        rows = []
        for number, (slot, own) in enumerate(
            zip(self._round.slots, self._record.scores, strict=True)
        ):
            mean = voters.get(number, Scores())
            rows.append(
                {
                    "slot": str(number),
                    "proposer": self._history.name_of(slot.proposer),
                    "state": "accepted" if slot.accepted else slot.state.name.lower(),
                    "votes": f"{slot.approvals} of {self._round.eligible}" if slot.content else "-",
                    "own": self._format.format(own.vote_score),
                    "own, test": self._format.format(own.test_score),
                    "voters": self._format.format(mean.vote_score),
                    "voters, test": self._format.format(mean.test_score),
                }
            )
        return _columns(rows, {"own, test": 4, "voters, test": 5, "own": 2, "voters": 1})

    def ballots(self) -> list[Column]:
        rows = []
        for index, row in enumerate(self._record.ballots):
            account = row.ballot.learner
            name = self._history.name_of(account)
            rows.append(
                {
                    "index": str(index),
                    "learner": name,
                    "account": "" if name == shorten(account) else shorten(account),
                    **self._ballot(row),
                    "group": self._format.format(row.current.vote_score),
                    **self._scores(row),
                }
            )
        importance = {"account": 9, "test": 3, "index": 8}
        return _columns(rows, importance | {f"slot {slot}": 2 for slot in self._slots})

    def explain(self, shown: set[str]) -> list[tuple[str, str]]:
        """Return the terms of the columns that are shown, and their explanations."""
        own = "; test: on its test records" if "own, test" in shown else ""
        voters = "; test: on their test records" if "voters, test" in shown else ""
        possible = {
            "own": f"the proposer's own vote score of its proposal{own}",
            "voters": f"the voters' mean vote score of it{voters}",
            "group": "the learner's vote score of the group's model when the round began",
        }
        terms = [(head, text) for head, text in possible.items() if head in shown]
        if len(self._slots) > _MOST_SLOTS:
            terms.append(("--json", "has every learner's scores of each proposal"))
        elif self._slots:
            of = "the proposal" if len(self._slots) == 1 else "each proposal"
            terms.append(("slot …", f"the learner's vote score of {of}"))
        if len(self._round.slots) > 1:
            terms.append(("ballot", explain_marks(set(self._summary.marks), plural=True)))
        return terms

    def _ballot(self, row: BallotRecord) -> dict[str, str]:
        mark = mark_ballot(self._record, row.ballot)
        if len(self._round.slots) == 1:
            return {"ballot": mark.describe()}
        approved = format_numbers(self._record.approved_slots(row.ballot))
        return {"ballot": mark.symbol, "approves": approved}

    def _scores(self, row: BallotRecord) -> dict[str, str]:
        scores = self._record.scores_of(row)
        if len(self._slots) > _MOST_SLOTS:
            return {}
        shown = {
            f"slot {slot}": self._format.format(scores.get(slot, Scores()).vote_score)
            for slot in self._slots
        }
        if len(self._slots) == 1:
            shown["test"] = self._format.format(scores.get(self._slots[0], Scores()).test_score)
        return shown


def _columns(rows: Sequence[dict[str, str]], importance: dict[str, int]) -> list[Column]:
    left = {"proposer", "learner", "account", "state", "votes", "ballot", "approves"}
    flexible = {"proposer", "learner"}
    return make_columns(rows, importance=importance, left=left, flexible=flexible)
