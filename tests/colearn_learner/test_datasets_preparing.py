"""Real data sets are divided into folders completely or not at all, and nothing else is changed."""

from __future__ import annotations

import hashlib
import json
import logging
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_learner import simulation
from colearn_learner.catalogue.factories import prepared, share
from colearn_learner.datasets import (
    DATASETS,
    Data,
    Division,
    FolderTaken,
    Prepared,
    dataset,
    load,
    prepare,
    read_share,
    split_to_folders,
)
from colearn_learner.datasets import preparing as preparing_module
from colearn_learner.errors import InvalidArgument, InvalidData, NotEnoughData, UnfitModel
from colearn_learner.names import UnknownName
from colearn_ledger.weights.codec import encode_weights
from tests.support.prepared_folders import check_learners_of_prepared_folders

PARTS = ("train", "vote", "test")


def prepare_named(name: str, into: Path, division: Division | None = None, **how: Any) -> Prepared:
    about = dataset(name)
    return prepare(about, about.load(), into, division or Division(3), **how)


def rows(data: Data) -> list[tuple[float, ...]]:
    return [(*map(float, x), float(y)) for x, y in zip(data.inputs, data.targets, strict=True)]


def hash_files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize(
    "division",
    [
        Division(3),
        Division(4, "label-skew", 0.3, seed=9),
        Division(2, "by-size", fractions=(0.75, 0.25), parts=(0.8, 0.1, 0.1)),
    ],
    ids=lambda division: division.how,
)
def test_folders_together_contain_every_record_once(tmp_path: Path, name, division):
    result = prepare_named(name, tmp_path / "out", division)
    found = [read_share(folder) for folder in result.folders]
    everything = [row for one in found for row in rows(one.dataset.load())]
    assert sorted(everything) == sorted(rows(dataset(name).load()))
    assert result.unused == 0
    for one, sizes in zip(found, result.records, strict=True):
        assert tuple(len(getattr(one.share, part)) for part in PARTS) == sizes
    assert [one.learner for one in found] == list(range(division.n_learners))


def test_folder_describes_its_origin(tmp_path: Path):
    division = Division(3, "label-skew", 0.25, seed=77, least=2)
    result = prepare_named("wine", tmp_path / "out", division)
    described = json.loads((result.folders[1] / "share.json").read_text())
    assert described["dataset"]["name"] == "wine"
    assert (described["learner"], described["of"]) == (1, 3)
    how = described["division"]
    assert (how["how"], how["alpha"], how["seed"], how["least"]) == ("label-skew", 0.25, 77, 2)
    assert how["parts"] == [0.6, 0.2, 0.2]
    assert how["unused"] == 0
    assert described["made_by"]["numpy"] == np.__version__


def test_equal_seeds_write_equal_bytes(tmp_path: Path):
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        prepare_named("digits", tmp_path / name, Division(3, seed=seed))
    assert hash_files(tmp_path / "a") == hash_files(tmp_path / "b")
    assert hash_files(tmp_path / "a") != hash_files(tmp_path / "c")


def test_only_the_owner_can_read_the_records(tmp_path: Path):
    result = prepare_named("wine", tmp_path / "out")
    for folder in (tmp_path / "out", *result.folders):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_rest_is_dropped_only_on_request_and_is_counted(tmp_path, caplog):
    division = Division(2, "by-size", fractions=(0.5, 0.25), drop_rest=True)
    result = prepare_named("wine", tmp_path / "out", division)
    assert result.unused == 178 - sum(map(sum, result.records)) > 40
    assert f"{result.unused} of 178 records go to no learner" in caplog.text
    assert read_share(result.folders[0]).description["division"]["unused"] == result.unused


def test_progress_is_reported_after_each_folder(tmp_path: Path):
    progress: list[int] = []
    prepare_named("wine", tmp_path / "out", on_written=progress.append)
    assert progress == [1, 2, 3]


# ------------------------------------------------------------------ existing output


def test_prepared_data_is_replaced_only_with_overwrite(tmp_path: Path):
    out = tmp_path / "deep" / "out"
    prepare_named("wine", out)
    before = hash_files(out)
    with pytest.raises(FolderTaken, match="contains prepared data already"):
        prepare_named("digits", out)
    assert hash_files(out) == before
    prepare_named("digits", out, Division(2), overwrite=True)
    assert list_names(out) == ["learner-0", "learner-1"]
    assert read_share(out / "learner-0").dataset.name == "digits"
    assert list_names(out.parent) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("strange", ["notes.txt", "learner-x/share.json", "learner-7/a", ".git/x"])
