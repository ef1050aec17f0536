"""The command `colearn audit`: check a whole experiment from the chain and the store alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.certificates import CertificateOptions, certificate_options
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
from colearn_learner.cli._support.reevaluation import (
    ReevaluationOptions,
    Scorer,
    reevaluation_options,
)
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_learner.cli._support.subcommands import CommandWithSubcommands
from colearn_learner.cli._support.trust import Sources, TrustOptions, trust_options
from colearn_learner.cli.audit_verify import verify
from colearn_learner.errors import LearnerError
from colearn_ledger.protocol import LedgerError

if TYPE_CHECKING:
    from colearn_ledger.audit import AuditReport, Finding, KeptFiles, Progress
    from colearn_ledger.audit.certificate import Source
    from colearn_ledger.ledger import LedgerView
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
    fresh: bool
    timeout: float
    as_json: bool


@click.command(cls=CommandWithSubcommands)
@experiment_argument
@store_option
@click.option("--no-files", is_flag=True, help="Check only the chain, and fetch no files.")
@click.option("--fresh", is_flag=True, help="Fetch also what an interrupted audit has fetched.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="The most seconds to wait for each file.",
)
@trust_options
@reevaluation_options
@certificate_options
@json_option
@collect(_Options, "options")
@report_errors
def audit(
    *,
    experiment: ExperimentOptions,
    trust: TrustOptions,
    reevaluation: ReevaluationOptions,
    certificate: CertificateOptions,
    options: _Options,
) -> None:
    """Check an experiment against its rules, from the chain and the store alone.

    Replays every event through the rules of the protocol, compares the contract's state with the
    result, fetches and checks every file, and computes every merge again. No key is needed. The
    node is trusted to return the chain's real blocks, unless several are compared with --node, or
    its answers are proved with --prove.

    Exit codes: 0 nothing was found, 1 there are findings, 2 the experiment could not be checked.
    """
    with _explain_failures():
        certificate.check(no_files=options.no_files)
        reevaluation.check(no_files=options.no_files)
    place = experiment.find()
    sources = trust.choose_sources(place)
    with _explain_failures(), explain_refusals(place.reference):
        store = None if options.no_files else _open_store(place, options)
        certificate.check_experiment(sources.settled)
        with show_steps("connecting") as show:
            ledger = sources.open_first(show)
        scorer = reevaluation.open(ledger, place.experiment, store, options.timeout)
        report = _audit(sources, ledger, store, options, scorer)
    scores = None if scorer is None else scorer.compare(report)
    if options.as_json:
        more = {} if scores is None else {"reevaluation": scores.to_dict()}
        described = {"reference": sources.reference, **sources.to_dict(), **report.to_dict()}
        print_json({**described, **more})
    else:
        _print_report(report, sources)
    with _explain_failures():
        if store is not None:
            certificate.write(_make_source(sources, report, ledger, store, options))
        if scores is not None:
            reevaluation.finish(scores, report, as_json=options.as_json)
    if report.findings:
        raise click.exceptions.Exit(_FOUND)


audit.add_command(verify)


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


def _audit(
    sources: Sources,
    ledger: LedgerView,
    store: ContentStore | None,
    options: _Options,
    scorer: Scorer | None,
) -> AuditReport:
    from colearn_ledger.audit import Fetching, audit_experiment

    with (
        _keep_files(sources.reference, options) as kept,
        show_steps("reading the contract") as show,
    ):
        report = audit_experiment(
            ledger,
            store,
            sources.experiment,
            fetching=Fetching(options.timeout, kept),
            report_progress=lambda progress: show(_describe_progress(progress)),
            on_weights=None if scorer is None else partial(scorer.score, show=show),
        )
        compared = sources.compare(show)
    return replace(
        report,
        findings=(*report.findings, *compared.findings),
        unchecked=(*report.unchecked, *compared.unchecked),
    )


@contextmanager
def _keep_files(reference: str, options: _Options) -> Iterator[KeptFiles | None]:
    """Yield the files of an audit that was interrupted; they are kept if this one is, too."""
    from colearn_ledger.audit import keep_files

    if options.no_files:
        yield None
        return
    with keep_files(reference, fresh=options.fresh) as kept:
        try:
            yield kept
        except KeyboardInterrupt:
            if kept is not None and kept.has_files:
                note("The files that were fetched are kept: the same command continues with them.")
            raise


def _make_source(
    sources: Sources,
    report: AuditReport,
    ledger: LedgerView,
    store: ContentStore,
    options: _Options,
) -> Source:
    from colearn_ledger.audit.certificate import Source

    trust = sources.explain_trust()
    return Source(sources.reference, report, ledger, store, options.timeout, trust)


def _describe_progress(progress: Progress) -> str:
    total = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.stage.value}: {progress.done:,}{total}"


def _print_report(report: AuditReport, sources: Sources) -> None:
    found, counts = report.experiment, report.counts
    print_fields(
        [
            ("experiment", sources.reference),
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
    if counts.reused:
        note(
            f"{counts.reused:,} of {counts.files:,} files were fetched by an audit that was "
            "interrupted, and only checked again. --fresh fetches all."
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
