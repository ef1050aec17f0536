"""Run the commands of the quickstart, with separate keys and networks, and show each of them."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colearn_learner.errors import LearnerError

if TYPE_CHECKING:
    from rich.console import Console

_STOP_WITHIN = 30.0  # seconds that an agent has to stop after SIGTERM


class StepFailed(LearnerError):
    """A command of the quickstart failed; the message contains the command and its output."""


@dataclass(slots=True)
class AgentProcess:
    """The process of an agent and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def read_adopted(self) -> str | None:
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
                f"the agent of {self.name} failed with exit code {self.process.returncode}; its "
                f"log, {self.log}, ends with:\n{end}"
            )

    def _lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()


@dataclass(slots=True)
class Walk:
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
    ) -> Iterator[list[AgentProcess]]:
        """Start an agent for each name, and stop all agents at the end of the block."""
        agents: list[AgentProcess] = []
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
                agents.append(AgentProcess(name, process, log))
            yield agents
        finally:
            _stop_agents(agents)

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
        indented = {"COLUMNS": str(max(40, self.console.width - 2))}
        return {**others, **indented, **self._environment}

    def _output(self, arguments: Sequence[object]) -> str:
        done = subprocess.run(  # noqa: S603 - our own command
            self._command(arguments), env=self._env(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            output = (done.stderr.strip() or done.stdout.strip())[-2_000:]
            command = shlex.join(map(str, arguments))
            raise StepFailed(f"colearn {command} failed with exit code {done.returncode}: {output}")
        return done.stdout


def _stop_agents(agents: Sequence[AgentProcess]) -> None:
    for agent in agents:
        if agent.process.poll() is None:
            agent.process.send_signal(signal.SIGTERM)
    for agent in agents:
        try:
            agent.process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            agent.process.kill()
            agent.process.wait()
