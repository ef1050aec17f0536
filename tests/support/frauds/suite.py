"""Plant many frauds of each kind, audit each of them, and count those that were not found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tests.support.frauds.call_kinds import CALLS_OF_LEDGER
from tests.support.frauds.cases import Case, Kind, NotHere, Played
from tests.support.frauds.event_kinds import EVENTS
from tests.support.frauds.file_kinds import FILES
from tests.support.frauds.state_kinds import STATE

KINDS: list[Kind] = [*STATE.every, *EVENTS.every, *CALLS_OF_LEDGER.every, *FILES.every]
_ATTEMPTS = 400


@dataclass
class Count:
    """How many frauds of a kind were planted, and those that were missed."""

    planted: int = 0
    missed: list[str] = field(default_factory=list)


Counts = dict[str, Count]


def list_usable_kinds(played: Played) -> list[Kind]:
    """Return the kinds that can show on a ledger; some only show if it shows the calls."""
    has_calls = Case(played, (), Random()).has_calls
    return [kind for kind in KINDS if has_calls or not kind.needs_calls]


def plant_frauds(plays: Sequence[Played], number: int, seed: str) -> Counts:
    """Plant this many frauds of each kind into plays, and audit each of them."""
    counts: Counts = {}
    for kind in list_usable_kinds(plays[0]):
        count = counts[kind.name] = Count()
        for attempt in range(_ATTEMPTS * number):
            if count.planted == number:
                break
            _plant(kind, plays, Random(f"{seed} {kind.name} {attempt}"), count)
    return counts


def _plant(kind: Kind, plays: Sequence[Played], random: Random, count: Count) -> None:
    played = random.choice(plays)
    others = [each for each in plays if each.shape == played.shape and each is not played]
    case = Case(played, others, random)
    try:
        fraud = kind.plant(case)
    except NotHere:
        return
    count.planted += 1
    found = [each.round for each in case.audit().findings]
    if not fraud.rounds & set(found[:1] if fraud.is_first else found):
        wanted = sorted(fraud.rounds, key=str)
        count.missed.append(
            f"{kind.name}: {fraud.text} in {played.shape}: expected round {wanted}, "
            f"found {found or 'nothing'}"
        )


def format_counts(counts: Counts) -> str:
    """Return a table of the kinds."""
    rows = [f"{name:36} {c.planted:6} {len(c.missed):6}" for name, c in counts.items()]
    planted = sum(c.planted for c in counts.values())
    missed = sum(len(c.missed) for c in counts.values())
    head = f"{'kind':36} {'number':>6} {'missed':>6}"
    return "\n".join([head, *rows, f"{f'{len(counts)} kinds':36} {planted:6} {missed:6}"])


def list_missed(counts: Counts) -> list[str]:
    """Return all frauds that were not found, or not in their round."""
    return [text for count in counts.values() for text in count.missed]
