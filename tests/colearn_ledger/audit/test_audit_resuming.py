"""An audit that was interrupted continues with the files that it had fetched."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.audit import (
    AuditReport,
    Fetching,
    KeptFiles,
    audit_experiment,
    keep_files,
)
from colearn_ledger.home import FileLock
from colearn_ledger.protocol import ContentRef
from colearn_ledger.weights.store import ContentStore, measure_begun
from tests.support.audited import play
from tests.support.toyworld import World

REFERENCE = "eip155:31337:0x5FbDB2315678afecb367f032d93F642f64180aa3/1"
FILES = 14
"""Files of the experiment: the specification, the initial weights, and 12 proposals."""


class CountingStore:
    """A store that counts what is fetched; it interrupts the process in the middle of one file.

    Args:
        honest: the store.
        interrupt_at: the number of files that are delivered before that.
    """

    def __init__(self, honest: ContentStore, interrupt_at: int | None = None) -> None:
        self._honest = honest
        self._interrupt_at = interrupt_at
        self._lock = threading.Lock()
        self.asked: list[ContentRef] = []
        self.delivered: list[ContentRef] = []
        self.begun: list[int] = []

    @contextmanager
    def get(
        self,
        content: ContentRef,
        *,
        max_size: int,
        timeout: float | None = None,
        begun: Path | None = None,
    ) -> Iterator[Iterator[bytes]]:
        with self._lock:
            self.asked.append(content)
            self.begun.append(measure_begun(begun))
            is_last = len(self.asked) - 1 == self._interrupt_at
        with self._honest.get(content, max_size=max_size, timeout=timeout, begun=begun) as pieces:
            yield self._interrupt(pieces) if is_last else pieces
        self.delivered.append(content)

    def _interrupt(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        data = b"".join(pieces)
        yield data[: len(data) // 2]
        raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("world"), "local", "plural mean")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
    return tmp_path


def audit(world: World, store: CountingStore, *, fresh: bool = False) -> AuditReport:
    with keep_files(REFERENCE, fresh=fresh) as kept:
        assert kept is not None
        return audit_experiment(world.ledger, store, world.experiment, fetching=Fetching(kept=kept))


def interrupt(world: World, after: int) -> CountingStore:
    store = CountingStore(world.store(0), after)
    with pytest.raises(KeyboardInterrupt):
        audit(world, store)
    return store


def list_kept(home: Path) -> list[Path]:
    return sorted(home.glob("audits/*/*/*.safetensors"))


@pytest.mark.parametrize("after", [0, 1, 2, 7, FILES - 1])
def test_interrupted_audit_is_resumed_without_fetching_a_file_twice(after: int, world: World):
    expected = audit(world, CountingStore(world.store(0)))
    first, second = interrupt(world, after), CountingStore(world.store(0))
    report = audit(world, second)
    assert report.counts.reused == len(first.delivered)
    assert sorted(second.asked, key=str) == sorted(
        set(expected_files(world)) - set(first.delivered), key=str
    )
    assert replace(report.counts, reused=0) == expected.counts
    assert (report.findings, report.weights) == ((), expected.weights)


def expected_files(world: World) -> list[ContentRef]:
    params = world.ledger.experiment(world.experiment).params
    assert params.initial is not None
    proposals = [content for round_ in world.rounds() for content in round_.contents.values()]
    return [params.spec, params.initial, *proposals]


def test_file_that_was_fetched_in_part_continues_there(world: World):
    interrupted = interrupt(world, 1).asked[1]
    second = CountingStore(world.store(0))
    audit(world, second)
    begun = dict(zip(second.asked, second.begun, strict=True))
    assert begun.pop(interrupted) == interrupted.size // 2
    assert set(begun.values()) == {0}


def test_audit_that_is_interrupted_again_keeps_all_that_both_fetched(home: Path, world: World):
    first = interrupt(world, 3)
    second = interrupt(world, 4)
    assert len(list_kept(home)) == len(first.delivered) + len(second.delivered)
    third = CountingStore(world.store(0))
    assert audit(world, third).findings == ()
    assert len(third.asked) == FILES - len(first.delivered) - len(second.delivered)


def test_complete_audit_keeps_nothing(home: Path, world: World):
    """What is served is found out again by the next one."""
    audit(world, CountingStore(world.store(0)))
    assert list((home / "audits").iterdir()) == []
    again = CountingStore(world.store(0))
    assert audit(world, again).counts.reused == 0
    assert len(again.asked) == FILES


def test_fresh_audit_fetches_all(world: World):
    interrupt(world, 7)
    store = CountingStore(world.store(0))
    assert audit(world, store, fresh=True).counts.reused == 0
    assert len(store.asked) == FILES
    assert set(store.begun) == {0}


@pytest.mark.parametrize("change", [b"", b"other bytes", None])
def test_kept_file_is_not_trusted(change: bytes | None, home: Path, world: World):
    delivered = len(interrupt(world, 7).delivered)
    changed, other = list_kept(home)[:2]
    changed.write_bytes(other.read_bytes() if change is None else change)
    store = CountingStore(world.store(0))
    report = audit(world, store)
    assert report.findings == ()
    assert report.counts.reused == delivered - 1
    assert len(store.asked) == FILES - delivered + 1


def test_beginning_of_a_kept_file_is_not_trusted(home: Path, world: World):
    interrupt(world, 1)
    [partial] = home.glob("audits/*/*/*.partial")
    partial.write_bytes(bytes(partial.stat().st_size))
    assert audit(world, CountingStore(world.store(0))).findings == ()


def test_only_the_user_can_enter_the_folder(home: Path, world: World):
    interrupt(world, 7)
    folders = [home / "audits", *(p for p in home.glob("audits/**/*") if p.is_dir())]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


def test_no_more_is_kept_than_the_limit(tmp_path: Path, world: World):
    contents = expected_files(world)
    limit = sum(content.size for content in contents[:5])
    kept = KeptFiles(tmp_path, limit=limit)
    audit_experiment(world.ledger, world.store(0), world.experiment, fetching=Fetching(kept=kept))
    sizes = [path.stat().st_size for path in tmp_path.glob("*/*")]
    assert limit - max(content.size for content in contents) < sum(sizes) <= limit


def test_second_audit_at_the_same_time_keeps_nothing(home: Path, world: World):
    interrupt(world, 7)
    [folder] = (home / "audits").iterdir()
    lock = FileLock(folder / "lock")
    with keep_files(REFERENCE) as kept:
        assert kept is None
    assert list_kept(home)
    lock.release()


def test_audit_works_without_a_cache_folder(home: Path, world: World):
    (home / "audits").write_text("not a folder")
    with keep_files(REFERENCE) as kept:
        assert kept is None


def test_what_nobody_resumes_is_removed_after_a_week(home: Path, world: World):
    interrupt(world, 7)
    [folder] = (home / "audits").iterdir()
    for days, remains in ((6, True), (8, False)):
        moment = folder.stat().st_ctime - days * 24 * 3_600
        os.utime(folder, (moment, moment))
        with keep_files("another experiment"):
            assert folder.exists() == remains
