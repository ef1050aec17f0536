"""The command `colearn demo`: simulate a whole experiment on this machine."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from colearn_learner.catalogue.models import default_model, make_learner, model
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.demo_results import Finished, Plan, print_results, summarise
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.output import note, open_console, print_json
from colearn_learner.cli.logs import write_warnings
from colearn_learner.datasets import dataset, split
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import MAX_PROPOSERS, Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from colearn_learner.catalogue.baselines import Comparison
    from colearn_learner.simulation import SimulationResult
    from colearn_ledger.history.chart import SidePanel


_LOG = "agents.log"
"""File of the agents' warnings, for example why they refused a proposal."""


@dataclass(frozen=True, slots=True)
class _DemoOptions:
    """The options of a demo, as typed."""

    dataset_name: str
    model_name: str | None
    n_learners: int
    n_proposers: int | None
    n_rounds: int
    vote_threshold: float
    train_ratio: float
    seed: int
    learning_rate: float | None
    batch_size: int
    ledger: Literal["local", "evm"]
    secret_ballots: bool


@click.command()
@click.option(
    "--dataset",
    "dataset_name",
    default="breast-cancer",
    show_default=True,
    help="The data set; see colearn datasets.",
)
@click.option(
    "--model",
    "model_name",
    help="The model; see colearn models. [default: the simplest one that fits the data set]",
)
@click.option(
    "--n-learners",
    type=click.IntRange(2, 100),
    default=5,
    show_default=True,
    help="The number of learners that the data are divided among.",
)
@click.option(
    "--n-proposers",
    type=click.IntRange(1, MAX_PROPOSERS),
    help="The number of learners that train and propose in each round. Their accepted proposals "
    f"are averaged; of trees, the best one is chosen. [default: all, up to {MAX_PROPOSERS}]",
)
@click.option(
    "--n-rounds",
    type=click.IntRange(1, 1000),
    default=15,
    show_default=True,
    help="The number of rounds.",
)
@click.option(
    "--vote-threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.25,
    show_default=True,
    help="The fraction of the voters that must approve a proposal.",
)
@click.option(
    "--train-ratio",
    type=click.FloatRange(0.1, 0.9),
    default=0.6,
    show_default=True,
    help="The fraction of a learner's records to train with; the rest is for voting and testing.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=1,
    show_default=True,
    help="The seed of all random choices; the same seed gives the same final weights.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, 100, min_open=True),
    help="The learning rate. [default: the model's own; see colearn models]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="The number of records in a training step.",
)
@click.option(
    "--ledger",
    type=click.Choice(["local", "evm"]),
    default="evm",
    show_default=True,
    help="evm runs the compiled contract on an embedded chain; local runs the rules in Python.",
)
@click.option(
    "--secret-ballots",
    is_flag=True,
    help="Let voters commit to their ballots first and reveal them later.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A new folder for the results. [default: runs/<date and time>]",
)
@click.option("--json", "as_json", is_flag=True, help="Print only the summary, as JSON.")
@collect(_DemoOptions, "options")
@report_errors
def demo(*, options: _DemoOptions, out: Path | None, as_json: bool) -> None:
    """Let learners train one model together on this machine, and show what they gain.

    Each learner has a key, its own share of a real data set, and its own agent. They communicate
    only through the contract and the content store. Ctrl-C stops them and keeps the results so far.
    """
    plan = _plan(options)
    folder = _new_folder(out)
    console = open_console(quiet=as_json)
    began = time.monotonic()
    _introduce(console, plan)
    with write_warnings(folder / _LOG), _save_partial_results(plan, folder) as partial:
        accepted: list[Any] = []
        result = partial.result = _simulate(console, plan, folder, accepted)
        comparison = _compare(plan, [*accepted, result.weights])
        paths = _write(result, folder, plan, comparison)
    finished = Finished(plan, result, comparison, paths, time.monotonic() - began)
    if as_json:
        print_json(summarise(finished))
    else:
        print_results(console, finished)


def _plan(options: _DemoOptions) -> Plan:
    """Check all options before the simulation starts."""
    need("sklearn", "matplotlib", *(["web3", "wasmtime"] if options.ledger == "evm" else []))
    data = dataset(options.dataset_name)
    chosen = model(options.model_name or default_model(data), data)
    shares = split(
        data.load(),
        task=data.task,
        n_learners=options.n_learners,
        train_ratio=options.train_ratio,
        seed=options.seed,
    )
    training = Training(
        options.learning_rate or chosen.learning_rate,
        batch_size=options.batch_size,
        seed=options.seed,
    )
    return Plan(
        data=data,
        model=chosen,
        split=shares,
        trainings=(training,) * options.n_learners,
        n_proposers=min(options.n_proposers or MAX_PROPOSERS, options.n_learners),
        n_rounds=options.n_rounds,
        vote_threshold=options.vote_threshold,
        ledger=options.ledger,
        secret_ballots=options.secret_ballots,
    )


