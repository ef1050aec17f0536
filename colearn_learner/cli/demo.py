"""The command `colearn demo`: simulate a whole experiment on this machine."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from colearn_learner.catalogue.models import Model, default_model, make_learner, model
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.options import collect
from colearn_learner.cli._support.output import command_name, note, open_console, print_json
from colearn_learner.datasets import Dataset, Split, dataset, split
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Outcome

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from colearn_learner.catalogue.baselines import Comparison
    from colearn_learner.simulation import SimulationResult


@dataclass(frozen=True, slots=True)
class _DemoOptions:
    """The options of a demo, as typed."""

    dataset_name: str
    model_name: str | None
    n_learners: int
    n_rounds: int
    vote_threshold: float
    train_ratio: float
    seed: int
    learning_rate: float | None
    batch_size: int
    ledger: Literal["local", "evm"]
    secret_ballots: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """The checked options of a demo, with its data and model."""

    data: Dataset
    model: Model
    split: Split
    trainings: tuple[Training, ...]
    n_rounds: int
    vote_threshold: float
    ledger: Literal["local", "evm"]
    secret_ballots: bool


@dataclass(frozen=True, slots=True)
class _Finished:
    """A completed demo: what it learned, its files and its duration in seconds."""

    plan: _Plan
    result: SimulationResult
    comparison: Comparison
    paths: dict[str, Path]
    seconds: float


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
    "--n-rounds",
    type=click.IntRange(1, 1000),
    default=15,
    show_default=True,
    help="The number of rounds; in each, one learner proposes.",
)
@click.option(
    "--vote-threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
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
    with _save_partial_results(plan, folder) as partial:
        result = partial.result = _simulate(console, plan, folder)
        comparison = _compare(plan, result)
        paths = _write(result, folder, plan, comparison)
    finished = _Finished(plan, result, comparison, paths, time.monotonic() - began)
    if as_json:
        print_json(_summarise(finished))
    else:
        _print_results(console, finished)


def _plan(options: _DemoOptions) -> _Plan:
    """Check all options before the simulation starts."""
    need("sklearn", "matplotlib", *(["web3", "eth_tester"] if options.ledger == "evm" else []))
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
    return _Plan(
        data=data,
        model=chosen,
        split=shares,
        trainings=(training,) * options.n_learners,
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


def _introduce(console: Console, plan: _Plan) -> None:
    sizes = ", ".join(str(len(s.train) + len(s.vote) + len(s.test)) for s in plan.split.shares)
    where = "the contract on an embedded EVM" if plan.ledger == "evm" else "the local ledger"
    console.print(f"\n[bold]{len(plan.split.shares)} learners, one model, no shared data[/bold]")
    console.print(f"In this data set {plan.data.story}.")
    console.print(
        f"{plan.data.name}, {plan.model.name}, {plan.n_rounds} rounds on {where}. Records of each"
        f" learner: {sizes}.\n",
        highlight=False,
    )


def _simulate(console: Console, plan: _Plan, folder: Path) -> SimulationResult:
    from colearn_learner.cli._support.live import LiveView
    from colearn_learner.simulation import SimulationConfig, run

    learners = [
        make_learner(plan.model, share, data=plan.data, training=training)
        for share, training in zip(plan.split.shares, plan.trainings, strict=True)
    ]
    keys = [secrets.token_bytes(32) for _ in learners]
    accounts = [Wallet.from_key(key).address for key in keys]
    score = score_of(plan.data.task)
    with LiveView(console, accounts, score_name=score.name) as view:
        config = SimulationConfig(
            name=f"demo {plan.data.name}",
            model=f"{plan.model.name}: {plan.model.summary}",
            score_name=score.name,
            higher_is_better=score.higher_is_better,
            secret_ballots=plan.secret_ballots,
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
def _save_partial_results(plan: _Plan, folder: Path) -> Iterator[_Partial]:
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


def _compare(plan: _Plan, result: SimulationResult) -> Comparison:
    from colearn_learner.catalogue.baselines import compare

    return compare(
        result.weights,
        plan.split,
        model=plan.model,
        data=plan.data,
        trainings=plan.trainings,
        n_rounds=plan.n_rounds,
    )


def _write(
    result: SimulationResult, folder: Path, plan: _Plan, comparison: Comparison | None
) -> dict[str, Path]:
    from colearn_learner.catalogue.report import write_report

    bars = comparison and [
        ("collective", comparison.collective),
        ("mean alone", comparison.mean_alone),
        *((f"{i + 1} alone", score) for i, score in enumerate(comparison.alone[:20])),
        ("all data\ntogether", comparison.together),
    ]
    return write_report(result, folder, score_name=score_of(plan.data.task).name, lines=bars or ())


def _print_results(console: Console, finished: _Finished) -> None:
    plan, result, comparison = finished.plan, finished.result, finished.comparison
    console.print(_comparison_table(plan, comparison))
    accepted = sum(bool(r.vote) for r in result.results.data)
    gas = f", {result.cost:,} gas" if result.cost else ""
    console.print(
        f"{accepted} of {plan.n_rounds} proposals accepted, {finished.seconds:.1f} s{gas}."
        f"\nFinal weights {result.content.cid}",
        highlight=False,
        soft_wrap=True,
    )
    for what, path in finished.paths.items():
        console.print(f"  {what:<8} {path}", highlight=False, soft_wrap=True)
    me = command_name()
    console.print(
        "\nTry next:\n"
        f"  {me} demo --secret-ballots          # voters cannot copy each other's ballots\n"
        f"  {me} demo --dataset digits --model mlp --n-learners 8\n"
        f"  {me} demo --vote-threshold 1        # all voters must approve\n"
        f"  {me} datasets                       # list the data sets\n"
        f"  {me} models                         # list the models",
        highlight=False,
        soft_wrap=True,
    )


def _comparison_table(plan: _Plan, comparison: Comparison) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = score_of(plan.data.task, shown=True)
    direction = "" if shown.higher_is_better else ", lower is better"
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{shown.name}{direction}, on records that no learner has", no_wrap=True)
    table.add_column("", justify="right")
    table.add_row(
        "learning together, data kept apart", f"{comparison.collective:.3f}", style="bold green"
    )
    table.add_row("each learner alone, mean", f"{comparison.mean_alone:.3f}")
    for i, score in enumerate(comparison.alone):
        table.add_row(f"   learner {i + 1} alone", f"{score:.3f}", style="dim")
    table.add_row("all data in one place", f"{comparison.together:.3f}")
    return table


def _summarise(finished: _Finished) -> dict[str, Any]:
    plan, result, comparison = finished.plan, finished.result, finished.comparison
    shown = score_of(plan.data.task, shown=True)
    return {
        "dataset": plan.data.name,
        "model": plan.model.name,
        "ledger": plan.ledger,
        "rounds": plan.n_rounds,
        "accepted": sum(bool(r.vote) for r in result.results.data),
        "score": {"name": shown.name, "higher_is_better": shown.higher_is_better},
        "collective": comparison.collective,
        "alone": list(comparison.alone),
        "mean_alone": comparison.mean_alone,
        "together": comparison.together,
        "weights": {
            "cid": result.content.cid,
            "sha256": hashlib.sha256(result.weights_file).hexdigest(),
        },
        "gas": result.cost,
        "seconds": round(finished.seconds, 3),
        "files": {what: str(path) for what, path in finished.paths.items()},
    }
