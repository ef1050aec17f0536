"""Change the journals of agents and of transactions on disk, as someone who knows the format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from colearn_learner.agent.journal import DecisionJournal
from colearn_ledger.text.checked_lines import read_line, write_line


def rewrite_decisions(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Replace the lines of an agent's journal by others, with valid checksums."""
    for file in (path, path.with_suffix(".head")):
        file.unlink(missing_ok=True)
    journal = DecisionJournal(path)
    for line in lines:
        journal.append({name: value for name, value in line.items() if name != "check"})
    journal.close()


def change_transactions(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change each line of a journal of transactions, and give it a valid checksum again."""
    lines = [read_line(line)[0] for line in path.read_bytes().splitlines()]
    for line in lines:
        change(line)
    path.write_bytes(b"".join(write_line(line)[0] + b"\n" for line in lines))
