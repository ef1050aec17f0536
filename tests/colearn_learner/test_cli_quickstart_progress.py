"""`colearn quickstart` shows what it waits for."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from colearn_learner.cli import quickstart
from tests.support.plural import PluralExperiment


class StartingAgent:
    """An agent's process that joins when it is looked at for the second time, and then ends."""

    def __init__(self, made: PluralExperiment, number: int) -> None:
        self._made, self._number, self._looks = made, number, 0
        self.process = self

    def poll(self) -> int | None:
        return 0 if self._looks > 4 else None

    def check(self) -> None:
        self._looks += 1
        if self._looks == self._number + 2:
            hash_ = self._made.ledger.experiment(self._made.id).hash
            self._made.views[self._number].join(self._made.id, hash_)


def test_number_of_joined_agents_is_shown_when_it_changes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quickstart, "_LOOK_EVERY", 0)
    made = PluralExperiment(3, joining=0)
    agents: Any = [StartingAgent(made, number) for number in range(3)]
    place: Any = SimpleNamespace(open_view=lambda: made.ledger, experiment=made.id)
    out = StringIO()
    accounts = dict(zip(("alice", "bob", "carol"), made.accounts, strict=True))
    quickstart._follow(Console(file=out, width=80), place, agents, accounts, 3)
    shown = [line.strip() for line in out.getvalue().splitlines() if "joined" in line]
    assert shown == [f"{number} of 3 agents have joined" for number in (1, 2, 3)]
