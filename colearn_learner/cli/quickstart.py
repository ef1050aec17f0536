"""The command `colearn quickstart`: run an experiment on real nodes, command by command."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.connect import Place, find_experiment
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.output import command_name, open_console, print_json
from colearn_learner.cli._support.quickstart_end import conclude, print_next_steps
from colearn_learner.cli._support.walk import AgentProcess, Walk
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.protocol import MAX_PROPOSERS
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES

if TYPE_CHECKING:
    from rich.console import Console

    from colearn_ledger.ledger import LedgerView
    from colearn_ledger.protocol import ExperimentId, Round

_NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
_LOOK_EVERY = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class _Kind:
    """The settings of the quickstart for one kind of chain."""

    profile: str
    up: tuple[str, ...]
    modules: tuple[str, ...]

    @property
    def is_cosmos(self) -> bool:
        """Return whether accounts are those of a Cosmos chain."""
        return self.profile == "local-cosmos"


_KINDS = {
    "evm": _Kind("local-evm", ("--block-time", "1"), ("web3",)),
    "cosmos": _Kind("local-cosmos", ("--chain", "cosmos"), ("cosmpy",)),
}


@dataclass(frozen=True, slots=True)
class _ExperimentOptions:
    """The size of the experiment, its data set, and the number of IPFS nodes."""

    n_learners: int
    n_proposers: int | None
    n_rounds: int
    dataset: str
    ipfs: int


@click.command()
@click.option(
    "--chain",
    type=click.Choice(list(_KINDS)),
    default="evm",
    show_default=True,
    help="The kind of chain: EVM (anvil), or Cosmos with CosmWasm (wasmd).",
)
@click.option(
    "--wasmd",
    type=click.Choice(list(RELEASES)),
    help=f"The release of wasmd for a Cosmos chain. [default: {DEFAULT_RELEASE}]",
)
@click.option(
    "--n-learners",
    type=click.IntRange(3, len(_NAMES)),
    default=5,
    show_default=True,
    help="The number of agents; each is a process with its own key.",
)
@click.option(
    "--n-proposers",
    type=click.IntRange(1, MAX_PROPOSERS),
    help="The number of learners that train and propose in each round. "
    f"[default: all, up to {MAX_PROPOSERS}]",
)
@click.option(
    "--n-rounds",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="The number of rounds.",
)
@click.option(
    "--dataset",
    default="breast-cancer",
    show_default=True,
    help="The data set that the learners share out; see colearn datasets.",
)
@click.option(
    "--ipfs",
    type=click.IntRange(1, 20),
    default=3,
    show_default=True,
    help="The number of IPFS nodes.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="A new folder for all files. [default: runs/quickstart-DATE]",
)
@click.option(
    "--keep-up",
    is_flag=True,
    help="Leave the nodes running at the end, so that you can look around.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@collect(_ExperimentOptions, "options")
@report_errors
def quickstart(
    *,
    chain: str,
    wasmd: str | None,
    options: _ExperimentOptions,
    out: Path | None,
    keep_up: bool,
    as_json: bool,
) -> None:
    """Run a whole experiment on real nodes: a chain, IPFS nodes, the contract, keys and agents.

    Each command is printed before it runs, and is one that you could type. Your own keys and
    networks are not touched. Missing nodes are installed the first time, which can take some
    minutes.
    """
    if wasmd is not None and chain != "cosmos":
        raise click.UsageError("an EVM chain does not run wasmd; use --wasmd with --chain cosmos")
    kind = _KINDS[chain]
    up = [*kind.up, *(["--wasmd", wasmd] if wasmd else [])]
    need(*kind.modules, "sklearn", "matplotlib")
    from colearn_learner.datasets import dataset

    dataset(options.dataset)
    folder = _new_folder(out)
    console = open_console(stderr=as_json, highlight=False, soft_wrap=True)
    walk = Walk(folder, console)
    with ExitStack() as closing:
        walk.run("localnet", "up", *up, "--ipfs", str(options.ipfs))
        if not keep_up:
            closing.callback(walk.run, "localnet", "down")
        result = _run_experiment(walk, kind, options)
    weights = Path(result["weights"])
    conclusion = conclude(weights, options.dataset, options.n_learners, options.n_rounds)
    if as_json:
        print_json({**result, **conclusion.as_json()})
        return
    console.print(f"\n{conclusion.describe()}\n")
    console.print(f"The agents' logs, the history and the weights are in [bold]{folder}[/].")
    console.print(f"To see the rounds, open [bold]{result['page']}[/] in a browser.")
    if keep_up:
        console.print("The nodes are still running. To continue by hand:")
        console.print(f"  export COLEARN_HOME={shlex.quote(str(walk.home))}")
        console.print(f"  export COLEARN_LOCALNET={shlex.quote(str(walk.localnet))}")
        console.print(f'  export COLEARN_PASSWORD="$(cat {shlex.quote(str(walk.password_file))})"')
        console.print(f"  {command_name()} experiment show {result['experiment']}")
        console.print(f"  {command_name()} localnet down")
    print_next_steps(console, keep_up=keep_up)


def _run_experiment(walk: Walk, kind: _Kind, options: _ExperimentOptions) -> dict[str, Any]:
    names = _NAMES[: options.n_learners]
    accounts = {}
    for name in ("owner", *names):
        created = walk.ask("key", "new", name)
        accounts[name] = (
            created["cosmos_accounts"]["wasm"] if kind.is_cosmos else created["account"]
        )
    walk.run("localnet", "fund", *accounts)
    walk.run("deploy", "--network", kind.profile, "--key", "owner")

    spec = walk.folder / "experiment.toml"
    spec.write_text(_describe_experiment(options), encoding="utf-8")
    apis = [node["api"] for node in walk.ask("localnet", "status", shown=False)["ipfs"]]
    created = walk.ask("experiment", "create", "--spec", spec, "--key", "owner")
    reference = str(created["reference"])

    place = find_experiment(reference, None, Networks(walk.home / "networks.toml"))
    with walk.agents(reference, options.dataset, names, apis) as agents:
        _follow(walk.console, place, agents, accounts, options.n_rounds)
    walk.run("history", reference, "--plot", walk.folder / "rounds.html")
    history = walk.ask("history", reference, shown=False)
    walk.write("history.json", history)
    weights = walk.folder / "weights.safetensors"
    walk.run("weights", "get", reference, "--out", weights)
    return {
        "experiment": reference,
        "folder": str(walk.folder),
        "history": str(walk.folder / "history.json"),
        "page": str(walk.folder / "rounds.html"),
        "weights": str(weights),
        "adopted": {agent.name: agent.read_adopted() for agent in agents},
    }


def _describe_experiment(options: _ExperimentOptions) -> str:
    """Return the content of the file that describes the experiment."""
    from colearn_learner.catalogue.settings import score_of
    from colearn_learner.datasets import dataset

    score = score_of(dataset(options.dataset).task)
    higher = "true" if score.higher_is_better else "false"
    return f"""\
