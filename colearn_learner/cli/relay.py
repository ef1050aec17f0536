"""The command `colearn relay run`: submit the ballots of learners that cannot pay for gas."""

from __future__ import annotations

import logging
from collections.abc import Callable

import click

from colearn_learner.cli._support.connect import find_experiment, network_option
from colearn_learner.cli._support.errors import INTERRUPTED, need, report_errors
from colearn_learner.cli._support.secrets import key_option
from colearn_learner.cli._support.signals import run_in_thread, stop_on_signals
from colearn_learner.cli.logs import log_event, start_logging
from colearn_ledger.keys.wallet import Wallet

_log = logging.getLogger(__name__)


@click.group()
def relay() -> None:
    """Submit the signed ballots of learners whose accounts have no gas money."""


@relay.command("run")
@click.option(
    "--experiment",
    "reference",
    required=True,
    metavar="REF",
    help="Experiment of the ballots: eip155:31337:0x…/7, or only the 7 with --network.",
)
@key_option
@network_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8650,
    show_default=True,
    help="0 chooses a free one, which the log names.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3_600),
    default=2.0,
    show_default=True,
    help="Seconds to gather ballots, unless all have arrived.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 1_000),
    default=100,
    show_default=True,
    help="The most ballots in a transaction.",
)
@click.option("--json", "as_json", is_flag=True, help="Log JSON, an object a line.")
@click.option("--verbose", is_flag=True, help="Log more.")
@report_errors
def run(
    *,
    reference: str,
    wallet: Callable[[], Wallet],
    network_name: str | None,
    host: str,
    port: int,
    wait: float,
    batch: int,
    as_json: bool,
    verbose: bool,
) -> None:
    """Accept signed ballots over HTTP and submit them in batches, paid for by --key.

    Agents send theirs with `colearn agent run --relay URL`. The relay cannot change a ballot. At
    SIGTERM or Ctrl-C it submits the ballots that wait, and ends.
    """
    import signal

    from colearn_ledger.relay.http import serving
    from colearn_ledger.relay.relay import Relay

    need("uvicorn", "starlette")
    start_logging(as_json=as_json, verbose=verbose)
    place = find_experiment(reference, network_name)
    ledger = place.open_ledger(wallet())
    ledger.experiment(place.experiment)
    carrying = Relay(ledger, experiments=[place.experiment], wait=wait, batch=batch)
    with (
        stop_on_signals(
            lambda name: log_event(_log, "stopping", signal=name, waiting=carrying.waiting)
        ) as stopping,
        serving(carrying, host, port) as url,
    ):
        log_event(_log, "started", url=url, experiment=str(place.reference), account=ledger.account)
        run_in_thread(lambda: carrying.run(stopping.requested))
        log_event(_log, "stopped", carried=carrying.carried, waiting=carrying.waiting)
    if stopping.signal == signal.SIGINT:
        raise click.exceptions.Exit(INTERRUPTED)
