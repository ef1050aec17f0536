"""The functions of the `colearn` library's module ``colearn_grpc.logging``, by Python's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping

_FORMAT = "%(levelname)s: %(message)s"


def get_logger(name: str) -> logging.Logger:
    """Return Python's logger of that name."""
    return logging.getLogger(name)


def set_log_levels(config: Mapping[str, str]) -> None:
    """Show log messages on stderr.

    Args:
        config: the level of each logger by its name, as in ``{"default": "INFO"}``; ``default``
            is the level of all others.
    """
    logging.basicConfig(format=_FORMAT)
    for name, level in config.items():
        logging.getLogger(None if name == "default" else name).setLevel(level.upper())