def test_folder_with_other_content_is_never_changed(tmp_path, overwrite, strange):
    prepare_named("wine", tmp_path / "out")
    (tmp_path / "out" / strange).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / strange).write_text("mine")
    before = hash_files(tmp_path / "out")
    with pytest.raises(FolderTaken, match="other than prepared data, such as"):
        prepare_named("digits", tmp_path / "out", overwrite=overwrite)
    assert hash_files(tmp_path / "out") == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_and_links_are_not_replaced(tmp_path: Path, overwrite: bool):
    (tmp_path / "file").write_text("mine")
    prepare_named("wine", tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link", "broken"):
        with pytest.raises(FolderTaken, match="is not a folder"):
            prepare_named("wine", tmp_path / name, overwrite=overwrite)
    assert list_names(tmp_path) == ["broken", "file", "link", "real"]


def test_empty_folder_is_used(tmp_path: Path):
    (tmp_path / "out").mkdir()
    prepare_named("wine", tmp_path / "out")
    assert list_names(tmp_path / "out") == ["learner-0", "learner-1", "learner-2"]


# ------------------------------------------------------------------ failures midway


class UnexpectedError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), KeyboardInterrupt(), UnexpectedError()]
)
@pytest.mark.parametrize("exists", [False, True])
def test_error_midway_changes_nothing(tmp_path: Path, error, exists):
    out = tmp_path / "out"
    if exists:
        prepare_named("wine", out)
    before = hash_files(tmp_path)

    def fail(written: int) -> None:
        if written == 2:
            raise error

    with pytest.raises(type(error)):
        prepare_named("digits", out, overwrite=True, on_written=fail)
    assert hash_files(tmp_path) == before
    assert list_names(tmp_path) == (["out"] if exists else [])


