"""The command `colearn quickstart`: run an experiment on real nodes, command by command."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.connect import Place, find_experiment
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.output import command_name, open_console, print_json
from colearn_learner.errors import LearnerError
from colearn_ledger.networks.address_book import Networks

if TYPE_CHECKING:
    from rich.console import Console

    from colearn_ledger.ledger import LedgerView
    from colearn_ledger.protocol import ExperimentId

_NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
_LOOK_EVERY = 0.5  # seconds
_LEAVE_WITHIN = 30.0  # seconds an agent has after SIGTERM


@dataclass(frozen=True, slots=True)
class _Kind:
    """The settings of the quickstart for one kind of chain."""

    profile: str
    up: tuple[str, ...]
    account: str  # field of the account in the output of `key new`
    modules: tuple[str, ...]


_KINDS = {
    "evm": _Kind("local-evm", ("--block-time", "1"), "account", ("web3",)),
    "cosmos": _Kind("local-cosmos", ("--chain", "cosmos"), "cosmos_account", ("cosmpy",)),
}


class StepFailed(LearnerError):
    """A command of the quickstart failed; the message contains the command and its output."""


@click.command()
@click.option(
    "--chain",
    type=click.Choice(list(_KINDS)),
    default="evm",
    show_default=True,
    help="Which kind: an EVM chain (anvil), or a Cosmos chain with CosmWasm (wasmd).",
)
@click.option(
    "--n-learners",
    type=click.IntRange(3, len(_NAMES)),
    default=5,
    show_default=True,
    help="How many agents, each a process with a key of its own.",
)
@click.option("--n-rounds", type=click.IntRange(1), default=10, show_default=True, help="Rounds.")
@click.option(
    "--dataset", default="breast-cancer", show_default=True, help="Which data set they divide."
)
@click.option("--ipfs", type=click.IntRange(1, 20), default=3, show_default=True, help="Nodes.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything goes, a new folder. [default: runs/quickstart-DATE]",
)
@click.option("--keep-up", is_flag=True, help="Leave the nodes running, to look around.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@report_errors
def quickstart(
    *, chain: str, as_json: bool, out: Path | None, keep_up: bool, **options: Any
) -> None:
    """Do the whole walk on real nodes: a chain and IPFS nodes, the contract, keys, agents, history.

    It runs the commands that you would, and shows each; nothing of it touches your own keys or
    networks. Missing nodes are installed first, which can take some minutes the first time.
    """
    kind = _KINDS[chain]
    need(*kind.modules, "sklearn")
    from colearn_learner.datasets import dataset

    dataset(options["dataset"])
    folder = _new_folder(out)
    console = open_console(stderr=as_json, highlight=False, soft_wrap=True)
    walk = _Walk(folder, console)
    with ExitStack() as closing:
        walk.run("localnet", "up", *kind.up, "--ipfs", str(options["ipfs"]))
        if not keep_up:
            closing.callback(walk.run, "localnet", "down")
        result = _experiment(walk, kind, **options)
    if as_json:
        print_json(result)
        return
    console.print(f"\nEverything is in [bold]{folder}[/]: the agents' logs, history, weights.")
    if keep_up:
        console.print("The nodes run on. To go on by hand:")
        console.print(f"  export COLEARN_HOME={shlex.quote(str(walk.home))}")
        console.print(f"  export COLEARN_LOCALNET={shlex.quote(str(walk.localnet))}")
        console.print(f'  export COLEARN_PASSWORD="$(cat {shlex.quote(str(walk.password_file))})"')
        console.print(f"  {command_name()} experiment show {result['experiment']}")
        console.print(f"  {command_name()} localnet down")


def _experiment(
    walk: _Walk, kind: _Kind, *, n_learners: int, n_rounds: int, dataset: str, ipfs: int
) -> dict[str, Any]:
    names = _NAMES[:n_learners]
    accounts = {name: str(walk.ask("key", "new", name)[kind.account]) for name in ("owner", *names)}
    for account in accounts.values():
        walk.run("localnet", "fund", account)
    walk.run("deploy", "--network", kind.profile, "--key", "owner")

    spec = walk.folder / "experiment.toml"
    spec.write_text(_spec(dataset, n_learners, n_rounds), encoding="utf-8")
    apis = [node["api"] for node in walk.ask("localnet", "status", shown=False)["ipfs"]]
    created = walk.ask("experiment", "create", "--spec", spec, "--key", "owner")
    reference = str(created["reference"])

    place = find_experiment(reference, None, Networks(walk.home / "networks.toml"))
    with walk.agents(reference, dataset, names, apis) as agents:
        _follow(walk.console, place, agents, accounts, n_rounds)
    walk.run("history", reference)
    history = walk.ask("history", reference, shown=False)
    walk.write("history.json", history)
    weights = walk.folder / "weights.safetensors"
    walk.run("weights", "get", reference, "--out", weights)
    return {
        "experiment": reference,
        "folder": str(walk.folder),
        "history": str(walk.folder / "history.json"),
        "weights": str(weights),
        "adopted": {agent.name: agent.adopted() for agent in agents},
    }


def _spec(dataset: str, n_learners: int, n_rounds: int) -> str:
    """Return the content of the file that describes the experiment."""
    from colearn_learner.catalogue.settings import score_of
    from colearn_learner.datasets import dataset as find_dataset

    score = score_of(find_dataset(dataset).task)
    higher = "true" if score.higher_is_better else "false"
    return f"""\
