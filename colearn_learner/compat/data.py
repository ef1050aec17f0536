"""The functions of the `colearn` library's module ``colearn.utils.data``."""

from __future__ import annotations

from pathlib import Path

from colearn_learner.datasets.splitting import split_list_into_fractions
from colearn_learner.errors import InvalidArgument

__all__ = ["get_data", "split_list_into_fractions"]

_FILE, _BUCKET = "file://", "gs://"


def get_data(data_dir: Path | str, download_to: Path | str | None = None) -> Path | str:
    """Return the path of a local folder, without its ``file://`` if it has one.

    Args:
        data_dir: the folder, as a path or a ``file://`` address.
        download_to: accepted, without effect: nothing is downloaded.

    Raises:
        InvalidArgument: the folder is in a bucket; the message names the replacement.
    """
    if str(data_dir).startswith(_BUCKET):
        raise InvalidArgument(
            f"{data_dir} is in a Google bucket, and nothing is downloaded here; copy it first, as"
            f" with 'gcloud storage cp -r {data_dir} FOLDER', and pass the folder"
        )
    if str(data_dir).startswith(_FILE):
        return str(data_dir).removeprefix(_FILE)
    return data_dir
