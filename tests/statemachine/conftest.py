"""Lets the files of this folder import each other, and reports what the duels went through."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("duel_machine", "duel_backends", "duel_wasmd")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from duel_record import RECORDS

    for record in RECORDS.values():
        terminalreporter.section(f"reference against contract, {record.name}")
        terminalreporter.write_line(record.report())