def _new_folder(out: Path | None) -> Path:
    """Create a new run folder; never write to an existing one."""
    wanted = out or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder, number = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            if out is not None:
                raise click.UsageError(
                    f"{out} already exists; choose a new folder with --out"
                ) from error
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        except OSError as error:
            raise click.ClickException(
                f"cannot create the run folder {folder}: {error.strerror}; choose another with "
                "--out"
            ) from error
        else:
            return folder


def _introduce(console: Console, plan: Plan) -> None:
    sizes = ", ".join(str(len(s.train) + len(s.vote) + len(s.test)) for s in plan.split.shares)
    where = "the contract on an embedded EVM" if plan.ledger == "evm" else "the local ledger"
    console.print(f"\n[bold]{len(plan.split.shares)} learners, one model, no shared data[/bold]")
    console.print(f"In this data set {plan.data.story}.")
    console.print(
        f"{plan.data.name}, {plan.model.name}, {plan.n_rounds} rounds on {where}. Records of each"
        f" learner: {sizes}.\n",
        highlight=False,
    )


class _Recorded:
    """A learner whose accepted weights are added to a list."""

    def __init__(self, learner: Any, accepted: list[Any]) -> None:
        self._learner, self._accepted = learner, accepted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def mli_accept_weights(self, weights: Any) -> None:
        self._learner.mli_accept_weights(weights)
        self._accepted.append(weights.weights)


def _simulate(console: Console, plan: Plan, folder: Path, accepted: list[Any]) -> SimulationResult:
    """Run the experiment; add the weights that the first learner accepts to ``accepted``."""
    from colearn_learner.cli._support.live import LiveView
    from colearn_learner.simulation import SimulationConfig, run
    from colearn_ledger.history import ScoreKind

    learners = [
        make_learner(plan.model, share, data=plan.data, training=training)
        for share, training in zip(plan.split.shares, plan.trainings, strict=True)
    ]
    learners[0] = _Recorded(learners[0], accepted)
    keys = [secrets.token_bytes(32) for _ in learners]
    accounts = [Wallet.from_key(key).address for key in keys]
    score = score_of(plan.data.task)
    score_kind = ScoreKind(score.name, score.higher_is_better)
    with LiveView(console, accounts, score=score_kind) as view:
        config = SimulationConfig(
            name=f"demo {plan.data.name}",
            model=f"{plan.model.name}: {plan.model.summary}",
            score_name=score.name,
            higher_is_better=score.higher_is_better,
            secret_ballots=plan.secret_ballots,
            n_proposers=plan.n_proposers,
            keys=keys,
            on_event=view.observe,
        )
        return run(
            learners,
            plan.n_rounds,
            vote_threshold=plan.vote_threshold,
            ledger=plan.ledger,
            folder=folder,
            config=config,
        )


@dataclass(slots=True)
class _Partial:
    """The result of the completed rounds; None before the first one."""

    result: SimulationResult | None = None


@contextmanager
def _save_partial_results(plan: Plan, folder: Path) -> Iterator[_Partial]:
    """On Ctrl-C, write the results of the completed rounds to the run folder."""
    from colearn_learner.simulation import SimulationInterrupted

    partial = _Partial()
    try:
        yield partial
    except KeyboardInterrupt as interruption:
        if isinstance(interruption, SimulationInterrupted):
            partial.result = interruption.result
        if partial.result is None:
            note(f"Interrupted before the first round ended; there are no results in {folder}.")
        else:
            paths = _write(partial.result, folder, plan, None)
            rounds = partial.result.history.rounds
            closed = sum(record.round.outcome != Outcome.NONE for record in rounds)
            note(f"{closed} of {plan.n_rounds} rounds were completed. Results so far:")
            for what, path in paths.items():
                note(f"  {what:<8} {path}")
        raise


def _compare(plan: Plan, accepted: list[Any]) -> Comparison:
    from colearn_learner.catalogue.baselines import compare

    return compare(
        accepted,
        plan.split,
        model=plan.model,
        data=plan.data,
        trainings=plan.trainings,
        n_rounds=plan.n_rounds,
    )


def _write(
    result: SimulationResult, folder: Path, plan: Plan, comparison: Comparison | None
) -> dict[str, Path]:
    from colearn_learner.catalogue.report import write_report

    panel = None if comparison is None else _make_panel(plan, comparison)
    paths = write_report(result, folder, panel)
    return {**paths, "log": folder / _LOG} if (folder / _LOG).exists() else paths


def _make_panel(plan: Plan, comparison: Comparison) -> SidePanel:
    from colearn_ledger.history.chart import SidePanel

    values = [
        ("together", comparison.collective),
        ("best alone", comparison.best_alone),
        ("mean alone", comparison.mean_alone),
        *((f"learner {i} alone", score) for i, score in enumerate(comparison.alone[:20])),
        ("all data in\none place", comparison.together),
    ]
    shown = score_of(plan.data.task, shown=True)
    direction = "higher" if shown.higher_is_better else "lower"
    return SidePanel(
        "On records that no learner has", f"{shown.name}, {direction} is better", tuple(values)
    )
