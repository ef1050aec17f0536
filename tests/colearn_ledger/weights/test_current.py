"""Obtain the current weights from one accepted file or several."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    ContentRef,
    Experiment,
    ExperimentParams,
    from_dict,
    to_dict,
)
from colearn_ledger.reference import LocalLedger
from colearn_ledger.weights.codec import encode_weights, write_weights
from colearn_ledger.weights.current import (
    FilesNotServed,
    fetch_merged,
    merge_current,
    obtain_current,
)
from colearn_ledger.weights.errors import (
    MismatchedWeights,
    NonFiniteWeights,
    NothingToMerge,
    OversizedWeights,
)
from colearn_ledger.weights.fetching import fetch_files, file_name, is_intact
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentNotStored,
    ContentTooLarge,
    ContentUnavailable,
)
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.unixfs import content_of

SCHEMA = WeightsSchema.of([np.zeros(3)])
ROUND = 7
LEDGER = LocalLedger.new(Wallet.from_key(b"k" * 32))


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies"


def put(store: DirectoryStore, *numbers: Any) -> list[ContentRef]:
    """Store weights full of each number."""
    return [write_weights(store, [np.full(3, number, float)]) for number in numbers]


def make_experiment(current: Sequence[ContentRef], round_index: int | None = ROUND) -> Experiment:
    some = content_of(b"some")
    params = ExperimentParams("x", some, some, rounds=9, min_learners=2, max_learners=2)
    experiment = LEDGER.experiment(LEDGER.create(params).wait().experiment)
    return dataclasses.replace(experiment, current=tuple(current), current_round=round_index)


class TestObtaining:
    def test_single_file_is_used_unchanged(self, store, folder):
        [content] = put(store, 4)
        current = obtain_current(
            store, make_experiment([content]), folder, schema=SCHEMA, ledger=LEDGER
        )
        assert (current.content, current.is_merged) == (content, False)
        assert current.read(SCHEMA).weights[0].tolist() == [4.0] * 3

    def test_several_files_become_their_mean(self, store, folder):
        experiment = make_experiment(put(store, 1, 2, 6))
        current = obtain_current(store, experiment, folder, schema=SCHEMA, ledger=LEDGER)
        decoded = current.read(SCHEMA)
        assert current.is_merged
        assert decoded.weights[0].tolist() == [3.0] * 3
        assert (decoded.merged.round, decoded.merged.contents) == (ROUND, experiment.current)
        assert content_of(current.path.read_bytes()) == current.content

    def test_everybody_gets_the_same_file(self, store, folder, tmp_path):
        experiment = make_experiment(put(store, 1, 2, 3))
        other = tmp_path / "other"
        other.mkdir()
        results = [
            obtain_current(store, experiment, path, schema=SCHEMA, ledger=LEDGER)
            for path in (folder, other)
        ]
        assert results[0].content == results[1].content
        other_round = dataclasses.replace(experiment, current_round=ROUND + 1)
        again = obtain_current(store, other_round, folder, schema=SCHEMA, ledger=LEDGER)
        assert again.content != results[0].content

    def test_experiment_without_weights_is_an_error(self, store, folder):
        with pytest.raises(NothingToMerge, match="no weights yet"):
            obtain_current(store, make_experiment([], None), folder, schema=SCHEMA, ledger=LEDGER)

    def test_file_that_is_no_longer_served_is_named(self, store, folder):
        contents = put(store, 1, 2, 3)
        gone = content_of(b"gone")
        experiment = make_experiment([contents[0], gone, contents[2]])
        with pytest.raises(FilesNotServed, match=gone.cid) as caught:
            obtain_current(store, experiment, folder, schema=SCHEMA, ledger=LEDGER)
        assert list(caught.value.missing) == [gone]
        assert "1 of the 3 accepted files" in str(caught.value)
        assert is_intact(folder / file_name(contents[2]), contents[2])

    def test_arrived_files_are_not_fetched_again(self, store, folder, tmp_path):
        experiment = make_experiment(put(store, 1, 2))
        fetch_files(store, experiment.current, folder, max_size=10_000)
        empty = DirectoryStore(tmp_path / "empty")
        current = obtain_current(empty, experiment, folder, schema=SCHEMA, ledger=LEDGER)
        assert current.read(SCHEMA).weights[0].tolist() == [1.5] * 3

    def test_unusable_files_are_left_out(self, store, folder):
        good, nan = put(store, 1, np.nan)
        large = store.put([bytes(SCHEMA.max_bytes + 1)])
        experiment = make_experiment([nan, *put(store, 2), large, good])
        current = obtain_current(store, experiment, folder, schema=SCHEMA, ledger=LEDGER)
        assert current.read(SCHEMA).weights[0].tolist() == [1.5] * 3
        defects = {content: type(error) for content, error in current.left_out}
        assert defects == {nan: NonFiniteWeights, large: OversizedWeights}

    def test_only_usable_file_is_used_unchanged(self, store, folder):
        contents = put(store, np.nan, 2)
        current = obtain_current(
            store, make_experiment(contents), folder, schema=SCHEMA, ledger=LEDGER
        )
        assert (current.content, current.is_merged) == (contents[1], False)

    def test_nothing_usable_is_an_error_with_the_defects(self, store, folder):
        experiment = make_experiment(put(store, np.nan, np.inf))
        with pytest.raises(NothingToMerge, match="holds NaN or infinity"):
            obtain_current(store, experiment, folder, schema=SCHEMA, ledger=LEDGER)

    def test_oversized_single_file_is_not_fetched(self, store, folder):
        content = store.put([bytes(SCHEMA.max_bytes + 1)])
        with pytest.raises(ContentTooLarge):
            obtain_current(store, make_experiment([content]), folder, schema=SCHEMA, ledger=LEDGER)
        assert list(folder.iterdir()) == []

    def test_damaged_copy_is_removed_and_fetched_again(self, store, folder):
        experiment = make_experiment(put(store, 1, 2))
        fetch_files(store, experiment.current, folder, max_size=10_000)
        copy = folder / file_name(experiment.current[1])
        copy.write_bytes(b"damaged")
        with pytest.raises(FilesNotServed, match="damaged or removed"):
            merge_current(experiment, folder, schema=SCHEMA)
        assert not copy.exists()
        assert obtain_current(store, experiment, folder, schema=SCHEMA, ledger=LEDGER).is_merged


class TestMergedFile:
    @pytest.fixture
    def merged(self, store, tmp_path) -> tuple[Experiment, ContentRef]:
        """Store a merged file under its own CID; its sources are gone."""
        (tmp_path / "first").mkdir()
        elsewhere = DirectoryStore(tmp_path / "elsewhere")
        experiment = make_experiment(put(elsewhere, 1, 2, np.nan))
        current = obtain_current(
            elsewhere, experiment, tmp_path / "first", schema=SCHEMA, ledger=LEDGER
        )
        assert store.put([current.path.read_bytes()]) == current.content
        return experiment, current.content

    def test_merged_file_is_fetched_under_its_own_cid(self, store, folder, merged):
        experiment, content = merged
        current = fetch_merged(store, content, experiment, folder, schema=SCHEMA)
        assert (current.content, current.is_merged) == (content, True)
        assert current.read(SCHEMA).weights[0].tolist() == [1.5] * 3

    @pytest.mark.parametrize("change", ["round", "sources", "order"])
    def test_merge_of_other_weights_is_refused(self, store, folder, merged, change):
        experiment, content = merged
        first, second, third = experiment.current
        changes: dict[str, dict[str, Any]] = {
            "round": {"current_round": ROUND + 1},
            "sources": {"current": (first, third)},
            "order": {"current": (second, first, third)},
        }
        other = dataclasses.replace(experiment, **changes[change])
        with pytest.raises(MismatchedWeights, match="not a merge of the experiment's current"):
            fetch_merged(store, content, other, folder, schema=SCHEMA)

    def test_file_that_was_not_merged_is_refused(self, store, folder, merged):
        [content] = put(store, 1)
        with pytest.raises(MismatchedWeights):
            fetch_merged(store, content, merged[0], folder, schema=SCHEMA)

    def test_file_with_another_schema_is_refused(self, store, folder, merged):
        experiment, content = merged
        other = WeightsSchema.of([np.zeros(4)])
        with pytest.raises(MismatchedWeights, match="the schema requires"):
            fetch_merged(store, content, experiment, folder, schema=other)

    def test_oversized_file_is_not_fetched(self, store, folder, merged):
        content = store.put([bytes(SCHEMA.max_bytes + 1)])
        with pytest.raises(ContentTooLarge):
            fetch_merged(store, content, merged[0], folder, schema=SCHEMA)
        assert list(folder.iterdir()) == []

    def test_missing_file_is_unavailable(self, store, folder, merged):
        with pytest.raises(ContentUnavailable):
            fetch_merged(store, content_of(b"gone"), merged[0], folder, schema=SCHEMA)


class TestFetching:
    def test_failures_are_returned_and_the_other_files_arrive(self, store, folder):
        contents = put(store, 1, 2)
        gone, large = content_of(b"gone"), store.put([bytes(9_000)])
        failures = fetch_files(
            store, [contents[0], gone, large, contents[1]], folder, max_size=5_000
        )
        assert {content: type(error) for content, error in failures.items()} == {
            gone: ContentUnavailable,
            large: ContentTooLarge,
        }
        assert {path.name for path in folder.iterdir()} == {file_name(c) for c in contents}

    def test_wrong_bytes_leave_no_file(self, store, folder):
        digest = hashlib.sha256(b"other").hexdigest()
        [content] = put(store, 1)
        lie = dataclasses.replace(content, cid=content_of(b"other").cid, sha256=digest)
        [path] = (Path(store._root) / "files").rglob(content.cid)
        target = path.parent.parent / lie.cid[-3:-1]
        target.mkdir(exist_ok=True)
        path.rename(target / lie.cid)
        failures = fetch_files(store, [lie], folder, max_size=5_000)
        assert type(failures[lie]) is ContentMismatch
        assert list(folder.iterdir()) == []

    def test_unwritable_folder_is_a_failure_of_the_file(self, store, tmp_path):
        [content] = put(store, 1)
        failures = fetch_files(store, [content], tmp_path / "missing", max_size=5_000)
        assert type(failures[content]) is ContentNotStored

    def test_files_are_fetched_at_the_same_time(self, store, folder):
        barrier = threading.Barrier(4)

        class Meeting:
            def get(self, content: ContentRef, **how: Any) -> Any:
                barrier.wait(30)
                return store.get(content, **how)

        assert fetch_files(Meeting(), put(store, 1, 2, 3, 4), folder, max_size=5_000) == {}

    def test_bytes_are_reported_in_the_callers_thread(self, store, folder):
        contents, reports = put(store, 1, 2, 3), []

        def report(done: int) -> None:
            reports.append((done, threading.current_thread()))

        fetch_files(store, contents, folder, max_size=5_000, report_done=report)
        assert reports[-1] == (sum(c.size for c in contents), threading.main_thread())
        assert {thread for _, thread in reports} == {threading.main_thread()}

    def test_error_of_another_kind_is_raised(self, folder):
        class Broken:
            def get(self, content: ContentRef, **how: Any) -> Any:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fetch_files(Broken(), [content_of(b"x")], folder, max_size=5)


def test_experiment_survives_a_round_trip_through_json():
    experiment = make_experiment([content_of(b"a"), content_of(b"b")])
    assert from_dict(Experiment, to_dict(experiment)) == experiment


def test_file_of_any_size_is_intact_only_if_it_matches(tmp_path):
    data = encode_weights([np.arange(200_000.0)])
    content, path = content_of(data), tmp_path / "file"
    assert not is_intact(path, content)
    path.write_bytes(data)
    assert is_intact(path, content)
    for wrong in (data[:-1], data + b"x", data[:-1] + b"x"):
        path.write_bytes(wrong)
        assert not is_intact(path, content)
