"""The command `colearn demo`: simulate a whole experiment on this machine."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from colearn_learner.catalogue.models import (
    Model,
    default_model,
    make_learner,
    model,
)
from colearn_learner.catalogue.settings import Training, score_of
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.output import command_name, note, open_console, print_json
from colearn_learner.datasets import Dataset, Split, dataset, split
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from colearn_learner.catalogue.baselines import Comparison
    from colearn_learner.simulation import SimulationResult


@dataclass(frozen=True, slots=True)
class _Plan:
    """The checked options of a demo."""

    data: Dataset
    model: Model
    split: Split
    trainings: tuple[Training, ...]
    n_rounds: int
    vote_threshold: float
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
@click.option("--model", "model_name", help="The model; by default the simplest that fits.")
@click.option(
    "--n-learners",
    type=click.IntRange(2, 100),
    default=5,
    show_default=True,
    help="How many learners share the data.",
)
@click.option(
    "--n-rounds",
    type=click.IntRange(1, 1000),
    default=15,
    show_default=True,
    help="How many rounds; the learners take turns to propose.",
)
@click.option(
    "--vote-threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Share of the voters that must approve.",
)
@click.option(
    "--train-ratio",
    type=click.FloatRange(0.1, 0.9),
    default=0.6,
    show_default=True,
    help="Share of a learner's records to train with; the rest is to vote and test.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=1,
    show_default=True,
    help="The same seed gives the same final weights.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, 100, min_open=True),
    help="By default the model's own; see colearn models.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Records per training step.",
)
@click.option(
    "--ledger",
    type=click.Choice(["local", "evm"]),
    default="evm",
    show_default=True,
    help="evm: the compiled contract on an embedded chain; local: plain Python.",
)
@click.option("--secret-ballots", is_flag=True, help="Voters commit first and reveal later.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run folder, a new one. [default: runs/<date and time>]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON only.")
@report_errors
def demo(*, out: Path | None, as_json: bool, **options: Any) -> None:
    """Let learners train one model together on this machine, and see what they gain.

    Each learner has a key, its own share of a real data set, and its own agent. They communicate
    only through the contract and the content store. Ctrl-C stops them and keeps the results so far.
    """
    plan = _plan(**options)
    folder = _new_folder(out)
    console = open_console(quiet=as_json)
    began = time.monotonic()
    _introduce(console, plan)
    with _save_partial_results(plan, folder) as partial:
        result = partial.result = _simulate(console, plan, folder)
        comparison = _compare(plan, result)
        paths = _write(result, folder, plan, comparison)
    seconds = time.monotonic() - began
    if as_json:
        print_json(_summary(plan, result, comparison, (paths, seconds)))
    else:
        _conclude(console, plan, result, (comparison, paths, seconds))


def _plan(
    *,
    dataset_name: str,
    model_name: str | None,
    n_learners: int,
    train_ratio: float,
    seed: int,
    learning_rate: float | None,
    batch_size: int,
    **terms: Any,
) -> _Plan:
    """Check all options before the simulation starts."""
    need("sklearn", "matplotlib", *(["web3", "eth_tester"] if terms["ledger"] == "evm" else []))
    data = dataset(dataset_name)
    chosen = model(model_name or default_model(data), data)
    shares = split(
        data.load(), task=data.task, n_learners=n_learners, train_ratio=train_ratio, seed=seed
    )
    training = Training(learning_rate or chosen.learning_rate, batch_size=batch_size, seed=seed)
    return _Plan(data, chosen, shares, (training,) * n_learners, **terms)


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
                    f"{out} already exists; choose a new folder by --out"
                ) from error
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        except OSError as error:
            raise click.ClickException(
                f"cannot create the run folder {folder}: {error.strerror}; choose another by --out"
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
    keys = [_new_key() for _ in learners]
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


def _new_key() -> bytes:
    import secrets

    return secrets.token_bytes(32)


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
            note(f"Interrupted before the first round ended; {folder} has no results.")
        else:
            paths = _write(partial.result, folder, plan, None)
            rounds = partial.result.history.rounds
            closed = sum(record.round.outcome != Outcome.NONE for record in rounds)
            note(f"{closed} of {plan.n_rounds} rounds were completed. The results so far:")
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


def _conclude(
    console: Console,
    plan: _Plan,
    result: SimulationResult,
    rest: tuple[Comparison, dict[str, Path], float],
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    comparison, paths, seconds = rest
    shown = score_of(plan.data.task, shown=True)
    direction = "" if shown.higher_is_better else ", lower is better"
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{shown.name}{direction}, on records that nobody had", no_wrap=True)
    table.add_column("", justify="right")
    table.add_row(
        "learning together, data kept apart", f"{comparison.collective:.3f}", style="bold green"
    )
    table.add_row("each learner alone, mean", f"{comparison.mean_alone:.3f}")
    for i, score in enumerate(comparison.alone):
        table.add_row(f"   learner {i + 1} alone", f"{score:.3f}", style="dim")
    table.add_row("all data in one place", f"{comparison.together:.3f}")
    console.print(table)
    accepted = sum(bool(r.vote) for r in result.results.data)
    gas = f", {result.cost:,} gas" if result.cost else ""
    console.print(
        f"{accepted} of {plan.n_rounds} proposals accepted, {seconds:.1f} s{gas}."
        f"\nFinal weights {result.content.cid}",
        highlight=False,
        soft_wrap=True,
    )
    for what, path in paths.items():
        console.print(f"  {what:<8} {path}", highlight=False, soft_wrap=True)
    me = command_name()
    console.print(
        "\nTry next:\n"
        f"  {me} demo --secret-ballots          # voters cannot copy each other\n"
        f"  {me} demo --dataset digits --model mlp --n-learners 8\n"
        f"  {me} demo --vote-threshold 1        # everybody must approve\n"
        f"  {me} datasets                       # list the data sets\n"
        f"  {me} models                         # list the models",
        highlight=False,
        soft_wrap=True,
    )


def _summary(
    plan: _Plan,
    result: SimulationResult,
    comparison: Comparison,
    rest: tuple[dict[str, Path], float],
) -> dict[str, Any]:
    paths, seconds = rest
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
        "seconds": round(seconds, 3),
        "files": {what: str(path) for what, path in paths.items()},
    }
