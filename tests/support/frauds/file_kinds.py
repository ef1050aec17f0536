"""Frauds of a store, and false references to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from colearn_ledger.protocol import Announced, ContentRef, Outcome, RoundClosed, WeightsProposed
from colearn_ledger.weights.announced import TOPIC
from colearn_ledger.weights.store import ContentStore, ContentUnavailable
from tests.support.frauds.cases import Case, Fraud, Kinds

FILES = Kinds()


class DishonestStore:
    """A store that serves these bytes for these CIDs, unverified, and nothing for ``None``.

    Args:
        honest: the store behind it.
        served: bytes by CID.
    """

    def __init__(self, honest: ContentStore, served: Mapping[str, bytes | None]) -> None:
        self._honest = honest
        self._served = served

    @contextmanager
    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> Iterator[Iterator[bytes]]:
        if content.cid not in self._served:
            with self._honest.get(content, max_size=max_size, timeout=timeout) as pieces:
                yield pieces
            return
        data = self._served[content.cid]
        if data is None:
            raise ContentUnavailable(f"nobody serves {content.cid}")
        yield iter([data])


def _read(case: Case, content: ContentRef) -> bytes:
    with case.played.store.get(content, max_size=content.size) as pieces:
        return b"".join(pieces)


def _pick_file(case: Case) -> tuple[ContentRef, int | None]:
    """Return one of the experiment's files, and the first round in which it matters."""
    params = case.experiment.params
    files: dict[ContentRef, int | None] = {}
    for row in reversed(case.rounds):
        files |= dict.fromkeys(row.contents.values(), row.index)
    files |= dict.fromkeys(filter(None, (params.spec, params.initial)))
    return case.pick(files.items())


def _serve(case: Case, what: str, data: bytes | None, file: tuple[ContentRef, int | None]) -> Fraud:
    content, place = file
    case.store = DishonestStore(case.played.store, {content.cid: data})
    return Fraud(f"{what} of the file of round {place}", frozenset({place}))


@FILES.add("store: wrong bytes")
def wrong_bytes(case: Case) -> Fraud:
    file = _pick_file(case)
    data = bytearray(_read(case, file[0]))
    for _ in range(case.random.randrange(1, 4)):
        data[case.random.randrange(len(data))] ^= case.random.randrange(1, 256)
    if bytes(data) == _read(case, file[0]):
        data[0] ^= 1
    return _serve(case, "other bytes", bytes(data), file)


@FILES.add("store: truncated bytes")
def truncated(case: Case) -> Fraud:
    file = _pick_file(case)
    data = _read(case, file[0])
    return _serve(case, "a part", data[: case.random.randrange(len(data))], file)


@FILES.add("store: more bytes")
def longer(case: Case) -> Fraud:
    file = _pick_file(case)
    more = case.random.randbytes(case.random.randrange(1, 100))
    return _serve(case, "more bytes", _read(case, file[0]) + more, file)


@FILES.add("store: another file's bytes")
def other_file(case: Case) -> Fraud:
    file = _pick_file(case)
    others = {c for row in case.rounds for c in row.contents.values()} - {file[0]}
    other = case.pick(sorted(others, key=lambda each: each.cid))
    return _serve(case, "another file's bytes", _read(case, other), file)


@FILES.add("store: no bytes")
def missing(case: Case) -> Fraud:
    return _serve(case, "nothing", None, _pick_file(case))


@FILES.add("right bytes under a wrong CID")
def wrong_cid(case: Case) -> Fraud:
    """Let a proposer publish a CID that is not the one of its bytes, and a store serve them."""
    at = case.pick_event(WeightsProposed)
    event = case.events[at].event
    assert isinstance(event, WeightsProposed)
    content = event.content
    false = ContentRef.from_digest(0x70, case.random.randbytes(32), content.sha256, content.size)
    case.set_event(at, content=false)
    _replace_content(case, event.round, content, false)
    case.store = DishonestStore(case.played.store, {false.cid: _read(case, content)})
    return Fraud(f"wrong CID at {at}", frozenset({event.round}))


def _replace_content(case: Case, index: int, old: ContentRef, new: ContentRef) -> None:
    """Show another reference in a round's state, in its call and as current weights."""

    def change(value: Any) -> Any:
        return new if value == old else value

    def in_round(row: Any) -> Any:
        if row.index != index:
            return row
        return replace(
            row, slots=tuple(replace(slot, content=change(slot.content)) for slot in row.slots)
        )

    case.set_rows("rounds", in_round)
    case.ledger.rewrites["current_weights"] = lambda files: [change(each) for each in files]
    case.ledger.rewrites["experiment"] = lambda e: replace(e, current=tuple(map(change, e.current)))
    case.ledger.rewrite_origin = lambda origin: (
        origin and replace(origin, arguments=tuple(change(each) for each in origin.arguments))
    )


@FILES.add("false merge")
def false_merge(case: Case) -> Fraud:
    """Let a learner announce one of the accepted files as their mean."""
    at = case.pick_event(Announced, where=lambda event: event.topic == TOPIC)
    event = case.events[at].event
    assert isinstance(event, Announced)
    closed = [e.event for e in case.events[:at] if isinstance(e.event, RoundClosed)]
    accepting = [e.round for e in closed if e.outcome == Outcome.ACCEPTED][-1]
    initial = case.experiment.params.initial
    known = {slot.content for slot in case.rounds[accepting].slots if slot.content}
    single = {case.rounds[e.round].slots[0].content for e in closed if e.accepted == 1}
    false = case.pick(sorted(known - single - {initial}, key=lambda each: each.cid))
    case.set_event(at, content=false)
    case.ledger.rewrite_origin = lambda origin: (
        origin
        and replace(
            origin, arguments=tuple(false if v == event.content else v for v in origin.arguments)
        )
    )
    case.store = case.played.store
    return Fraud(f"false merge at {at}", frozenset({accepting}))
