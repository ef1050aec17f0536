"""The start of an agent that has run before waits for its node and its disk."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from colearn_learner.agent.errors import FolderNotWritable
from colearn_learner.cli._support import taking_part
from colearn_learner.cli._support.signals import Stopping
from colearn_learner.cli._support.taking_part import start_patiently
from colearn_ledger.home import HomeNotWritable
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import LedgerError

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking_part, "_BACKOFF", replace(taking_part._BACKOFF, longest=0.0))


def test_start_is_repeated_until_node_and_disk_are_well(caplog: pytest.LogCaptureFixture):
    errors = [
        LedgerUnavailable("the node does not answer"),
        FolderNotWritable(Path("journal.jsonl"), FULL),
        HomeNotWritable("the journal cannot be used: No space left on device"),
    ]
    left = list(errors)

    def start() -> str:
        if left:
            raise left.pop(0)
        return "started"

    caplog.set_level(logging.WARNING)
    assert start_patiently(start, Stopping(lambda _: None)) == "started"
    assert [message.rsplit(";", 1)[0] for message in caplog.messages] == [str(e) for e in errors]


def test_signal_ends_the_wait():
    stopping = Stopping(lambda _: None)

    def start() -> str:
        stopping.requested.set()
        raise LedgerUnavailable("the node does not answer")

    assert start_patiently(start, stopping) is None


def test_other_errors_end_the_start():
    def start() -> str:
        raise LedgerError("the experiment is another one")

    with pytest.raises(LedgerError, match="another one"):
        start_patiently(start, Stopping(lambda _: None))
