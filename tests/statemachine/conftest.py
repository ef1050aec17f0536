"""Summary of the duels between the reference and the contracts."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        if getattr(report, "when", None) == "teardown":
            for name, text in report.user_properties:
                terminalreporter.section(name)
                terminalreporter.write_line(text)
