"""Trace the lineage of the weights: the proposals of which each version of them was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colearn_ledger.history.columns import (
    draw_columns,
    draw_legend,
    fit_columns,
    make_columns,
    make_text,
    wrap_text,
)
from colearn_ledger.history.table import count, describe_history
from colearn_ledger.protocol import Account, ContentRef
from colearn_ledger.text.shortening import shorten

if TYPE_CHECKING:
    from rich.text import Text

    from colearn_ledger.history.records import History, RoundRecord

_IMPORTANCE = {"before": 3, "slot": 2, "weights": 1}
_LEFT = {"proposer", "weights"}


@dataclass(frozen=True, slots=True)
class AcceptedProposal:
    """A proposal that became weights of the group, alone or merged with others."""

    slot: int
    proposer: Account
    content: ContentRef


@dataclass(frozen=True, slots=True)
class WeightsVersion:
    """A version of the group's weights.

    Args:
        version: its number, counted from 0.
        round: the round that accepted it; None for the initial weights.
        previous: the version that its proposals were trained from; None for the first.
        initial: the initial weights, if this version is these.
        proposals: the accepted proposals in slot order. One was adopted as it is; the version is
            the mean of several.
    """

    version: int
    round: int | None
    previous: int | None
    initial: ContentRef | None
    proposals: tuple[AcceptedProposal, ...]


def trace_lineage(history: History) -> tuple[WeightsVersion, ...]:
    """Return every version of the weights, in order; see `History.lineage`."""
    initial = history.experiment.params.initial
    versions = [] if initial is None else [WeightsVersion(0, None, None, initial, ())]
    for record in history.rounds:
        if proposals := tuple(_accepted_proposals(record)):
            number = len(versions)
            previous = number - 1 if versions else None
            versions.append(WeightsVersion(number, record.round.index, previous, None, proposals))
    return tuple(versions)


def lineage_lines(history: History, *, width: int | None = None) -> list[Text]:
    """Return the lines of a table with a line for each proposal of each version.

    Args:
        history: the history.
        width: the most characters in a line; by default as many as all columns need.
    """
    versions = trace_lineage(history)
    title = f"Weights of {describe_history(history)}, {count(len(versions), 'version')}"
    lines = wrap_text(title, width)
    if not versions:
        return [*lines, *wrap_text("There are no weights yet.", width)]
    rows = [row for version in versions for row in _rows(history, version)]
    made = make_columns(rows, importance=_IMPORTANCE, left=_LEFT, flexible={"proposer"})
    columns = fit_columns(made, width)
    legend = list(_explain(versions, {column.head for column in columns}))
    return [
        *lines,
        make_text(),
        *draw_columns(columns, width),
        make_text(),
        *draw_legend(legend, width),
    ]


def _accepted_proposals(record: RoundRecord) -> Iterator[AcceptedProposal]:
    for number, slot in enumerate(record.round.slots):
        if slot.accepted and slot.content is not None:
            yield AcceptedProposal(number, slot.proposer, slot.content)


def _rows(history: History, version: WeightsVersion) -> Iterator[dict[str, str]]:
    first = {
        "version": str(version.version),
        "before": "-" if version.previous is None else str(version.previous),
        "round": "-" if version.round is None else str(version.round),
    }
    if version.initial is not None:
        weights = shorten(version.initial.cid)
        yield {**first, "slot": "-", "proposer": "(initial)", "weights": weights}
    for number, proposal in enumerate(version.proposals):
        yield {
            **(first if number == 0 else dict.fromkeys(first, "")),
            "slot": str(proposal.slot),
            "proposer": history.name_of(proposal.proposer),
            "weights": shorten(proposal.content.cid),
        }


def _explain(versions: Sequence[WeightsVersion], shown: set[str]) -> Iterator[tuple[str, str]]:
    several = any(len(version.proposals) > 1 for version in versions)
    what = "the mean of its proposals if there are several" if several else "the group's weights"
    if "before" in shown:
        yield "version", what
        yield "before", "the version that the proposals were trained from"
    else:
        yield "version", f"{what}; they were trained from the version before"
    yield "round", "the round that accepted it"
    if "weights" in shown:
        yield "weights", "the proposed file; the JSON has the complete CIDs"
