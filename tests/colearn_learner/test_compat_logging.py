"""The log functions of the `colearn` library, by Python's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from colearn_learner.compat.logging import get_logger, set_log_levels

LOUD, QUIET = "compat_logging.loud", "compat_logging.quiet"


@pytest.fixture(autouse=True)
def restored_levels() -> Iterator[None]:
    names = (None, LOUD, QUIET)
    before = [logging.getLogger(name).level for name in names]
    yield
    for name, level in zip(names, before, strict=True):
        logging.getLogger(name).setLevel(level)


def test_levels_are_set_by_name_with_a_default():
    set_log_levels({"default": "error", LOUD: "INFO"})
    assert get_logger(LOUD).getEffectiveLevel() == logging.INFO
    assert get_logger(QUIET).getEffectiveLevel() == logging.ERROR


def test_loggers_are_those_of_python():
    assert get_logger(LOUD) is logging.getLogger(LOUD)
