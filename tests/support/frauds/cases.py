"""Finished plays that frauds are planted into, and what a fraud is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any, TypeVar

from colearn_ledger.audit import AuditReport, audit_experiment
from colearn_ledger.calls import BALLOTS, Query
from colearn_ledger.ledger import LedgerView, Origin, RecordedEvent
from colearn_ledger.protocol import (
    Ballot,
    ContentRef,
    Event,
    Experiment,
    ExperimentId,
    Learner,
    Round,
    RoundStarted,
    SigningDomain,
)
from colearn_ledger.weights.store import ContentStore
from tests.support.frauds.plays import Play, Shape
from tests.support.lying_ledger import LyingLedger
from tests.support.world import World

T = TypeVar("T")


class NotHere(LookupError):
    """A play has no place for a kind of fraud."""


class RememberedView(LedgerView):
    """A view of a finished experiment that asks the ledger each question once.

    Args:
        honest: the ledger.
    """

    def __init__(self, honest: LedgerView) -> None:
        self._honest = honest
        self._answers: dict[Any, Any] = {}
        self._events: dict[ExperimentId, list[RecordedEvent]] = {}
        self._origins: dict[Any, Origin | None] = {}

    @property
    def domain(self) -> SigningDomain:
        return self._honest.domain

    def now(self) -> int:
        return self._honest.now()

    def wait_for_change(self, timeout: float) -> bool:
        return self._honest.wait_for_change(timeout)

    def ask_all(self, query: Query[T], questions: Sequence[Sequence[Any]]) -> list[T]:
        keys = [(query.name, *question) for question in questions]
        new = [key for key in keys if key not in self._answers]
        if new:
            answers = self._honest.ask_all(query, [key[1:] for key in new])
            self._answers |= dict(zip(new, answers, strict=True))
        return [self._answers[key] for key in keys]

    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        if experiment not in self._events:
            every: list[RecordedEvent] = []
            while page := self._honest.events(experiment, every[-1].cursor if every else -1):
                every += page
            self._events[experiment] = every
            origins = self._honest.read_origins(every)
            for each, origin in zip(every, origins, strict=True):
                self._origins[each.transaction, each.event] = origin
                self._origins.setdefault(each.transaction, origin)
        return [each for each in self._events[experiment] if each.cursor > after][:limit]

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return what is known of the events, and of changed ones by their transaction."""
        known = self._origins
        return [
            known.get((each.transaction, each.event), known.get(each.transaction))
            for each in recorded
        ]


@dataclass(frozen=True)
class Played:
    """A finished experiment: where to read it, and its files."""

    view: LedgerView
    store: ContentStore
    experiment: ExperimentId
    shape: str


def play(world: World, store: ContentStore, seed: int, shape: tuple[str, Shape]) -> Played:
    """Play an experiment with decisions drawn from a seed."""
    name, how = shape
    experiment = Play(world, store, Random(f"{name} {seed}"), how).run()
    return Played(RememberedView(world.view("anyone")), store, experiment, name)


Rounds = frozenset[int | None]


@dataclass(frozen=True)
class Fraud:
    """A planted fraud.

    Args:
        text: what it is, with its place.
        rounds: the round that the first finding has to name; several if either would be right.
        is_first: False if a later finding may name it.
    """

    text: str
    rounds: Rounds
    is_first: bool = True


