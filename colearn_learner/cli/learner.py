"""The commands `colearn learner`: create, check and serve learners."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.errors import INTERRUPTED, need, report_errors
from colearn_learner.cli._support.factories import find_factory
from colearn_learner.cli._support.monitor import monitor_option, monitored
from colearn_learner.cli._support.options import (
    LearnerOptions,
    LogOptions,
    factory_argument,
    json_option,
    learner_options,
    log_options,
)
from colearn_learner.cli._support.output import (
    command_name,
    note,
    print_fields,
    print_json,
    print_line,
    print_paragraph,
    print_text,
)
from colearn_learner.cli._support.remote_learner import TOKEN_VARIABLE, ServerOptions
from colearn_learner.cli._support.signals import run_in_thread, stop_on_signals
from colearn_learner.cli.logs import log_event, start_logging
from colearn_learner.remote import DEFAULT_MAX_BYTES
from colearn_learner.remote.addresses import is_address
from colearn_learner.starters import STARTERS

if TYPE_CHECKING:
    from colearn_learner.checks.kit import CheckReport
    from colearn_learner.checks.watchdog import SlowCheck
    from colearn_learner.datasets.csv_tables import CsvTable
    from colearn_learner.remote.monitoring import ServerMonitor
    from colearn_learner.remote.server import ServedCall

_log = logging.getLogger(__name__)

_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


@click.group()
def learner() -> None:
    """Start a learner of your own, check it, or serve it to an agent on another machine."""


@learner.command("new")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(list(STARTERS)),
    default="numpy",
    show_default=True,
    help="The framework of the model.",
)
@click.option(
    "--csv",
    "records",
    type=click.Path(path_type=Path),
    help="Your records: a table with column names in its first line. Without it, the learner "
    "invents records.",
)
@click.option(
    "--target",
    metavar="COLUMN",
    help="The column of --csv that the model predicts: a class, of 2 to 20. [default: the last "
    "one]",
)
@report_errors
def create_new(*, path: Path, kind: str, records: Path | None, target: str | None) -> None:
    """Write a learner to start from, and an experiment that it fits.

    PATH is the new file of the learner, such as mine/tumours.py. The file experiment.toml is
    written beside it. Both work as they are. With --csv, the learner reads your records, and three
    learners share them; otherwise change it to read them.
    """
    from colearn_learner.cli._support.new_learner import describe_records, write_learner

    if target is not None and records is None:
        raise click.UsageError("--target is a column of a table; pass the table with --csv")
    starter = STARTERS[kind]
    need(*starter.packages)
    found = None if records is None else describe_records(records, target, starter)
    written = write_learner(path, starter, found)
    described = [] if found is None else _describe_table(found.table)
    print_fields(
        [
            (str(written.learner), "the learner"),
            (str(written.experiment), "the experiment"),
            *described,
        ]
    )
    if found is not None:
        note(
            f"{written.learner.name} contains the column names, the classes, and the mean and "
            "spread of each input. Everybody who gets the file can see them."
        )
    here = "" if written.learner.parent == Path() else f", in {written.learner.parent}"
    module = written.learner.stem
    me = command_name()
    print_text(
        f"\nNext{here}:\n"
        f"  python {module}.py   # simulate the experiment on this machine\n"
        f"  {me} learner check {module}:make_learner --learner-arg learner=0\n"
        f"  {me} experiment create --spec experiment.toml --key NAME\n"
    )


def _describe_table(table: CsvTable) -> list[tuple[str, str]]:
    columns = table.columns
    inputs = ", ".join(columns.inputs) if len(columns.inputs) <= 6 else str(len(columns.inputs))
    return [
        ("records", str(table.records)),
        ("predicts", f"{columns.target}: {', '.join(columns.classes)}"),
        ("inputs", inputs),
        *(("left out", f"{name}: {reason}") for name, reason in table.left_out.items()),
    ]


@learner.command("checks")
@json_option
@report_errors
def list_checks(*, as_json: bool) -> None:
    """List the checks that colearn learner check makes."""
    from colearn_learner.checks.kit import checks

    if as_json:
        print_json([{"name": name, "holds": line} for name, line in checks().items()])
        return
    print_fields(list(checks().items()))


@learner.command()
@factory_argument
@click.option(
    "--skip",
    multiple=True,
    metavar="CHECK",
    help="Skip this check; see colearn learner checks. Repeatable.",
)
@click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="The most seconds that one check may take. A learner that takes longer is reported as "
    "blocked.",
)
@json_option
@report_errors
def check(*, learner: LearnerOptions, skip: tuple[str, ...], limit: float, as_json: bool) -> None:
    """Check that a learner implements the interface correctly.

    MODULE:FACTORY is the function that makes the learner, as for colearn agent run. It is called
    about twenty times, so let it use little data. The exit code is 1 if a check failed.
    """
    from colearn_learner.checks.kit import check_learner

    arguments, factory = learner.parse(), learner.factory
    if is_address(factory):
        raise click.UsageError(
            f"{factory} is the address of a single learner, but the checks make about twenty; run "
            "them with the learner's factory, on the machine that serves it"
        )
    find_factory(factory)  # puts the working folder on the path; reports clear errors
    report = check_learner(factory, arguments, skip=skip, limit=limit, on_slow=_report_slow_check)
    if as_json:
        outcomes = [
            {
                "name": c.name,
                "verdict": c.verdict.value,
                "reason": c.reason or None,
                "where": c.where or None,
            }
            for c in report.checks
        ]
        print_json({"factory": factory, "passed": report.passed, "checks": outcomes})
    else:
        _print_report(report)
    if not report.passed:
        raise click.exceptions.Exit(1)


def _print_report(report: CheckReport) -> None:
    """Print a line for each check, and each cause of failures once."""
    groups = report.group()
    for first, *others in groups:
        verdict = first.verdict.value
        more = f" and {len(others)} more" if others else ""
        print_line(f" {first.name}{more}", mark=verdict.ljust(8), colour=_COLOURS[verdict])
        print_paragraph(first.reason, indent=9)
        if first.where:
            print_paragraph(f"at {first.where}", indent=9)
        if others:
            names = ", ".join(check.name for check in others)
            print_paragraph(f"the same in {names}", indent=9)
    counts = Counter(check.verdict.value for group in groups for check in group)
    text = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _COLOURS)
    left = len(report.checks) - counts.total()
    print_line(f"{text}, {left} not made, as they need a working learner" if left else text)


def _report_slow_check(slow: SlowCheck) -> None:
    where = f", at {slow.where}" if slow.where else ""
    note(f"{slow.name} is still running after {slow.seconds:.0f} s{where}; stop it with Ctrl-C")


@learner.command()
@learner_options("The function that makes the learner, as for colearn agent run.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; other machines can connect only with TLS and a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=9995,
    show_default=True,
    help="The port to listen on; 0 chooses a free one, which the log shows.",
)
@click.option(
    "--tls-cert",
    "certificate",
    type=click.Path(path_type=Path),
    help="The server's certificate with its intermediate certificates, in PEM format.",
)
@click.option(
    "--tls-key",
    "key",
    type=click.Path(path_type=Path),
    help="The certificate's private key in PEM format, without a password.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help=f"The file of the token that agents must send. [default: ${TOKEN_VARIABLE}]",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=DEFAULT_MAX_BYTES,
    show_default=True,
    help="The most bytes of weights to receive or send.",
)
@collect(ServerOptions, "options")
@monitor_option
@log_options
@report_errors
def serve(
    *, learner: LearnerOptions, options: ServerOptions, monitor: str | None, log: LogOptions
) -> None:
    """Serve a learner to an agent on another machine.

    Start the agent with --learner grpcs://HOST:PORT. Without TLS, only agents on this machine can
    connect. Calls are handled one at a time. On SIGTERM or Ctrl-C the server finishes the current
    call; a second signal stops it immediately. After a restart, the agent sends the accepted
    weights again.
    """
    start_logging(as_json=log.as_json, verbose=log.verbose)
    learner.parse()  # reports malformed arguments before anything else
    config = options.read()  # reports errors before any data are loaded
    from colearn_learner.remote.server import LearnerServer

    loaded = learner.load()
    with (
        monitored(monitor, _server_monitor) as watching,
        stop_on_signals(
            lambda name: log_event(
                _log, "stopping", signal=name, reason="the current call is finished first"
            )
        ) as stopping,
    ):
        served = LearnerServer(loaded, config, on_call=partial(_log_call, watching))
        address = served.start()
        log_event(
            _log,
            "listening",
            url=str(address),
            learner=learner.factory,
            tls=address.tls,
            token=config.token is not None,
            instance=served.instance,
        )

        def work() -> None:
            stopping.requested.wait()
            served.stop()

        run_in_thread(work)
        log_event(_log, "stopped")
    if stopping.signal == signal.SIGINT:
        raise click.exceptions.Exit(INTERRUPTED)


def _server_monitor() -> ServerMonitor:
    from colearn_learner.remote.monitoring import ServerMonitor

    return ServerMonitor()


def _log_call(watching: ServerMonitor | None, call: ServedCall) -> None:
    if watching is not None:
        watching.count(call)
    log_event(_log, call.method, seconds=round(call.seconds, 3), failure=call.failure or None)
