"""Report the duels between the reference and the contracts."""

from collections.abc import Iterator

import pytest

from tests.support.duel.record import RECORDS

_TITLE = "duels on "


@pytest.fixture(autouse=True)
def duel_reports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Attach the reports of a test's duels to its result, whichever process ran them."""
    before = set(RECORDS)
    yield
    for name in set(RECORDS) - before:
        request.node.user_properties.append((_TITLE + name, RECORDS[name].report()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        if getattr(report, "when", None) == "teardown":
            for name, text in report.user_properties:
                if name.startswith(_TITLE):
                    terminalreporter.section(name)
                    terminalreporter.write_line(text)
