"""Load data sets and divide their records among learners.

Some data sets come with scikit-learn (`DATASETS`). The files of the others must be downloaded
first (`SOURCES`). `load` loads any of them by name. `prepare` writes each learner's share to a
separate folder, and `read_share` reads such a folder.
"""

from __future__ import annotations

from colearn_learner.datasets.folders import NoShare, PreparedShare, read_share
from colearn_learner.datasets.preparing import FolderTaken, Prepared, prepare, split_to_folders
from colearn_learner.datasets.records import Data, Dataset, Share, Split, Task
from colearn_learner.datasets.shipped import DATASETS, dataset, split
from colearn_learner.datasets.sources import SOURCES, DataNotFound, Loaded, Source, load
from colearn_learner.datasets.splitting import Division, split_list_into_fractions

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
