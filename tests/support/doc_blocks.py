"""Code blocks of a Markdown page, which run in order in one folder.

- ``python``: runs in this process, in one namespace per page.
- ``sh``: runs in bash, which stops at the first command that fails. As in a terminal, the blocks
  below can use its exported variables and its functions.
- ``sh`` with ``title="on MACHINE"``: runs in bash on one of several machines; see
  `tests.support.doc_machines`.
- any other block with ``title="FILE"``: is written to that file, which the blocks below it may use.
- ``text``, ``json``, ``solidity``: are not run.
- ``console title="not run in the tests"``: is not run; it needs another machine, docker or a
  public chain.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import ROOT

DOCS = ROOT / "docs"
SHOWN = ("text", "json", "solidity")
NOT_RUN = "not run in the tests"

_KEEP_STATE = """state=$PWD/tmp/state.sh
[ ! -f "$state" ] || . "$state"
trap '{ declare -fp; export -p; } > "$state"' EXIT
"""
"""Start of each script: restores the functions and variables of the last one, and saves them."""

_FENCE = re.compile(r'^```(\w*)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line`` is the line of its first line of code."""

    page: str
    line: int
    language: str
    title: str
    body: str

    @property
    def runs(self) -> bool:
        return self.language in ("python", "sh") and not self.title

    @property
    def machine(self) -> str:
        """Return the machine that the block's title names; empty if it names none."""
        return self.title.removeprefix("on ") if self.title.startswith("on ") else ""


def read_blocks(path: Path) -> list[Block]:
    text = path.read_text()
    name = str(path.relative_to(DOCS if path.is_relative_to(DOCS) else ROOT))
    return [
        Block(name, text.count("\n", 0, m.start(3)) + 1, m[1], m[2] or "", m[3])
        for m in _FENCE.finditer(text)
    ]


def list_pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


@dataclass
class Runner:
    """Runs blocks in a folder that has its own keys, networks and nodes."""

    folder: Path
    names: dict[str, object] = field(default_factory=lambda: {"__name__": "docs"})
    output: str = ""
    tools: Sequence[Path] = ()
    """Folders of commands, first on PATH."""
    keeps_processes: bool = False
    """Whether processes that a script left running end only with `stop_processes`."""
    _groups: list[int] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        places = {"COLEARN_HOME": "home", "COLEARN_LOCALNET": "localnet", "TMPDIR": "tmp"}
        (self.folder / "tmp").mkdir(exist_ok=True)
        ours = {name: str(self.folder / place) for name, place in places.items()}
        folders = [*self.tools, Path(sys.executable).parent, os.environ["PATH"]]
        path = os.pathsep.join(map(str, folders))
        return os.environ | ours | {"COLEARN_PASSWORD": "a password of the docs", "PATH": path}

    def run(self, block: Block) -> None:
        if block.title and block.title != NOT_RUN:
            target = self.folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.body)
        elif block.language == "python":
            code = "\n" * (block.line - 1) + block.body  # tracebacks show the page's line
            exec(compile(code, block.page, "exec"), self.names)
        elif block.language == "sh":
            self.run_script(block.body, f"{block.page}:{block.line}")

    def run_script(self, script: str, where: str) -> None:
        """Run a script to its end, then end the processes that it started, unless they are kept."""
        log = self.folder / "tmp" / "output.txt"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", _KEEP_STATE + script],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            try:
                status = process.wait()
            finally:
                self._groups.append(process.pid)
                if not self.keeps_processes or process.returncode is None:
                    self.stop_processes()
        output_text = log.read_text(errors="replace")
        self.output += output_text
        assert status == 0, f"{where} ended with {status}:\n{output_text[-3_000:]}"

    def stop_processes(self) -> None:
        """End the processes that scripts left running; nodes of a local network continue."""
        while self._groups:
            _end_group(self._groups.pop())

    def stop_nodes(self) -> None:
        """Stop the nodes that the blocks left running."""
        command = [sys.executable, "-m", "colearn_learner.cli", "localnet", "down", "--wipe"]
        for record in list(self.folder.rglob("net.json")):  # `down` deletes folders
            folder = ["--folder", str(record.parent)]
            subprocess.run([*command, *folder], env=self.environment, cwd=self.folder, check=True)


def _end_group(group: int) -> None:
    """End the processes left in a script's process group; nodes have their own groups."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