name = "quickstart"

[model]
description = "the simplest model of the catalogue for {options.dataset}"
score_name = "{score.name}"
higher_is_better = {higher}

[weights]
learner = "colearn_learner.catalogue:share"
arguments = {{ dataset = "{options.dataset}", learner = 0, of = {options.n_learners} }}

[terms]
rounds = {options.n_rounds}
min_learners = {options.n_learners}
max_learners = {options.n_learners}
proposers = {min(options.n_proposers or MAX_PROPOSERS, options.n_learners)}
propose_window = 120
vote_window = 120
"""


def _new_folder(out: Path | None) -> Path:
    folder = out or Path("runs", f"quickstart-{datetime.now():%Y-%m-%d_%H-%M-%S}")
    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty; choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _follow(
    console: Console,
    place: Place,
    agents: Sequence[AgentProcess],
    accounts: Mapping[str, str],
    n_rounds: int,
) -> None:
    """Show how many agents have joined, then each closed round, until every agent has ended."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    ledger = place.open_view()
    names = {account: name for name, account in accounts.items()}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("agents start", total=n_rounds)
        shown = joined = 0
        while True:
            ended = all(agent.process.poll() is not None for agent in agents)
            for agent in agents:
                agent.check()
            if joined < len(agents):
                now = ledger.experiment(place.experiment).joined_learners
                if now > joined:
                    bar.console.print(f"  {now} of {len(agents)} agents have joined")
                joined = now
                bar.update(task, description="rounds" if now == len(agents) else "agents start")
            for line in _describe_closed_rounds(ledger, place.experiment, names, shown):
                bar.console.print(f"  {line}", markup=False)
                shown += 1
            bar.update(task, completed=shown)
            if ended:
                return
            time.sleep(_LOOK_EVERY)


def _describe_closed_rounds(
    ledger: LedgerView, experiment: ExperimentId, names: Mapping[str, str], first: int
) -> list[str]:
    """Return a line for each closed round, from round ``first`` on."""
    from colearn_ledger.protocol import Outcome

    lines = []
    for round_ in ledger.rounds(experiment, first, 100):
        if round_.outcome == Outcome.NONE:
            break
        lines.append(f"round {round_.index:>3}  {_describe_round(round_, names)}")
    return lines


def _describe_round(round_: Round, names: Mapping[str, str]) -> str:
    outcome = round_.outcome.name.lower().replace("_", " ")
    proposers = [names.get(slot.proposer, "?") for slot in round_.slots]
    if len(proposers) == 1:
        approvals = f"{round_.slots[0].approvals} of {round_.eligible} approve"
        return f"{proposers[0]:<6} proposed  {approvals}  {outcome}"
    proposed = [slot for slot in round_.slots if slot.content is not None]
    accepted = [names.get(slot.proposer, "?") for slot in proposed if slot.accepted]
    chosen = f": {', '.join(accepted)}" if accepted else ""
    return f"{len(proposed)} proposed  {outcome} {len(accepted)}{chosen}"
