"""The command `colearn history`: show an experiment's rounds, read from the contract."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import ExperimentOptions, experiment_argument
from colearn_learner.cli._support.output import (
    format_numbers,
    format_time,
    note,
    print_json,
    print_line,
    print_table,
    print_text,
    shorten,
    show_spinner,
)
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_ledger.protocol import Account, BallotState, Scores

if TYPE_CHECKING:
    from colearn_ledger.history import BallotRecord, History, RoundRecord
    from colearn_ledger.protocol import Ballot

_MOST_COLUMNS = 6
"""Number of proposals whose scores fit beside each other in a table."""


@click.command()
@experiment_argument
@click.option(
    "--round",
    "round_index",
    type=click.IntRange(0, 2**32 - 1),
    help="Show only this round, counted from 0, with each proposal and ballot.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json and csv contain all fields; their times are in seconds since the epoch.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@report_errors
def history(
    *,
    experiment: ExperimentOptions,
    round_index: int | None,
    form: str,
    as_json: bool,
) -> None:
    """Show the rounds of an experiment: proposals, ballots, outcomes and scores.

    Scores and announcements are read from the contract's events, which some nodes drop after a
    while. Everything else is read from the contract's state.
    """
    from colearn_ledger.history import read_history

    place = experiment.find()
    ledger = place.open_view()
    with show_spinner("reading the contract"), explain_refusals(place.reference):
        if round_index is not None:
            ledger.round(place.experiment, round_index)  # raises an error if it has not begun
        read = read_history(ledger, place.experiment)
    if round_index is not None:
        read = replace(read, rounds=(read.rounds[round_index],))
    if not read.scores_complete:
        note("The node has dropped some events, so some scores are missing; try another node.")
    if as_json or form == "json":
        print_json(json.loads(read.to_json()))
    elif form == "csv":
        print_text(read.to_csv())
    else:
        _print(read, detailed=round_index is not None)


def _print(read: History, *, detailed: bool) -> None:
    e = read.experiment
    print_line(f"{e.params.name}: {e.status.name.lower()}, {len(read.learners)} learners")
    index_of = {learner.account: learner.index for learner in read.learners}
    print_table(
        ("round", "proposers", "outcome", "ballots", "score before", "closed", "weights"),
        [_row(record, index_of) for record in read.rounds],
        empty="No round has begun yet.",
    )
    if detailed:
        _print_slots(read.rounds[0], index_of)
        _print_ballots(read.rounds[0], index_of)
    elif read.rounds:
        print_line(
            "score before: the voters' mean vote score of the weights that the round started from"
        )
        if any(len(record.round.slots) == 1 for record in read.rounds):
            print_line(
                "ballots by learner: + approved, - rejected, · no ballot, ? not revealed, "
                "P proposer"
            )
    if read.announcements and not detailed:
        print_table(
            ("announced", "learner", "topic", "content"),
            [
                [format_time(each.time), shorten(each.learner), each.topic, each.content.cid]
                for each in read.announcements
            ],
            empty="",
        )


def _row(record: RoundRecord, index_of: Mapping[Account, int]) -> list[str]:
    """Return a line of the table, of the same length for any number of slots and learners."""
    round_ = record.round
    proposers = [index_of[slot.proposer] for slot in round_.slots]
    contents = list(round_.contents.values())
    if len(proposers) == 1:
        proposer = f"{proposers[0]} {shorten(round_.slots[0].proposer)}"
    else:
        proposer = format_numbers(proposers)
    return [
        str(round_.index),
        proposer,
        _outcome(record),
        _ballots(record),
        _score(_mean(row.current.vote_score for row in record.ballots)),
        format_time(round_.closed_at),
        contents[0].cid if len(contents) == 1 else f"{len(contents)} files" if contents else "-",
    ]


def _outcome(record: RoundRecord) -> str:
    round_ = record.round
    if round_.closed_at is None:
        return round_.phase.name.lower()
    outcome = round_.outcome.name.lower().replace("_", " ")
    if len(round_.slots) == 1 or not record.accepted:
        return outcome
    slots = "slot" if len(record.accepted) == 1 else "slots"
    numbers = format_numbers(record.accepted)
    return f"{outcome} {len(record.accepted)} of {len(round_.contents)} ({slots} {numbers})"


def _ballots(record: RoundRecord) -> str:
    round_ = record.round
    if len(round_.slots) > 1:
        approvals = "/".join(str(round_.slots[slot].approvals) for slot in round_.contents)
        return (
            f"{round_.ballots} of {round_.voters}, approvals {approvals or '-'}, "
            f"{round_.needed} needed"
        )
    signs = "".join(_sign(record, row.ballot) for row in record.ballots)
    for_it = round_.slots[0].approvals
    return f"{signs} {for_it}:{round_.ballots - for_it}, {round_.needed} needed"


def _sign(record: RoundRecord, ballot: Ballot) -> str:
    """Return the sign of a ballot on a single proposal."""
    if record.find_slot(ballot.learner) is not None:
        return "P"
    if ballot.state == BallotState.CAST:
        return "+" if ballot.approvals else "-"
    return "?" if ballot.state == BallotState.COMMITTED else "·"


def _print_slots(record: RoundRecord, index_of: Mapping[Account, int]) -> None:
    rows = []
    for number, (slot, scores) in enumerate(zip(record.round.slots, record.scores, strict=True)):
        proposed = slot.content is not None
        rows.append(
            [
                str(number),
                f"{index_of[slot.proposer]} {shorten(slot.proposer)}",
                "accepted" if slot.accepted else slot.state.name.lower(),
                f"{slot.approvals} of {record.round.eligible}" if proposed else "-",
                _score(scores.vote_score),
                _score(scores.test_score),
                slot.content.cid if slot.content else "-",
            ]
        )
    columns = ("slot", "proposer", "state", "approvals", "vote score", "test score", "weights")
    print_table(columns, rows, empty="")


def _print_ballots(record: RoundRecord, index_of: Mapping[Account, int]) -> None:
    slots = list(record.round.contents)
    columns = ["learner", "account", "ballot", "approves", "score before"]
    if len(slots) == 1:
        columns += ["vote score", "test score"]
    elif len(slots) <= _MOST_COLUMNS:
        columns += [f"slot {slot}" for slot in slots]
    rows = [
        [
            str(index_of[row.ballot.learner]),
            row.ballot.learner,
            *_describe_ballot(record, row.ballot),
            _score(row.current.vote_score),
            *_describe_scores(record, row),
        ]
        for row in record.ballots
    ]
    print_table(columns, rows, empty="")
    if 1 < len(slots) <= _MOST_COLUMNS:
        print_line("slot 0, 1 …: vote scores; --json also has the test scores")
    elif len(slots) > _MOST_COLUMNS:
        print_line("--json has the scores of each proposal")


def _describe_ballot(record: RoundRecord, ballot: Ballot) -> tuple[str, str]:
    """Return a ballot's state and the slots that it approves, as text."""
    if not ballot.eligible:
        only_proposer = record.find_slot(ballot.learner) is not None
        return ("proposer" if only_proposer else "not eligible"), "-"
    if ballot.state != BallotState.CAST:
        return ballot.state.name.lower(), "-"
    return "cast", format_numbers(record.approved_slots(ballot)) or "none"


def _describe_scores(record: RoundRecord, row: BallotRecord) -> list[str]:
    """Return a learner's scores of the proposals, as many as the table has columns."""
    slots, scores = list(record.round.contents), record.scores_of(row)
    if len(slots) == 1:
        only = scores.get(slots[0], Scores())
        return [_score(only.vote_score), _score(only.test_score)]
    if len(slots) > _MOST_COLUMNS:
        return []
    return [_score(scores.get(slot, Scores()).vote_score) for slot in slots]


def _mean(scores: Iterable[float | None]) -> float | None:
    known = [score for score in scores if score is not None and math.isfinite(score)]
    return math.fsum(known) / len(known) if known else None


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.6g}"