class Case:
    """One play, with a lying ledger and a store into which one fraud is planted.

    Args:
        played: the play.
        others: other plays of the same shape on the same kind of ledger.
        random: the source of all decisions.
    """

    def __init__(self, played: Played, others: Sequence[Played], random: Random) -> None:
        self.played = played
        self.others = others
        self.random = random
        self.ledger = LyingLedger(played.view)
        self.store: Any = None

    # what the honest ledger has

    @property
    def id(self) -> ExperimentId:
        return self.played.experiment

    @cached_property
    def events(self) -> list[RecordedEvent]:
        return LyingLedger(self.played.view).events(self.id)

    @cached_property
    def origins(self) -> list[Origin | None]:
        return self.played.view.read_origins(self.events)

    @property
    def has_calls(self) -> bool:
        """Return whether the ledger shows calls at all."""
        return any(origin is not None and origin.call is not None for origin in self.origins)

    @cached_property
    def experiment(self) -> Experiment:
        return self.played.view.experiment(self.id)

    @cached_property
    def rounds(self) -> list[Round]:
        return self.played.view.rounds(self.id)

    @cached_property
    def learners(self) -> list[Learner]:
        return self.played.view.learners(self.id)

    @cached_property
    def ballots(self) -> list[Ballot]:
        questions = [(self.id, round_.index, 0, 100) for round_ in self.rounds]
        return [row for page in self.played.view.ask_all(BALLOTS, questions) for row in page]

    @cached_property
    def places(self) -> list[int | None]:
        """Return the round of each event; ``None`` before the start."""
        places: list[int | None] = []
        begun: int | None = None
        for each in self.events:
            if isinstance(each.event, RoundStarted):
                begun = each.event.round
            places.append(getattr(each.event, "round", begun))
        return places

    @property
    def last(self) -> int:
        return len(self.rounds) - 1

    # choosing places

    def pick(self, places: Iterable[T]) -> T:
        """Return one of these places."""
        found = list(places)
        if not found:
            raise NotHere
        return self.random.choice(found)

    def pick_event(self, *kinds: type[Event], where: Callable[[Any], bool] = bool) -> int:
        """Return the position of an event of one of these kinds."""
        return self.pick(
            at
            for at, each in enumerate(self.events)
            if isinstance(each.event, kinds) and where(each.event)
        )

    # planting

    def set_events(self, events: Sequence[RecordedEvent]) -> None:
        self.ledger.rewrite_events = lambda _: list(events)

    def set_event(self, at: int, **changes: Any) -> None:
        """Change fields of one event."""
        event = replace(self.events[at].event, **changes)
        self.set_events(
            [*self.events[:at], replace(self.events[at], event=event), *self.events[at + 1 :]]
        )

    def set_rows(self, query: str, change: Callable[[Any], Any]) -> None:
        """Change rows in all answers to a query."""
        self.ledger.rewrites[query] = lambda rows: [change(row) for row in rows]

    def set_origins(self, transaction: str, change: Callable[[Origin], Origin]) -> None:
        """Change what the ledger shows of one transaction."""
        [known] = {id(o): o for o in self.origins_of(transaction)}.values()
        changed = change(known)
        self.ledger.rewrite_origin = lambda origin: changed if origin is known else origin

    def origins_of(self, transaction: str) -> list[Origin]:
        pairs = zip(self.events, self.origins, strict=True)
        return [o for each, o in pairs if each.transaction == transaction and o is not None]

    def audit(self) -> AuditReport:
        """Audit the play through the lying ledger and the store."""
        return audit_experiment(self.ledger, self.store, self.id)


Plant = Callable[[Case], Fraud]


@dataclass(frozen=True)
class Kind:
    """A kind of fraud.

    Args:
        name: its name in the table.
        plant: plants it into a case; raises `NotHere` if the play has no place for it.
        needs_calls: whether it only shows on a ledger that shows the calls.
    """

    name: str
    plant: Plant
    needs_calls: bool = False


@dataclass
class Kinds:
    """All kinds of a module."""

    every: list[Kind] = field(default_factory=list)

    def add(self, name: str, *, needs_calls: bool = False) -> Callable[[Plant], Plant]:
        """Return a decorator that adds a kind."""

        def decorate(plant: Plant) -> Plant:
            self.every.append(Kind(name, plant, needs_calls))
            return plant

        return decorate


def alter(random: Random, value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value - 1 if value and random.random() < 0.5 else value + 1
    if isinstance(value, bytes):
        at = random.randrange(len(value))
        return value[:at] + bytes([value[at] ^ 1 << random.randrange(8)]) + value[at + 1 :]
    if isinstance(value, ContentRef):
        return alter_content(random, value)
    raise TypeError(value)


def alter_content(random: Random, content: ContentRef) -> ContentRef:
    """Return a reference that differs in its bytes' hash, its CID or its size."""
    digest = random.randbytes(32)
    other = ContentRef.from_digest(0x70, digest, random.randbytes(32).hex(), content.size)
    return random.choice(
        (other, replace(content, size=content.size + 1), replace(other, sha256=content.sha256))
    )
