"""`get_data` of the `colearn` library, without downloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from colearn_learner.compat.data import get_data
from colearn_learner.errors import InvalidArgument


@pytest.mark.parametrize("folder", ["/data/mnist", Path("/data/mnist"), "relative", ""])
def test_local_folders_are_returned_as_given(folder):
    assert get_data(folder) == folder


def test_file_addresses_lose_their_prefix():
    assert get_data("file:///data/mnist") == "/data/mnist"


def test_bucket_is_refused_with_the_command_that_copies_it():
    with pytest.raises(InvalidArgument, match="gcloud storage cp -r gs://bucket/mnist FOLDER"):
        get_data("gs://bucket/mnist", download_to="/tmp/here")