name = "quickstart"

[model]
description = "the simplest model of the catalogue for {dataset}"
score_name = "{score.name}"
higher_is_better = {higher}

[weights]
learner = "colearn_learner.catalogue:share"
arguments = {{ dataset = "{dataset}", learner = 0, of = {n_learners} }}

[terms]
rounds = {n_rounds}
min_learners = {n_learners}
max_learners = {n_learners}
propose_window = 120
vote_window = 120
"""


def _new_folder(out: Path | None) -> Path:
    folder = out or Path("runs", f"quickstart-{datetime.now():%Y-%m-%d_%H-%M-%S}")
    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty; choose another folder by --out")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


# ------------------------------------------------------------------------------- commands


@dataclass(slots=True)
class _Walk:
    """Runs `colearn` commands with a separate home folder, and shows them."""

    folder: Path
    console: Console
    home: Path = field(init=False)
    localnet: Path = field(init=False)
    password_file: Path = field(init=False)
    _environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        from colearn_ledger.home import private_folder, write_private

        self.home = private_folder(self.folder / "home")
        self.localnet = self.folder / "localnet"
        self.password_file = self.home / "password"
        password = secrets.token_urlsafe(16)
        write_private(self.password_file, password.encode())
        self._environment = {
            "COLEARN_HOME": str(self.home),
            "COLEARN_LOCALNET": str(self.localnet),
            "COLEARN_PASSWORD": password,
        }

    def run(self, *arguments: object) -> None:
        """Run a command and show its output."""
        self._show(arguments)
        for line in self._output(arguments).strip().splitlines():
            self.console.print(f"  {line}", markup=False, style="dim")

    def ask(self, *arguments: object, shown: bool = True) -> Any:
        """Run a command with ``--json`` and return its parsed output."""
        if shown:
            self._show(arguments)
        return json.loads(self._output((*arguments, "--json")))

    @contextmanager
    def agents(
        self, reference: str, dataset: str, names: Sequence[str], apis: Sequence[str]
    ) -> Iterator[list[_Agent]]:
        """Start an agent for each name, and stop all agents at the end of the block."""
        agents: list[_Agent] = []
        try:
            for number, name in enumerate(names):
                folder = self.folder / "agents" / name
                folder.mkdir(parents=True)
                arguments = (
                    *("agent", "run", "--experiment", reference, "--key", name, "--poll", "0.2"),
                    *("--data-dir", folder / "data"),
                    *("--store", f"folder:{folder / 'store'},{apis[number % len(apis)]}"),
                    *("--learner", "colearn_learner.catalogue:share"),
                    *("--learner-arg", f"dataset={dataset}"),
                    *("--learner-arg", f"learner={number}", "--learner-arg", f"of={len(names)}"),
                    "--json",
                )
                self._show(arguments, more=" &")
                log = folder / "log.jsonl"
                with log.open("wb") as output:
                    process = subprocess.Popen(  # noqa: S603 - our own command
                        self._command(arguments),
                        env=self._env(),
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        stdin=subprocess.DEVNULL,
                    )
                agents.append(_Agent(name, process, log))
            yield agents
        finally:
            _stop(agents)

    def write(self, name: str, value: Any) -> None:
        """Write a value to a JSON file in the folder."""
        (self.folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

    def _show(self, arguments: Sequence[object], more: str = "") -> None:
        words = [str(word).replace(f"{self.folder}/", "") for word in arguments]
        line = f"$ colearn {shlex.join(words)}{more}"
        self.console.print(line, markup=False, style="bold")

    def _command(self, arguments: Sequence[object]) -> list[str]:
        return [sys.executable, "-m", "colearn_learner.cli", *map(str, arguments)]

    def _env(self) -> dict[str, str]:
        others = {k: v for k, v in os.environ.items() if not k.startswith("COLEARN_")}
        return {**others, **self._environment}

    def _output(self, arguments: Sequence[object]) -> str:
        done = subprocess.run(  # noqa: S603 - our own command
            self._command(arguments), env=self._env(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-2_000:]
            raise StepFailed(
                f"colearn {shlex.join(map(str, arguments))} failed ({done.returncode}): {said}"
            )
        return done.stdout


# --------------------------------------------------------------------------------- agents


@dataclass(slots=True)
class _Agent:
    """An agent's process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def adopted(self) -> str | None:
        """Return the CID of the last weights in the agent's log; None if there are none."""
        for line in reversed(self._lines()):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("weights"):
                return str(entry["weights"])
        return None

    def check(self) -> None:
        """Raise an error if the agent failed.

        Raises:
            StepFailed: the process ended with an error; the message ends with its last log lines.
        """
        if self.process.poll() not in (None, 0):
            end = "\n".join(self._lines()[-5:])
            raise StepFailed(
                f"the agent of {self.name} ended with {self.process.returncode}; its log, "
                f"{self.log}, ends with:\n{end}"
            )

    def _lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()


