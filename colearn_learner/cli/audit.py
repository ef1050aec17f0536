"""The command `colearn audit`: check a whole experiment from the chain and the store alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.connect import Place, choose_store, open_content_store
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import (
    ExperimentOptions,
    experiment_argument,
    json_option,
    store_option,
)
from colearn_learner.cli._support.output import (
    note,
    print_fields,
    print_json,
    print_line,
    print_table,
    show_steps,
)
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_learner.cli._support.trust import Sources, TrustOptions, trust_options
from colearn_learner.errors import LearnerError
from colearn_ledger.protocol import LedgerError

if TYPE_CHECKING:
    from colearn_ledger.audit import AuditReport, Finding, Progress
    from colearn_ledger.weights.store import ContentStore

_FOUND, _UNABLE = 1, 2
_WIDTH = 58  # of a finding's text, beside the columns of round and kind in 80
_SHOWN = 100


class UnableToAudit(LearnerError):
    """The experiment could not be checked."""

    exit_code = _UNABLE


@dataclass(frozen=True, slots=True)
class _Options:
    """The store to check, and how to report."""

    store: str | None
    no_files: bool
    timeout: float
    as_json: bool


@click.command()
@experiment_argument
@store_option
@click.option("--no-files", is_flag=True, help="Check only the chain, and fetch no files.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="The most seconds to wait for each file.",
)
@trust_options
@json_option
@collect(_Options, "options")
@report_errors
def audit(*, experiment: ExperimentOptions, trust: TrustOptions, options: _Options) -> None:
    """Check an experiment against its rules, from the chain and the store alone.

    Replays every event through the rules of the protocol, compares the contract's state with the
    result, fetches and checks every file, and computes every merge again. No key is needed. The
    node is trusted to return the chain's real blocks, unless several are compared with --node, or
    its answers are proved with --prove.

    Exit codes: 0 nothing was found, 1 there are findings, 2 the experiment could not be checked.
    """
    place = experiment.find()
    sources = trust.choose_sources(place)
    with _explain_failures(), explain_refusals(place.reference):
        store = None if options.no_files else _open_store(place, options)
        report = _audit(sources, store, options)
    if options.as_json:
        print_json({"reference": str(place.reference), **sources.to_dict(), **report.to_dict()})
    else:
        _print_report(place, report, sources)
    if report.findings:
        raise click.exceptions.Exit(_FOUND)


@contextmanager
def _explain_failures() -> Iterator[None]:
    """End the command with the code for experiments that could not be checked."""
    try:
        yield
    except (LedgerError, LearnerError, OSError) as error:
        raise UnableToAudit(f"the experiment could not be checked: {error}") from error
    except click.ClickException as error:
        error.exit_code = _UNABLE  # type: ignore[misc]
        raise


def _open_store(place: Place, options: _Options) -> ContentStore:
    return open_content_store(choose_store(options.store, place.network), "auditor", to_read=True)


def _audit(sources: Sources, store: ContentStore | None, options: _Options) -> AuditReport:
    from colearn_ledger.audit import audit_experiment

    with show_steps("reading the contract") as show:
        report = audit_experiment(
            sources.open_first(show),
            store,
            sources.experiment,
            timeout=options.timeout,
            report_progress=lambda progress: show(_describe_progress(progress)),
        )
        compared = sources.compare(show)
    return replace(
        report,
        findings=(*report.findings, *compared.findings),
        unchecked=(*report.unchecked, *compared.unchecked),
    )


def _describe_progress(progress: Progress) -> str:
    total = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.stage.value}: {progress.done:,}{total}"


def _print_report(place: Place, report: AuditReport, sources: Sources) -> None:
    found, counts = report.experiment, report.counts
    print_fields(
        [
            ("experiment", str(place.reference)),
            *sources.describe(),
            ("name", found.params.name),
            ("status", found.status.name.lower()),
            ("replayed", f"{counts.events:,} events in {counts.rounds:,} rounds"),
            ("compared", f"{counts.ballots:,} records of ballots, {counts.transactions:,} calls"),
            (
                "verified",
                f"{counts.signatures:,} signed ballots, {counts.reveals:,} reveals, "
                f"{counts.selections:,} draws",
            ),
            ("files", f"{counts.files:,} checked, {counts.merges:,} merges computed again"),
        ]
    )
    for sentence in report.unchecked:
        note(f"Not checked: {sentence}")
    print_line()
    if not report.findings:
        print_line("No findings.", mark="✔ ", colour="green")
        return
    shown = report.findings[:_SHOWN]
    rows = [row for finding in shown for row in _finding_rows(finding)]
    print_table(("round", "kind", "finding"), rows, empty="")
    more = len(report.findings) - len(shown)
    note(f"{len(report.findings)} findings." + (f" See the last {more} with --json." * bool(more)))


def _finding_rows(finding: Finding) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of a finding; the first one has the round and the kind."""
    texts = (
        finding.subject,
        f"expected: {finding.expected}",
        f"found: {finding.found}",
        finding.meaning,
    )
    lines = [line for text in texts for line in textwrap.wrap(text, _WIDTH) or [""]]
    place = "all" if finding.round is None else str(finding.round)
    for number, line in enumerate(lines):
        yield (place, finding.kind.value, line) if number == 0 else ("", "", line)
