"""The command `colearn agent run`: run the agent of one learner."""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.account_names import find_names_for_log
from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.connect import (
    Place,
    choose_store,
    open_content_store,
)
from colearn_learner.cli._support.decisions import (
    describe_action,
    describe_closing,
    describe_verdict,
    list_accepted,
)
from colearn_learner.cli._support.errors import INTERRUPTED, report_errors
from colearn_learner.cli._support.monitor import monitor_option, monitored
from colearn_learner.cli._support.options import (
    ExperimentOptions,
    LearnerOptions,
    LogOptions,
    experiment_options,
    hash_option,
    learner_options,
    log_options,
    store_option,
    vote_rule_options,
)
from colearn_learner.cli._support.progress import show_progress
from colearn_learner.cli._support.secrets import KeyOptions, key_options
from colearn_learner.cli._support.signals import Stopping, run_in_thread, stop_on_signals
from colearn_learner.cli._support.taking_part import (
    check_part,
    name_part,
    start_patiently,
)
from colearn_learner.cli.logs import log_event
from colearn_learner.errors import InvalidArgument, LearnerError
from colearn_ledger.home import data_home, private_folder
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account, LedgerError
from colearn_ledger.text.shortening import shorten

if TYPE_CHECKING:
    from colearn_learner.agent.context import AgentConfig
    from colearn_learner.agent.loop import Agent
    from colearn_learner.agent.monitoring import Monitor
    from colearn_learner.agent.observation import Observation
    from colearn_learner.agent.progress import ProgressListener
    from colearn_ledger.ledger import Ledger
    from colearn_ledger.protocol import Event
    from colearn_ledger.relay.relay import BallotCarrier

_log = logging.getLogger(__name__)


@click.group()
def agent() -> None:
    """Run the agent that takes part in an experiment on behalf of a learner."""


@dataclass(frozen=True, slots=True)
class _RunOptions:
    """The options of an agent that do not choose its experiment, key or learner."""

    store: str | None
    data_dir: Path | None
    relays: tuple[str, ...]
    monitor: str | None
    keep: Mapping[str, Any]
    expected: bytes | None
    no_join: bool
    poll: float
    vote_rule: str | None
    tolerance: float | None

    def make_config(self) -> AgentConfig:
        """Return the agent's configuration, without a carrier of ballots.

        Raises:
            click.UsageError: a value is out of its bounds, or two do not fit together.
        """
        from colearn_learner.agent.context import AgentConfig
        from colearn_ledger.spec import VoteRule

        try:
            return AgentConfig(
                join=not self.no_join,
                hash=self.expected,
                poll=self.poll,
                vote_rule=None if self.vote_rule is None else VoteRule(self.vote_rule),
                tolerance=self.tolerance,
                **self.keep,
            )
        except InvalidArgument as error:
            raise click.UsageError(str(error)) from error


@agent.command("run")
@experiment_options
@learner_options(
    "The function that makes the learner (colearn_learner.catalogue:share makes one from the "
    "catalogue), or the address of a learner's server (see colearn learner serve): "
    "grpc://127.0.0.1:9995, grpcs://HOST:PORT.",
    metavar="MODULE:FACTORY|ADDRESS",
    argument_text="A server takes ca=FILE, token=env:VARIABLE or token=file:PATH, "
    "deadline=SECONDS and patience=SECONDS.",
)
@key_options
@store_option
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="The agent's folder; use the same one after a restart. [default: a folder for the "
    "experiment and account in $COLEARN_HOME/agents or ~/.local/share/colearn/agents]",
)
@click.option(
    "--relay",
    "relays",
    multiple=True,
    metavar="URL",
    help="Send open ballots, signed, to this relay (see colearn relay run), which pays for their "
    "gas. Repeatable: each relay is tried when the ones before it fail.",
)
@monitor_option
@click.option(
    "--keep",
    default="last:2",
    show_default=True,
    metavar="last:N|accepted|all",
    callback=lambda _context, _option, text: _parse_keep(text),
    help="The weights to keep pinned in the store: the last N accepted ones, all accepted ones, or "
    "all, including this learner's proposals that were not accepted.",
)
@vote_rule_options(voters="this agent approves", default="the experiment's")
@hash_option
@click.option("--no-join", is_flag=True, help="Do not join; wait until the account has joined.")
@click.option(
    "--poll",
    type=click.FloatRange(0.01, 60),
    default=1.0,
    show_default=True,
    help="Fewest seconds between two checks for a new block, if the node announces none.",
)
@collect(_RunOptions, "options")
@log_options
@report_errors
def run(
    *,
    experiment: ExperimentOptions,
    learner: LearnerOptions,
    signer: KeyOptions,
    options: _RunOptions,
    log: LogOptions,
) -> None:
    """Take part in an experiment until it is over: join, train, propose, test, vote.

    The agent logs each event as a line on standard output. On SIGTERM or Ctrl-C it finishes its
    current step, even a long training run; a second signal stops it immediately. After a restart
    it resumes where it stopped. The exit code is 0 if the experiment is over or after SIGTERM, 3 if
    another agent uses the same key, and 1 if retrying will not help.
    """
    with (
        show_progress(as_json=log.as_json, verbose=log.verbose) as on_progress,
        stop_on_signals(
            lambda name: log_event(
                _log, "stopping", signal=name, reason="the current step is finished first"
            )
        ) as stopping,
    ):
        try:
            _run_agent(stopping, on_progress, experiment, learner, signer, options)
        except (LearnerError, LedgerError) as error:
            if log.as_json:  # otherwise the error on standard error is enough
                _log.error("%s", error)
            raise
    if stopping.signal == signal.SIGINT:
        raise click.exceptions.Exit(INTERRUPTED)


