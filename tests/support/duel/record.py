"""Counts of calls, events and outcomes, which show that the duels reached deep states."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Record:
    """Counts of one backend's duels."""

    name: str
    steps: int = 0
    duels: int = 0
    comparisons: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    """Calls by name and by whether they were accepted."""
    errors: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    rounds: Counter[str] = field(default_factory=Counter)
    """Rounds by outcome, kind of ballots, and whether a deadline closed them."""
    proposals: Counter[str] = field(default_factory=Counter)
    """Rounds by number of proposals, merge and outcome."""
    skipped: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def report(self) -> str:
        def list_counts(counts: Counter[str]) -> str:
            return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))

        return "\n".join(
            [
                f"{self.steps:,} steps in {self.duels:,} duels, "
                f"{self.comparisons:,} answers compared, {self.ended - self.began:.0f} s",
                f"calls: {list_counts(self.calls)}",
                f"errors: {list_counts(self.errors)}",
                f"events: {list_counts(self.events)}",
                f"rounds: {list_counts(self.rounds)}",
                f"rounds by proposals: {list_counts(self.proposals)}",
                f"signed ballots skipped: {list_counts(self.skipped)}",
            ]
        )


RECORDS: dict[str, Record] = {}