@pytest.mark.parametrize("exists", [False, True])
def test_full_disk_changes_nothing(tmp_path: Path, monkeypatch, exists):
    out = tmp_path / "out"
    if exists:
        prepare_named("wine", out)
    before = hash_files(tmp_path)
    save, calls = np.savez, []

    def full(file: Any, **arrays: Any) -> None:
        calls.append(file)
        if len(calls) == 5:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        save(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        prepare_named("digits", out, overwrite=True)
    assert hash_files(tmp_path) == before
    assert list_names(tmp_path) == (["out"] if exists else [])


def test_failed_replacement_restores_the_earlier_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    prepare_named("wine", out)
    before, rename, renamed = hash_files(out), Path.rename, []

    def failing(self: Path, target: Path) -> Any:
        renamed.append(self)
        if len(renamed) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        prepare_named("digits", out, overwrite=True)
    assert hash_files(out) == before
    assert list_names(tmp_path) == ["out"]


def test_killed_process_leaves_no_incomplete_folder(tmp_path: Path):
    program = """
import os, sys
from colearn_learner.datasets import Division, dataset, prepare
wine = dataset("wine")
prepare(wine, wine.load(), sys.argv[1], Division(3), on_written=lambda n: n == 2 and os._exit(9))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "out")]
    assert subprocess.run(command, check=False).returncode == 9
    assert not (tmp_path / "out").exists()
    prepare_named("wine", tmp_path / "out")
    assert len(read_share(tmp_path / "out" / "learner-2").share.train) > 10


def test_too_few_records_write_nothing(tmp_path: Path):
    with pytest.raises(NotEnoughData, match="178 records are too few for 60 learners"):
        prepare_named("wine", tmp_path / "out", Division(60))
    assert list_names(tmp_path) == []


# ------------------------------------------------------------------ the ancestor's function


def test_split_to_folders_returns_a_folder_for_each_learner(tmp_path: Path):
    folders = split_to_folders(
        "breast-cancer",
        n_learners=3,
        data_split=[0.5, 0.3, 0.2],
        shuffle_seed=42,
        output_folder=tmp_path / "out",
    )
    assert folders == [str(tmp_path / "out" / f"learner-{i}") for i in range(3)]
    sizes = [len(read_share(folder).dataset.load()) for folder in folders]
    assert sum(sizes) == 569
    assert all(abs(n - 569 * f) <= 1 for n, f in zip(sizes, (0.5, 0.3, 0.2), strict=True))


def test_split_to_folders_reports_dropped_records(tmp_path: Path, caplog):
    with caplog.at_level(logging.WARNING):
        folders = split_to_folders(
            "wine", n_learners=2, data_split=[0.4, 0.4], output_folder=tmp_path / "out"
        )
    assert sum(len(read_share(folder).dataset.load()) for folder in folders) == 142
    assert "36 of 178 records go to no learner" in caplog.text


def test_split_to_folders_creates_a_temporary_folder_and_passes_arguments(tmp_path, monkeypatch):
    monkeypatch.setattr(preparing_module.tempfile, "tempdir", str(tmp_path))
    one = split_to_folders("wine", n_learners=2, how="label-skew", alpha=0.2, parts=(0.5, 0.3, 0.2))
    other = split_to_folders("wine", n_learners=2)
    assert Path(one[0]).parent != Path(other[0]).parent
    assert all(Path(folder).is_relative_to(tmp_path) for folder in (*one, *other))
    seeds = {read_share(f).description["division"]["seed"] for f in (one[0], other[0])}
    assert len(seeds) == 2


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"data_split": [0.5]}, InvalidArgument, "1 fractions for 2 learners"),
        ({"data_split": [0.9, 0.9]}, InvalidArgument, "more than 1"),
        ({"datasplit": [0.5, 0.5]}, InvalidArgument, "no such argument.*datasplit"),
        ({"dataset": "wines"}, UnknownName, "did you mean wine"),
        ({"data_dir": "."}, InvalidArgument, "comes with scikit-learn"),
    ],
)
def test_split_to_folders_refuses_invalid_arguments(tmp_path: Path, wrong, error, message):
    given = {"dataset": "wine", "n_learners": 2, "output_folder": tmp_path / "out"} | wrong
    with pytest.raises(error, match=message):
        split_to_folders(given.pop("dataset"), **given)
    assert list_names(tmp_path) == []


# ------------------------------------------------------------------ learners of prepared folders


@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_learners_of_prepared_folders_start_alike_and_improve(tmp_path: Path, model: str):
    check_learners_of_prepared_folders(tmp_path, model)


def test_learners_that_lack_classes_have_weights_of_the_same_shape(tmp_path: Path):
    result = prepare_named("wine", tmp_path / "out", Division(6, "label-skew", 0.01, seed=3))
    seen = [set(read_share(f).share.train.targets.tolist()) for f in result.folders]
    assert min(len(classes) for classes in seen) == 1
    shapes = {
        prepared(str(f)).mli_get_current_weights().weights["coef_"].shape for f in result.folders
    }
    assert shapes == {(3, 13)}


def test_images_are_flattened_for_linear_models(tmp_path: Path):
    loaded = load("mnist")  # replaced by small digits
    assert loaded.data.inputs.shape == (1797, 8, 8, 1)
    result = prepare(loaded.dataset, loaded.data, tmp_path / "out", Division(2))
    learner = prepared(str(result.folders[0]))
    before = learner.mli_test_weights(learner.mli_get_current_weights())
    after = learner.mli_test_weights(learner.mli_propose_weights())
    assert after.vote_score < before.vote_score / 2
    assert learner.mli_get_current_weights().weights["coef_"].shape == (10, 64)


def test_folder_trains_like_the_share_of_the_catalogue(tmp_path: Path):
    """A prepared copy of a share proposes exactly the same weights as the share itself."""
    from colearn_learner.datasets import split
    from colearn_learner.datasets.folders import write_share

    wine = dataset("wine")
    parts = split(wine.load(), task=wine.task, n_learners=3, train_ratio=0.6, seed=1)
    write_share(tmp_path / "learner-1", parts.shares[1], wine, {"learner": 1})
    one, other = share("wine", 1, of=3), prepared(str(tmp_path / "learner-1"))
    proposals = [learner.mli_propose_weights().weights for learner in (one, other)]
    assert encode_weights(proposals[0]) == encode_weights(proposals[1])


def test_damaged_folder_and_unfit_model_are_refused(tmp_path: Path):
    result = prepare_named("wine", tmp_path / "out")
    with pytest.raises(UnfitModel, match="linear cannot learn"):
        prepared(str(result.folders[0]), model="linear")
    (result.folders[0] / "train.npz").write_bytes(b"")
    with pytest.raises(InvalidData, match="sha256"):
        prepared(str(result.folders[0]))


@pytest.mark.parametrize("ledger", ["local", "evm"])
def test_experiment_with_prepared_folders_completes(tmp_path: Path, ledger: Any):
    result = prepare_named("breast-cancer", tmp_path / "out", Division(3, "label-skew", 0.5))
    learners = [prepared(str(folder)) for folder in result.folders]
    before = [one.mli_test_weights(one.mli_get_current_weights()).vote_score for one in learners]
    outcome = simulation.run(learners, n_rounds=4, ledger=ledger)
    assert any(record.round.outcome.name == "ACCEPTED" for record in outcome.history.rounds)
    after = [one.mli_test_weights(one.mli_get_current_weights()).vote_score for one in learners]
    assert np.mean(after) < np.mean(before)
