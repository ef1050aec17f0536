"""The command `colearn relay run`: submit the ballots of learners that cannot pay for gas."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.errors import INTERRUPTED, need, report_errors
from colearn_learner.cli._support.options import (
    ExperimentOptions,
    LogOptions,
    experiment_options,
    log_options,
)
from colearn_learner.cli._support.secrets import KeyOptions, key_options
from colearn_learner.cli._support.signals import run_in_thread, stop_on_signals
from colearn_learner.cli.logs import log_event, start_logging

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _RelayOptions:
    """The address to listen on, and the size of the batches."""

    host: str
    port: int
    wait: float
    batch: int


@click.group()
def relay() -> None:
    """Submit the signed ballots of learners whose accounts cannot pay for gas."""


@relay.command("run")
@experiment_options
@key_options
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8650,
    show_default=True,
    help="The port to listen on; 0 chooses a free one, which the log shows.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3_600),
    default=2.0,
    show_default=True,
    help="The most seconds to gather ballots before a batch is submitted.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 1_000),
    default=100,
    show_default=True,
    help="The most ballots in one transaction.",
)
@collect(_RelayOptions, "options")
@log_options
@report_errors
def run(
    *,
    experiment: ExperimentOptions,
    signer: KeyOptions,
    options: _RelayOptions,
    log: LogOptions,
) -> None:
    """Accept signed ballots over HTTP and submit them in batches, paid for by --key.

    Agents send theirs with `colearn agent run --relay URL`. The relay cannot change a ballot. On
    SIGTERM or Ctrl-C it submits the waiting ballots and stops.
    """
    import signal

    from colearn_ledger.relay.http import serving
    from colearn_ledger.relay.relay import Relay

    need("uvicorn", "starlette")
    start_logging(as_json=log.as_json, verbose=log.verbose)
    place = experiment.find()
    ledger = place.open_ledger(signer.open_wallet())
    ledger.experiment(place.experiment)
    carrying = Relay(ledger, experiments=[place.experiment], wait=options.wait, batch=options.batch)
    with (
        stop_on_signals(
            lambda name: log_event(_log, "stopping", signal=name, waiting=carrying.waiting)
        ) as stopping,
        serving(carrying, options.host, options.port) as url,
    ):
        log_event(_log, "started", url=url, experiment=str(place.reference), account=ledger.account)
        run_in_thread(lambda: carrying.run(stopping.requested))
        log_event(_log, "stopped", carried=carrying.carried, waiting=carrying.waiting)
    if stopping.signal == signal.SIGINT:
        raise click.exceptions.Exit(INTERRUPTED)
