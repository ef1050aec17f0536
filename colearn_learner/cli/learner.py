"""The commands `colearn learner`: check learners and serve them to agents on other machines."""

from __future__ import annotations

import logging
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.errors import INTERRUPTED, report_errors
from colearn_learner.cli._support.factories import find_factory, load_learner, parse_arguments
from colearn_learner.cli._support.monitor import monitor_option, monitored
from colearn_learner.cli._support.options import json_option, learner_argument_option, log_options
from colearn_learner.cli._support.output import print_fields, print_json, print_line
from colearn_learner.cli._support.remote_learner import TOKEN_VARIABLE, server_config
from colearn_learner.cli._support.signals import run_in_thread, stop_on_signals
from colearn_learner.cli.logs import log_event, start_logging
from colearn_learner.remote import DEFAULT_MAX_BYTES
from colearn_learner.remote.addresses import is_address

if TYPE_CHECKING:
    from colearn_learner.remote.monitoring import ServerMonitor
    from colearn_learner.remote.server import ServedCall

_log = logging.getLogger(__name__)

_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


@click.group()
def learner() -> None:
    """Learners: check one that you wrote, or serve one to an agent on another machine."""


@learner.command("checks")
@json_option
@report_errors
def list_checks(*, as_json: bool) -> None:
    """List the checks of `check`."""
    from colearn_learner.checks.kit import checks

    if as_json:
        print_json([{"name": name, "holds": line} for name, line in checks().items()])
        return
    print_fields(list(checks().items()))


@learner.command()
@click.argument("factory", metavar="MODULE:FACTORY")
@learner_argument_option
@click.option(
    "--skip",
    "skip",
    multiple=True,
    metavar="CHECK",
    help="Leave this check out; colearn learner checks lists them. Repeatable.",
)
@json_option
@report_errors
def check(*, factory: str, given: tuple[str, ...], skip: tuple[str, ...], as_json: bool) -> None:
    """Check that a learner keeps to the interface.

    MODULE:FACTORY is what makes the learner, as for colearn agent run; it is called some twenty
    times, so let it use little data. Exits with 1 when a check failed.
    """
    from colearn_learner.checks.kit import Verdict, check_learner

    arguments = parse_arguments(given)
    if is_address(factory):
        raise click.UsageError(
            f"{factory} is one learner, and the checks make some twenty: check its factory where "
            "it is served, and then serve it"
        )
    find_factory(factory)  # puts the working folder on the path; reports clear errors
    report = check_learner(factory, arguments, skip=skip)
    if as_json:
        outcomes = [
            {"name": c.name, "verdict": c.verdict.value, "reason": c.reason or None}
            for c in report.checks
        ]
        print_json({"factory": factory, "passed": report.passed, "checks": outcomes})
    else:
        for outcome in report.checks:
            verdict = outcome.verdict.value
            print_line(f" {outcome.name}", mark=verdict.ljust(8), colour=_COLOURS[verdict])
            for line in outcome.reason.splitlines():
                print_line(f"         {line}")
        counts = {v: sum(c.verdict is v for c in report.checks) for v in Verdict}
        print_line(", ".join(f"{count} {v.value}" for v, count in counts.items()))
    if not report.passed:
        raise click.exceptions.Exit(1)


@learner.command()
@click.option(
    "--learner",
    "factory",
    required=True,
    metavar="MODULE:FACTORY",
    help="What makes the learner, as for colearn agent run.",
)
@learner_argument_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; other machines can only reach it with TLS and a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=9995,
    show_default=True,
    help="0 takes a free one, which the log names.",
)
@click.option(
    "--tls-cert",
    "certificate",
    type=click.Path(path_type=Path),
    help="The server's certificate, PEM, with those between it and the CA.",
)
@click.option(
    "--tls-key",
    "key",
    type=click.Path(path_type=Path),
    help="The certificate's private key, PEM, without a password.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help=f"What agents have to know is in this file. [default: ${TOKEN_VARIABLE}]",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=DEFAULT_MAX_BYTES,
    show_default=True,
    help="The largest weights that are received or sent.",
)
@monitor_option
@log_options
@report_errors
def serve(
    *,
    factory: str,
    given: tuple[str, ...],
    monitor: str | None,
    as_json: bool,
    verbose: bool,
    **where: Any,
) -> None:
    """Serve a learner to an agent on another machine.

    Start the agent with --learner grpcs://HOST:PORT; without TLS, only agents on this machine can
    connect. Calls are handled one at a time. On SIGTERM or Ctrl-C the server finishes the current
    call; a second signal ends it at once. After a restart, the agent sends the accepted weights.
    """
    start_logging(as_json=as_json, verbose=verbose)
    arguments = parse_arguments(given)
    config = server_config(**where)  # reports errors before any data are loaded
    from colearn_learner.remote.server import LearnerServer

    made = load_learner(factory, arguments)
    with (
        monitored(monitor, _server_monitor) as watching,
        stop_on_signals(
            lambda name: log_event(
                _log, "stopping", signal=name, reason="the current call is finished first"
            )
        ) as stopping,
    ):
        served = LearnerServer(made, config, on_call=partial(_log_call, watching))
        address = served.start()
        log_event(
            _log,
            "listening",
            url=str(address),
            learner=factory,
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
