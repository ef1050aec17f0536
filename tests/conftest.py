"""Rules for the whole test run: in CI a skipped or expected-to-fail test is a failure."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    avoided = [r for kind in ("skipped", "xfailed") for r in reporter.stats.get(kind, [])]
    if avoided:
        reporter.write_line(f"CI=true: {len(avoided)} tests were skipped, which is a failure.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