def _run_agent(
    stopping: Stopping,
    on_progress: ProgressListener,
    experiment: ExperimentOptions,
    learner: LearnerOptions,
    signer: KeyOptions,
    options: _RunOptions,
) -> None:
    from colearn_learner.agent.folder import has_journal
    from colearn_learner.agent.key_watch import lock_part
    from colearn_learner.agent.loop import Agent

    learner.parse()  # reports malformed arguments before anything else
    config = options.make_config()
    place = experiment.find()
    store = choose_store(options.store, place.network)
    wallet = signer.open_wallet()
    name = name_part(place, wallet)
    folder = options.data_dir or private_folder(data_home() / "agents") / name

    load_learner = cache(learner.load)

    def start() -> tuple[Ledger, Agent]:
        ledger = place.open_ledger(wallet, poll=options.poll)
        check_part(ledger, place, joins=config.join, expected=config.hash)
        carrier = _make_carrier(options.relays, ledger, wallet, options.poll)
        own_name = find_names_for_log([ledger.account]).get(ledger.account)
        private_folder(folder)
        agent = Agent(
            ledger,
            open_content_store(store, f"{place.experiment}-{ledger.account}"),
            learner=load_learner(),
            experiment=place.experiment,
            folder=folder,
            config=replace(config, carrier=carrier, name=own_name),
        )
        return ledger, agent

    with ExitStack() as closing:
        closing.enter_context(lock_part(name, Account(str(place.network.account_of(wallet)))))
        # an agent that ran before was set up correctly, so it can start again some day
        started = start_patiently(start, stopping) if has_journal(folder) else start()
        if started is None:
            return
        ledger, running = started
        closing.enter_context(running)
        log_event(
            _log,
            "started",
            experiment=str(place.reference),
            account=ledger.account,
            data_dir=str(folder),
        )
        running.on_observation(_log_observation)
        running.on_progress(on_progress)
        with monitored(options.monitor, lambda: _make_monitor(running)):
            run_in_thread(lambda: running.run(stopping.requested))
        log_event(
            _log,
            "stopped" if stopping.requested.is_set() else "over",
            **_describe_end(ledger, place),
        )


def _parse_keep(text: str) -> Mapping[str, Any]:
    """Parse the value of ``--keep`` and return arguments for `AgentConfig`."""
    last = re.fullmatch(r"last:([1-9][0-9]{0,8})", text)
    if last:
        return {"keep_accepted": int(last[1])}
    if text == "accepted":
        return {"keep_accepted": None}
    if text == "all":
        return {"keep_accepted": None, "keep_proposals": True}
    raise click.BadParameter(
        f"{text!r} is not valid; expected last:N (N ≥ 1), accepted or all", param_hint="--keep"
    )


def _make_monitor(running: Agent) -> Monitor:
    from colearn_learner.agent.monitoring import Monitor

    return Monitor(running)


def _make_carrier(
    relays: tuple[str, ...], ledger: Ledger, wallet: Wallet, poll: float
) -> BallotCarrier | None:
    if not relays:
        return None
    from colearn_ledger.relay.http import RelayClient
    from colearn_ledger.relay.relay import RelayCarrier, RelayList

    return RelayCarrier(ledger, wallet, RelayList([RelayClient(url) for url in relays]), poll=poll)


def _describe_end(ledger: Ledger, place: Place) -> dict[str, Any]:
    """Return the state of the experiment for the log; empty if the ledger cannot be read."""
    try:
        shown = ledger.experiment(place.experiment)
    except LedgerError:
        return {}
    weights = ",".join(content.cid for content in shown.current) or None
    return {"status": shown.status.name.lower(), "round": shown.round, "weights": weights}


def _log_observation(observed: Observation) -> None:
    several = len(observed.verdicts) > 1
    names = find_names_for_log(verdict.proposer for verdict in observed.verdicts) if several else {}
    for verdict in observed.verdicts if several else ():
        log_event(
            _log,
            "verdict",
            text=f"  proposal {verdict.slot} of "
            f"{names.get(verdict.proposer) or shorten(verdict.proposer)}: "
            f"{describe_verdict(verdict, observed.score_name)}",
            round=observed.round,
            slot=verdict.slot,
            proposer=verdict.proposer,
            approved=verdict.approved,
            score=verdict.score,
            current=verdict.current,
        )
    fields: dict[str, Any] = {
        "round": observed.round,
        "reason": observed.reason or None,
        "gas": observed.cost or None,
        "score": observed.score,
        "weights": observed.weights or None,
    }
    if observed.verdicts:
        fields |= {
            "approved": [verdict.slot for verdict in observed.verdicts if verdict.approved],
            "current": observed.verdicts[0].current,
        }
    if observed.verdicts and not several:
        fields["score"] = observed.verdicts[0].score
    log_event(_log, observed.action.value, text=describe_action(observed), **fields)
    for event in observed.events:
        _log_closing(event)


def _log_closing(event: Event) -> None:
    from colearn_ledger.protocol import RoundClosed

    if isinstance(event, RoundClosed):
        log_event(
            _log,
            "round closed",
            text=describe_closing(event),
            round=event.round,
            outcome=event.outcome.name.lower(),
            accepted=list_accepted(event),
            approvals=list(event.approvals),
            eligible=event.eligible,
        )
