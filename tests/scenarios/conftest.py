"""Count the stories that passed on each ledger."""

from collections import Counter
from pathlib import Path

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    folder = Path(__file__).parent.name
    passed: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        path, *names = report.nodeid.split("::")
        if report.when == "call" and Path(path).parent.name == folder and len(names) == 2:
            passed[f"{Path(path).stem.removeprefix('test_')}, {names[0]}"] += 1
    if not passed:
        return
    terminalreporter.section("stories that passed, by ledger")
    for ledger, number in sorted(passed.items()):
        terminalreporter.write_line(f"{number:5}  {ledger}")
    same = len(set(passed.values())) == 1
    terminalreporter.write_line(
        "the same number on every ledger" if same else "NOT the same number on every ledger"
    )
