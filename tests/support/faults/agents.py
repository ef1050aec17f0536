"""An agent in its own process, and waits for its progress."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_ledger.protocol import Account
from tests.support import ROOT
from tests.support.faults.gate import Gate
from tests.support.waiting import wait_until_true

CHAIN_ID = 31_337
DEADLINE = 180.0
"""Seconds after which a wait fails the test."""


def wait_for(what: str, condition: Callable[[], Any], *, seconds: float = DEADLINE) -> Any:
    """Wait until a function returns a true value, and return the value."""
    return wait_until_true(condition, what, seconds=seconds)


@dataclass
class RunningAgent:
    """A learner's agent: its folder, its key, and its process while it runs."""

    name: str
    folder: Path
    wallet: Wallet
    reference: str
    rpc: str
    store: str
    contract: Account
    target: float = 1.0
    numbers: int = 3
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    host: Callable[[], AbstractContextManager[Any]] = nullcontext
    process: subprocess.Popen[bytes] | None = None
    gate: Gate | None = None
    home: Path | None = None
    data_dir: Path | None = None

    def __post_init__(self) -> None:
        self.home = self.home or self.folder / "home"
        for folder in (self.home, self.folder / "notes"):
            folder.mkdir(parents=True, exist_ok=True)
        self.use_rpc(self.rpc)

    # ------------------------------------------------------------------ process

    @property
    def account(self) -> str:
        return str(self.wallet.address)

    def use_rpc(self, url: str, *others: str, agree: int = 1) -> None:
        """Configure the agent to use another node, or several, from its next start on.

        Args:
            url: the node's URL.
            others: URLs of further nodes, which are not listed in ``rpc``.
            agree: number of nodes that have to give the same answer.
        """
        self.rpc, urls = url, (url, *others) if others else url
        network = EvmNetwork("net", urls, CHAIN_ID, contracts=(self.contract,), agree=agree)
        Networks(self.home / "networks.toml").save(network)

    def start(self) -> Self:
        assert not self.is_running, f"{self.name} is already running"
        command = [
            *(sys.executable, "-m", "colearn_learner.cli", "agent", "run", "--json"),
            *("--experiment", self.reference, "--key", "env:LEARNER_KEY", "--poll", "0.1"),
            *("--network", "net", "--data-dir", str(self.data)),
            *("--store", f"folder:{self.folder / 'store'},{self.store}"),
            *(
                "--learner",
                "tests.support.faults.learner:make_learner",
                "--learner-arg",
                f"target={self.target}",
            ),
            *("--learner-arg", f"notes={self.folder / 'notes'}"),
            *("--learner-arg", f"numbers={self.numbers}"),
            *self.arguments,
        ]
        environment = {
            **{name: value for name, value in os.environ.items() if "COLEARN" not in name},
            "COLEARN_HOME": str(self.home),
            "COLEARN_LOCALNET": str(self.folder / "localnet"),
            "LEARNER_KEY": self.wallet.reveal_key(),
            **self.environment,
        }
        with self.log.open("ab") as output, self.host():
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill the process, as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def check(self) -> None:
        """Fail if the agent has ended with an error."""
        code = None if self.process is None else self.process.poll()
        assert code in (None, 0), f"{self.name} ended with {code}: {self.lines()[-3:]}"

    def restart(self) -> Self:
        """Kill the agent if it runs, and start it again in the same folder."""
        self.kill()
        return self.start()

    def wait_end(self, seconds: float = DEADLINE) -> int:
        """Wait until the agent ends by itself, and return its exit code."""
        wait_for(f"{self.name} ends", lambda: not self.is_running, seconds=seconds)
        assert self.process is not None
        code = int(self.process.returncode)
        self.process = None
        return code

    # ------------------------------------------------------------------ output

    @property
    def data(self) -> Path:
        return self.data_dir or self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        """Return the log of all starts; a line that is not JSON becomes an event."""
        return _json_lines(self.log)

    def journal(self, kind: str | None = None) -> list[dict[str, Any]]:
        lines = _json_lines(self.data / "journal.jsonl")
        return [line for line in lines if kind in (None, line.get("kind"))]

    def calls(self, step: str) -> list[dict[str, Any]]:
        """Return the learner's notes of a step, one per call."""
        lines = _json_lines(self.folder / "notes" / "calls.jsonl")
        return [line for line in lines if line["step"] == step]

    def wait_log(self, text: str, *, seconds: float = DEADLINE, times: int = 1) -> None:
        """Wait until a number of log lines contain a text."""

        def is_logged() -> bool:
            self.check()
            return sum(text in json.dumps(line) for line in self.lines()) >= times

        wait_for(f"{self.name} logs {text!r}", is_logged, seconds=seconds)

    # ------------------------------------------------------------------ stopping at a step

    def hold(self, step: str, *, after: int = 0) -> None:
        """Make the learner stop at a step of `learner.TowardsTarget` each time it reaches the step.

        Args:
            step: name of the step.
            after: number of passes before the first stop, counted across restarts; default 0.
        """
        self._hold(step).with_suffix(".partial").write_text(str(after))
        self._hold(step).with_suffix(".partial").replace(self._hold(step))

    def wait_until_stopped_at(self, step: str) -> None:
        """Wait until the learner has stopped at the step."""
        wait_for(
            f"{self.name} reaches {step}", lambda: self.check() or self._stop_file(step).exists()
        )

    def is_stopped_at(self, step: str) -> bool:
        """Return whether the learner has stopped at a step."""
        return self._stop_file(step).exists()

    def release_once(self, step: str) -> None:
        """Let the learner pass the step at which it has stopped, only this time."""
        self._stop_file(step).unlink()

    def release(self, step: str) -> None:
        """Let the learner pass a step, now and from now on."""
        self._hold(step).unlink(missing_ok=True)
        self._stop_file(step).unlink(missing_ok=True)

    def _hold(self, step: str) -> Path:
        return self.folder / "notes" / f"hold-{step}"

    def _stop_file(self, step: str) -> Path:
        return self.folder / "notes" / f"stopped-{step}"


def _json_lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            value = json.loads(line)
        except ValueError:
            value = line
        found.append(value if isinstance(value, dict) else {"event": line})
    return found
