"""Data sets whose files must be downloaded have a reader, a model and instructions."""

from __future__ import annotations

from pathlib import Path

import pytest

from colearn_learner.catalogue.models import MODELS
from colearn_learner.datasets import (
    DATASETS,
    SOURCES,
    DataNotFound,
    load,
)
from colearn_learner.errors import InvalidArgument, InvalidData
from colearn_learner.names import UnknownName


def test_names_of_data_sets_are_unique():
    assert not set(DATASETS) & set(SOURCES)
    assert all(source.where and source.story for source in SOURCES.values())


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "mnist"])
def test_missing_path_error_explains_the_download(name: str):
    with pytest.raises(DataNotFound) as refused:
        load(name)
    assert SOURCES[name].where in str(refused.value)
    assert name in str(refused.value)


@pytest.mark.parametrize("name", SOURCES)
def test_nonexistent_path_error_explains_the_download(name: str, tmp_path: Path):
    with pytest.raises(DataNotFound, match="nowhere does not exist") as refused:
        load(name, tmp_path / "nowhere")
    assert SOURCES[name].where in str(refused.value)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("kind", ["an empty folder", "an empty file", "a file of noise"])
def test_path_without_the_expected_files_is_refused(name: str, kind: str, tmp_path: Path):
    path = tmp_path / "here"
    if kind == "an empty folder":
        path.mkdir()
    else:
        path.write_bytes(b"" if kind == "an empty file" else bytes(range(256)) * 40)
    with pytest.raises(InvalidData, match="here"):
        load(name, path)


def test_unknown_names_and_superfluous_paths_are_refused(tmp_path: Path):
    with pytest.raises(UnknownName, match="did you mean cifar-10"):
        load("cifar10")
    with pytest.raises(InvalidArgument, match="wine comes with scikit-learn"):
        load("wine", tmp_path)
    assert len(load("wine").data) == 178


def test_every_source_has_a_model_for_its_task():
    for source in SOURCES.values():
        assert any(source.task in model.tasks for model in MODELS.values())
