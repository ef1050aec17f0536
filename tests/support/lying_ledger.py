"""A ledger and a store that rewrite the answers of honest ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from colearn_ledger.calls import Query
from colearn_ledger.ledger import LedgerView, Origin, RecordedEvent
from colearn_ledger.protocol import ContentRef, Event, ExperimentId, SigningDomain
from colearn_ledger.weights.store import ContentStore, ContentUnavailable

Rewrite = Callable[[Any], Any]


class LyingLedger(LedgerView):
    """A ledger that rewrites answers; each page of events comes from the rewritten list.

    Args:
        honest: the ledger.
    """

    def __init__(self, honest: LedgerView) -> None:
        self._honest = honest
        self.rewrites: dict[str, Rewrite] = {}
        self.rewrite_events: Callable[[list[RecordedEvent]], list[RecordedEvent]] = list
        self.rewrite_origin: Callable[[Origin | None], Origin | None] = lambda origin: origin
        self.shown_domain = honest.domain
        self.pages = 0

    @property
    def domain(self) -> SigningDomain:
        return self.shown_domain

    def now(self) -> int:
        return self._honest.now()

    def wait_for_change(self, timeout: float) -> bool:
        return self._honest.wait_for_change(timeout)

    def ask_all(self, query: Query[Any], questions: Sequence[Sequence[Any]]) -> list[Any]:
        rewrite = self.rewrites.get(query.name, lambda answer: answer)
        return [rewrite(answer) for answer in self._honest.ask_all(query, questions)]

    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        self.pages += 1
        every: list[RecordedEvent] = []
        while page := self._honest.events(experiment, every[-1].cursor if every else -1):
            every += page
        # room between the places of events, for invented ones
        every = [replace(each, cursor=4 * number) for number, each in enumerate(every)]
        return [each for each in self.rewrite_events(every) if each.cursor > after][:limit]

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        return [self.rewrite_origin(each) for each in self._honest.read_origins(recorded)]


def change_event(ledger: LyingLedger, wanted: Callable[[Event], bool], **changes: Any) -> None:
    """Let a ledger change fields of the first event that is wanted; they may be functions."""

    def rewrite(events: list[RecordedEvent]) -> list[RecordedEvent]:
        at = find_event(events, wanted)
        event = events[at].event
        values = {
            name: change(getattr(event, name)) if callable(change) else change
            for name, change in changes.items()
        }
        return [
            *events[:at],
            replace(events[at], event=replace(event, **values)),
            *events[at + 1 :],
        ]

    ledger.rewrite_events = rewrite


def find_event(events: Sequence[RecordedEvent], wanted: Callable[[Event], bool]) -> int:
    """Return the position of the first event that is wanted."""
    return next(at for at, each in enumerate(events) if wanted(each.event))


def change_row(ledger: LyingLedger, query: str, wanted: Callable[[Any], bool], **new: Any) -> None:
    """Let a ledger change fields of the first row that is wanted in each answer to a query."""

    def rewrite(rows: list[Any]) -> list[Any]:
        for at, row in enumerate(rows):
            if wanted(row):
                values = {
                    name: change(getattr(row, name)) if callable(change) else change
                    for name, change in new.items()
                }
                return [*rows[:at], replace(row, **values), *rows[at + 1 :]]
        return rows

    ledger.rewrites[query] = rewrite


class LyingStore:
    """A store that delivers other bytes of one file, without an error.

    Args:
        honest: the store.
        content: the file.
        rewrite: returns the bytes to deliver, ``None`` if the file is missing.
    """

    def __init__(
        self, honest: ContentStore, content: ContentRef, rewrite: Callable[[bytes], bytes | None]
    ) -> None:
        self._honest = honest
        self._content = content
        self._rewrite = rewrite

    @contextmanager
    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> Iterator[Iterator[bytes]]:
        with self._honest.get(content, max_size=max_size, timeout=timeout) as pieces:
            data: bytes | None = b"".join(pieces)
        if content == self._content and data is not None:
            data = self._rewrite(data)
        if data is None:
            raise ContentUnavailable(f"nobody serves {content.cid}")
        yield iter([data])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)
