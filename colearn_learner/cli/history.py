"""The command `colearn history`: show an experiment's rounds, read from the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import ExperimentOptions, experiment_argument
from colearn_learner.cli._support.output import (
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
from colearn_ledger.protocol import Account, BallotState

if TYPE_CHECKING:
    from colearn_ledger.history import History, RoundRecord

_SIGN = {
    BallotState.NONE: "·",
    BallotState.COMMITTED: "?",
    BallotState.APPROVED: "+",
    BallotState.REJECTED: "-",
}


@click.command()
@experiment_argument
@click.option(
    "--round",
    "round_index",
    type=click.IntRange(0, 2**32 - 1),
    help="Show only this round, counted from 0.",
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

    Scores are read from the contract's events, which some nodes drop after a while. Everything
    else is read from the contract's state.
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
        ("round", "proposer", "outcome", "ballots", "vote score", "closed", "weights"),
        [_row(record, index_of[record.round.proposer]) for record in read.rounds],
        empty="No round has begun yet.",
    )
    if detailed:
        _print_ballots(read.rounds[0], index_of)
    elif read.rounds:
        print_line(
            "ballots by learner: + approved, - rejected, · no ballot, ? not revealed, P proposer"
        )


def _row(record: RoundRecord, proposer: int) -> list[str]:
    round_ = record.round
    signs = "".join(
        "P" if row.ballot.learner == round_.proposer else _SIGN[row.ballot.state]
        for row in record.ballots
    )
    outcome = round_.outcome.name if round_.closed_at is not None else round_.phase.name
    return [
        str(round_.index),
        f"{proposer} {shorten(round_.proposer)}",
        outcome.lower().replace("_", " "),
        f"{signs} {round_.approvals}:{round_.rejections}, {round_.needed} needed",
        _score(record.scores.vote_score),
        format_time(round_.closed_at),
        round_.content.cid if round_.content else "-",
    ]


def _print_ballots(record: RoundRecord, index_of: Mapping[Account, int]) -> None:
    rows = []
    for row in record.ballots:
        proposed = row.ballot.learner == record.round.proposer
        scores = record.scores if proposed else row.scores
        state = "not eligible" if not row.ballot.eligible else row.ballot.state.name.lower()
        rows.append(
            [
                str(index_of[row.ballot.learner]),
                row.ballot.learner,
                "proposer" if proposed else state,
                _score(scores.vote_score),
                _score(scores.test_score),
            ]
        )
    print_table(("learner", "account", "ballot", "vote score", "test score"), rows, empty="")


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.6g}"
