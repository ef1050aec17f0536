"""Reports what the duels went through."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from tests.support.duel.record import RECORDS

    for record in RECORDS.values():
        terminalreporter.section(f"reference against contract, {record.name}")
        terminalreporter.write_line(record.report())
