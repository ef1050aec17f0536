"""Print how many frauds of each kind the tests planted, and how many were missed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from colearn_ledger.weights.stores.directory import DirectoryStore
from tests.support.frauds.suite import Counts, format_counts

Report = Callable[[str, Counts], None]
_TITLE = "frauds planted: "


@pytest.fixture
def report_counts(request: pytest.FixtureRequest) -> Report:
    """Attach a table to the test's result, whichever process runs it, and check it."""

    def report(title: str, counts: Counts) -> None:
        request.node.user_properties.append((_TITLE + title, format_counts(counts)))

    return report


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DirectoryStore:
    return DirectoryStore(Path(tmp_path_factory.mktemp("store")), owner="players")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        if getattr(report, "when", None) != "teardown":
            continue
        for name, text in report.user_properties:
            if name.startswith(_TITLE):
                terminalreporter.section(name)
                terminalreporter.write_line(text)
