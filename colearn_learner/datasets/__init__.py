"""Data sets, and how their records are divided among learners.

Some come with scikit-learn (`DATASETS`); of others the files have to be fetched (`SOURCES`).
`load` takes any of them by name, `prepare` writes each learner's share into a folder of its own,
and `read_share` reads one back.
"""

from __future__ import annotations

from colearn_learner.datasets.folders import NoShare, PreparedShare, read_share
from colearn_learner.datasets.preparing import FolderTaken, Prepared, prepare, split_to_folders
from colearn_learner.datasets.records import Data, Dataset, Share, Split, Task
from colearn_learner.datasets.shipped import DATASETS, dataset, split
from colearn_learner.datasets.sources import SOURCES, DataNotFound, Loaded, Source, load
from colearn_learner.datasets.splitting import (
    Division,
    NotEnoughData,
    split_list_into_fractions,
)

__all__ = [
    "DATASETS",
    "SOURCES",
    "Data",
    "DataNotFound",
    "Dataset",
    "Division",
    "FolderTaken",
    "Loaded",
    "NoShare",
    "NotEnoughData",
    "Prepared",
    "PreparedShare",
    "Share",
    "Source",
    "Split",
    "Task",
    "dataset",
    "load",
    "prepare",
    "read_share",
    "split",
    "split_list_into_fractions",
    "split_to_folders",
]
