"""The command `colearn history`: show an experiment's rounds, read from the contract."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.connect import Place, open_content_store
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.options import (
    ExperimentOptions,
    experiment_argument,
    store_option,
)
from colearn_learner.cli._support.output import (
    find_width,
    note,
    print_bytes,
    print_json,
    print_json_line,
    print_rich_lines,
    print_text,
    show_count,
    show_spinner,
)
from colearn_learner.cli._support.plots import check_plot
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_ledger.protocol import LedgerError

if TYPE_CHECKING:
    from rich.text import Text

    from colearn_ledger.history import History, ScoreKind


@dataclass(frozen=True, slots=True)
class _Output:
    """What to show of a history, and how."""

    round_index: int | None
    form: str | None
    as_json: bool
    plot: Path | None
    names: Path | None
    store: str | None
    lineage: bool
    contributions: bool
    fees: bool

    @property
    def is_for_people(self) -> bool:
        """Return whether the output is a table."""
        return self.form in (None, "table") and not self.as_json


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
    type=click.Choice(["table", "json", "jsonl", "csv", "parquet"]),
    help="table by default. The others contain all fields; jsonl has one line of JSON for the "
    "experiment, each round and each announcement, and csv and parquet have a row for each learner "
    "and slot. Times are in seconds since the epoch in json and jsonl, and in UTC in the others.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--lineage",
    is_flag=True,
    help="Show instead of the rounds which proposals each version of the weights was made of. The "
    "JSON contains this, too.",
)
@click.option(
    "--contributions",
    is_flag=True,
    help="Show instead of the rounds what each learner contributed: proposals, ballots, and by how "
    "much its accepted proposals improved the others' scores. The JSON contains this, too.",
)
@click.option(
    "--fees",
    is_flag=True,
    help="Show instead of the rounds what each account paid for its transactions; with --round, in "
    "this one. This reads a receipt for each transaction from the node. With --format json or "
    "jsonl, add this by round.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also draw the rounds: FILE ends with .png, .svg, or .html for a page with the table that "
    "opens from disk.",
)
@click.option(
    "--names",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help='A file of names for accounts, with lines such as alice = "0x…". Your own keys and '
    "names.toml in the folder of your networks are always used.",
)
@store_option
@collect(_Output, "output")
@report_errors
def history(*, experiment: ExperimentOptions, output: _Output) -> None:
    """Show the rounds of an experiment: proposals, ballots, outcomes and scores.

    With --lineage, --contributions or --fees, show the versions of the weights, the learners or
    the accounts that paid instead.

    Scores and announcements are read from the contract's events, which some nodes drop after a
    while, and the score's name from the specification in the store. Everything else is read from
    the contract's state. No key is needed.
    """
    _check_combination(output)
    if output.form == "parquet":
        need("pyarrow")
    if output.plot is not None:
        check_plot(output.plot)
    place = experiment.find()
    read = _read(place, output)
    if not (read.scores_complete or output.lineage or (output.fees and output.is_for_people)):
        note("The node has dropped some events, so some scores are missing; try another node.")
    if output.as_json or output.form == "json":
        print_json(json.loads(read.to_json(round_index=output.round_index)))
    elif output.form == "jsonl":
        _print_lines(read, output.round_index)
    elif output.form == "csv":
        print_text(_select_round(read, output).to_csv())
    elif output.form == "parquet":
        print_bytes(_select_round(read, output).to_parquet())
    else:
        print_rich_lines(_draw(read, output))
    if output.plot is not None:
        read.plot(output.plot)
        note(f"The rounds are drawn in {output.plot}.")


def _check_combination(output: _Output) -> None:
    """Refuse options that exclude each other, before anything is read."""
    if output.as_json and output.form not in (None, "json"):
        raise click.UsageError(f"--json means --format json, not {output.form}; leave one out")
    views = ("lineage", "contributions", "fees")
    given = [name for name in views if getattr(output, name)]
    if not given:
        return
    if len(given) > 1:
        raise click.UsageError("choose one of --lineage, --contributions and --fees")
    chosen = given[0]
    if output.form in ("csv", "parquet"):
        raise click.UsageError(
            f"--{chosen} is a table, or `{chosen}` in --format json; not {output.form}"
        )
    if output.plot is not None:
        raise click.UsageError(f"--{chosen} is not drawn; leave out --plot")
    if output.fees:
        return
    if not output.is_for_people:
        raise click.UsageError(f"the JSON always has `{chosen}`; leave out --{chosen}")
    if output.round_index is not None:
        raise click.UsageError(f"--{chosen} is about all rounds; leave out --round")


def _print_lines(read: History, round_index: int | None) -> None:
    from colearn_ledger.history.documents import make_lines

    for line in make_lines(read, round_index):
        print_json_line(line)


def _read(place: Place, output: _Output) -> History:
    from colearn_ledger.history import read_fees, read_history
    from colearn_ledger.keys.names import find_names

    ledger = place.open_view()
    with show_spinner("reading the contract"), explain_refusals(place.reference):
        if output.round_index is not None:
            ledger.round(place.experiment, output.round_index)  # raises an error if not begun
        read = read_history(ledger, place.experiment)
    if output.fees:
        with show_count("reading receipts") as count, explain_refusals(place.reference):
            fees = read_fees(ledger, place.experiment, on_progress=count)
        read = replace(read, fees=fees)
    if not output.is_for_people and output.plot is None:
        return read
    payers = [each.account for each in read.fees or ()]
    names = find_names([*payers, *(learner.account for learner in read.learners)], output.names)
    if output.lineage or output.fees:  # which have no scores
        return replace(read, names=names)
    with show_spinner("fetching the specification"):
        return replace(read, names=names, score=_fetch_score(place, read, output.store))


def _fetch_score(place: Place, read: History, store: str | None) -> ScoreKind | None:
    """Return what the scores measure, or explain why that is unknown."""
    from colearn_ledger.history import read_score

    chosen = store or place.network.store
    if not chosen:
        note("The score's name is unknown, because no store is known; give one with --store.")
        return None
    try:
        files = open_content_store(chosen, "history", to_read=True)
        return read_score(files, read.experiment.params.spec)
    except (LedgerError, OSError, click.UsageError) as error:
        note(f"The score's name is unknown, because the specification cannot be read: {error}")
        return None


def _select_round(read: History, output: _Output) -> History:
    if output.round_index is None:
        return read
    return replace(read, rounds=(read.rounds[output.round_index],))


def _draw(read: History, output: _Output) -> list[Text]:
    from colearn_ledger.history.contributions import contribution_lines
    from colearn_ledger.history.detail import round_lines
    from colearn_ledger.history.fees import fee_lines
    from colearn_ledger.history.lineage import lineage_lines
    from colearn_ledger.history.table import announcement_lines, table_lines

    width = find_width()
    if output.lineage:
        return lineage_lines(read, width=width)
    if output.contributions:
        return contribution_lines(read, width=width)
    if output.fees:
        return fee_lines(read, round_index=output.round_index, width=width)
    if output.round_index is not None:
        return round_lines(read, output.round_index, width=width)
    return [*table_lines(read, width=width), *announcement_lines(read, width=width)]
