"""Summarise what each learner contributed; docs/history.md defines the numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colearn_ledger.history.columns import (
    draw_columns,
    draw_legend,
    fit_columns,
    make_columns,
    make_text,
    wrap_text,
)
from colearn_ledger.history.numbers import ScoreFormat
from colearn_ledger.history.summary import mean_of
from colearn_ledger.history.table import describe_history
from colearn_ledger.protocol import Account, Ballot, BallotState, Outcome, SlotState

if TYPE_CHECKING:
    from rich.text import Text

    from colearn_ledger.history.records import History, RoundRecord

_IMPORTANCE = {"timed out": 2, "declined": 1}


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one learner contributed to an experiment up to now.

    Args:
        learner: the learner.
        proposals_made: the proposals that it made.
        proposals_accepted: those of them that were accepted.
        proposals_declined: how often it was selected and declined to propose.
        proposals_missed: how often it was selected and did not answer in time.
        ballots_cast: its counted ballots.
        ballots_missed: the votes that a deadline closed without its ballot.
        proposals_scored: the accepted proposals on which ``score_change`` is based.
        score_change: the sum over these of by how much the other voters scored the proposal higher
            than the weights before it, on average; None if there are none.
        gain: the same, but positive if the scores became better; None if it is not known whether
            higher is better.
    """

    learner: Account
    proposals_made: int
    proposals_accepted: int
    proposals_declined: int
    proposals_missed: int
    ballots_cast: int
    ballots_missed: int
    proposals_scored: int
    score_change: float | None
    gain: float | None


@dataclass(slots=True)
class _Tally:
    """What was counted of one learner so far."""

    states: list[SlotState] = field(default_factory=list)
    accepted: int = 0
    cast: int = 0
    missed: int = 0
    changes: list[float] = field(default_factory=list)


def sum_contributions(history: History) -> tuple[Contribution, ...]:
    """Return a row for each learner, in order of index; see `History.contributions`."""
    tallies: defaultdict[Account, _Tally] = defaultdict(_Tally)
    for record in history.rounds:
        for number, slot in enumerate(record.round.slots):
            tally = tallies[slot.proposer]
            tally.states.append(slot.state)
            tally.accepted += slot.accepted
            if slot.accepted and (change := _score_change(record, number)) is not None:
                tally.changes.append(change)
        for row in record.ballots:
            tally = tallies[row.ballot.learner]
            tally.cast += row.ballot.state == BallotState.CAST
            tally.missed += _is_missed(record, row.ballot)
    score = history.score
    sign = None if score is None else 1 if score.higher_is_better else -1
    accounts = (learner.account for learner in history.learners)
    return tuple(_make_contribution(account, tallies[account], sign) for account in accounts)


def contribution_lines(history: History, *, width: int | None = None) -> list[Text]:
    """Return the lines of a table with a line for each learner.

    Args:
        history: the history.
        width: the most characters in a line; by default as many as all columns need.
    """
    lines = wrap_text(f"Contributions to {describe_history(history)}", width)
    contributions = sum_contributions(history)
    if not contributions:
        return [*lines, *wrap_text("No learner has joined yet.", width)]
    if history.score is not None:
        lines += wrap_text(f"Score: {history.score}", width)
    form = ScoreFormat.fitting(each.score_change for each in contributions)
    rows = [_row(history, each, form) for each in contributions]
    made = make_columns(rows, importance=_IMPORTANCE, left={"learner"}, flexible={"learner"})
    columns = fit_columns(made, width)
    legend = list(_explain({column.head for column in columns}))
    return [
        *lines,
        make_text(),
        *draw_columns(columns, width),
        make_text(),
        *draw_legend(legend, width),
    ]


def _score_change(record: RoundRecord, number: int) -> float | None:
    """Return the mean over the other voters of their score of a proposal minus that before."""
    proposer = record.round.slots[number].proposer
    changes = []
    for row in record.ballots:
        after, before = row.proposals.get(number), row.current.vote_score
        if row.ballot.learner == proposer or after is None:
            continue
        if after.vote_score is not None and before is not None:
            changes.append(after.vote_score - before)
    return mean_of(changes)


def _is_missed(record: RoundRecord, ballot: Ballot) -> bool:
    voted = record.round.outcome in (Outcome.ACCEPTED, Outcome.REJECTED)
    # a vote may be settled before every ballot is cast; the others are not missed
    open_until_deadline = voted and record.round.by_deadline
    return open_until_deadline and ballot.eligible and ballot.state != BallotState.CAST


def _make_contribution(learner: Account, tally: _Tally, sign: int | None) -> Contribution:
    change = sum(tally.changes) if tally.changes else None
    return Contribution(
        learner,
        tally.states.count(SlotState.PROPOSED),
        tally.accepted,
        tally.states.count(SlotState.DECLINED),
        tally.states.count(SlotState.MISSED),
        tally.cast,
        tally.missed,
        len(tally.changes),
        change,
        None if change is None or sign is None else sign * change,
    )


def _row(history: History, each: Contribution, form: ScoreFormat) -> dict[str, str]:
    row = {
        "learner": history.name_of(each.learner),
        "accepted": f"{each.proposals_accepted} of {each.proposals_made}",
        "declined": str(each.proposals_declined),
        "timed out": str(each.proposals_missed),
        "ballots": f"{each.ballots_cast} of {each.ballots_cast + each.ballots_missed}",
    }
    if history.score is None:
        return {**row, "change": _format_change(each.score_change, form)}
    return {**row, "gain": _format_change(each.gain, form)}


def _format_change(change: float | None, form: ScoreFormat) -> str:
    if change is None or not math.isfinite(change):
        return form.format(change)
    return ("+" if change > 0 else "") + form.format(change)


def _explain(shown: set[str]) -> Iterator[tuple[str, str]]:
    yield "accepted", "accepted proposals of those that it made"
    if "declined" in shown:
        yield "declined", "how often it was selected and declined"
    if "timed out" in shown:
        yield "timed out", "how often it was selected and did not answer in time"
    yield "ballots", "ballots that it cast, of those and the ones that it missed"
    if "gain" in shown:
        yield (
            "gain",
            "how much better the other voters scored its accepted proposals than the weights "
            "before them, in sum; nobody checks scores",
        )
    else:
        yield (
            "change",
            "how much higher the other voters scored its accepted proposals than the weights "
            "before them, in sum; whether higher is better is unknown",
        )
