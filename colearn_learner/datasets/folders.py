"""Write and read the folder of one learner's records: three ``.npz`` files and a description.

``train.npz``, ``vote.npz`` and ``test.npz`` contain the arrays ``inputs`` and ``targets``.
``share.json`` describes the records, their origin and the SHA-256 hash of each file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colearn_learner.datasets.npz import read_arrays
from colearn_learner.datasets.records import Data, Dataset, Share, check_data
from colearn_learner.errors import InvalidData, LearnerError
from colearn_ledger.text import strict_json

SHARE_FILE = "share.json"
_FORMAT = 1
_PARTS = ("train", "vote", "test")
_ARRAYS = ("inputs", "targets")
_MAX_DESCRIPTION = 1_000_000  # bytes


class NoShare(LearnerError):
    """The folder contains no learner's records; the message suggests another folder."""


@dataclass(frozen=True, slots=True)
class PreparedShare:
    """The content of a learner's folder.

    Args:
        share: the records.
        dataset: their data set; its ``load`` returns the records of this folder only.
        learner: the learner's number, from 0.
        description: the whole content of ``share.json``.
    """

    share: Share
    dataset: Dataset
    learner: int
    description: Mapping[str, Any]


def write_share(folder: Path, share: Share, dataset: Dataset, more: Mapping[str, Any]) -> None:
    """Write a learner's records to a new folder.

    Args:
        folder: the folder to create; it must not exist.
        share: the records.
        dataset: their data set.
        more: JSON values that describe how the records were made, with the learner's number
            as ``learner``.

    Raises:
        OSError: the folder cannot be written; an incomplete folder is not removed.
    """
    folder.mkdir(mode=0o700)
    parts = {}
    for name in _PARTS:
        data = getattr(share, name)
        path = folder / f"{name}.npz"
        with path.open("xb") as file:
            np.savez(file, inputs=data.inputs, targets=data.targets)
            file.flush()
            os.fsync(file.fileno())
        parts[name] = {"records": len(data), "sha256": _sha256(path)}
    described = {
        "format": _FORMAT,
        "dataset": {
            "name": dataset.name,
            "task": dataset.task,
            "records": dataset.records,
            "shape": list(share.train.inputs.shape[1:]),
            "classes": dataset.classes,
            "story": dataset.story,
        },
        **more,
        "parts": parts,
    }
    with (folder / SHARE_FILE).open("x", encoding="utf-8") as file:
        json.dump(described, file, indent=2, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def read_share(folder: Path | str) -> PreparedShare:
    """Read the records of a folder that `prepare` wrote.

    Raises:
        NoShare: the folder does not exist or has no ``share.json``.
        InvalidData: a file was changed or is not valid.
        OSError: a file cannot be read.
    """
    folder = Path(folder)
    description = _read_description(folder)
    try:
        return _read_parts(folder, description)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidData(
            f"{folder / SHARE_FILE} has a missing or malformed field: {error}"
        ) from error


def _read_description(folder: Path) -> Any:
    path = folder / SHARE_FILE
    if not path.is_file():
        raise NoShare(f"{folder} has no {SHARE_FILE}: {_suggest_folder(folder)}")
    if path.stat().st_size > _MAX_DESCRIPTION:
        raise InvalidData(f"{path} is larger than {_MAX_DESCRIPTION:,} bytes")
    try:
        return strict_json.load(path.read_bytes())
    except strict_json.InvalidJson as error:
        raise InvalidData(f"{path} is not valid JSON: {error}; prepare the data again") from error


def _suggest_folder(folder: Path) -> str:
    if not folder.is_dir():
        return "there is no such folder; colearn data prepare creates one for each learner"
    if inside := sorted(path.parent for path in folder.glob(f"*/{SHARE_FILE}")):
        return f"give the folder of one learner, such as {inside[0]}"
    return "give the folder of one learner, created by colearn data prepare"


def _read_parts(folder: Path, description: Any) -> PreparedShare:
    if description["format"] != _FORMAT:
        raise InvalidData(
            f"{folder / SHARE_FILE} has format {description['format']!r}; this version reads"
            f" {_FORMAT} only"
        )
    about, learner = description["dataset"], description["learner"]
    task, classes, shape = about["task"], about["classes"], tuple(about["shape"])
    checks = (
        task in ("classification", "regression"),
        all(type(number) is int for number in (classes, learner, about["records"], *shape)),
        all(type(about[name]) is str for name in ("name", "story")),
        (classes > 0) == (task == "classification"),
    )
    if not all(checks):
        raise InvalidData(f"{folder / SHARE_FILE} does not describe a data set and a learner")
    parts = {}
    for name in _PARTS:
        data = _read_part(folder / f"{name}.npz", description["parts"][name])
        if data.inputs.shape[1:] != shape:
            raise InvalidData(
                f"{folder / name}.npz has inputs of shape {data.inputs.shape[1:]}, but"
                f" {SHARE_FILE} states {shape}"
            )
        parts[name] = check_data(data, task=task, classes=classes, what=str(folder / f"{name}.npz"))
    share = Share(**parts)
    dataset = Dataset(
        name=about["name"],
        task=task,
        records=about["records"],
        features=int(np.prod(shape)),
        classes=classes,
        story=about["story"],
        load=lambda: _concatenate_parts(share),
    )
    return PreparedShare(share, dataset, learner, description)


def _read_part(path: Path, about: Any) -> Data:
    if not path.is_file():
        raise InvalidData(f"{path} is missing")
    if _sha256(path) != about["sha256"]:
        raise InvalidData(
            f"{path} was damaged or changed: its sha256 differs from the one in {SHARE_FILE};"
            " prepare the data again"
        )
    data = Data(**read_arrays(path, _ARRAYS))
    if data.targets.ndim != 1 or len(data) != about["records"]:
        raise InvalidData(
            f"{path} does not have the {about['records']} records that {SHARE_FILE} states"
        )
    return data


def _concatenate_parts(share: Share) -> Data:
    parts = (share.train, share.vote, share.test)
    return Data(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