def _stop(agents: Sequence[_Agent]) -> None:
    for agent in agents:
        if agent.process.poll() is None:
            agent.process.send_signal(signal.SIGTERM)
    for agent in agents:
        try:
            agent.process.wait(_LEAVE_WITHIN)
        except subprocess.TimeoutExpired:
            agent.process.kill()
            agent.process.wait()


def _follow(
    console: Console,
    place: Place,
    agents: Sequence[_Agent],
    accounts: Mapping[str, str],
    n_rounds: int,
) -> None:
    """Show each closed round until every agent has ended."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    ledger = place.open_view()
    names = {account: name for name, account in accounts.items()}
    bar = Progress(
        TextColumn("rounds"), BarColumn(), MofNCompleteColumn(), console=console, transient=True
    )
    with bar:
        task = bar.add_task("rounds", total=n_rounds)
        shown = 0
        while True:
            ended = all(agent.process.poll() is not None for agent in agents)
            for agent in agents:
                agent.check()
            for line in _closed(ledger, place.experiment, names, shown):
                bar.console.print(f"  {line}", markup=False)
                shown += 1
            bar.update(task, completed=shown)
            if ended:
                return
            time.sleep(_LOOK_EVERY)


def _closed(
    ledger: LedgerView, experiment: ExperimentId, names: Mapping[str, str], first: int
) -> list[str]:
    """Return a line for each closed round, from round ``first`` on."""
    from colearn_ledger.protocol import Outcome

    lines = []
    for held in ledger.rounds(experiment, first, 100):
        if held.outcome == Outcome.NONE:
            break
        outcome = held.outcome.name.lower().replace("_", " ")
        lines.append(
            f"round {held.index:>3}  {names.get(held.proposer, '?'):<6} proposed  "
            f"{held.approvals} of {held.eligible} approve  {outcome}"
        )
    return lines
