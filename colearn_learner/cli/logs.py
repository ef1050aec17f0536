"""Log one line for each event, as text or as JSON, for commands that run for a long time."""

from __future__ import annotations

import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from colearn_learner.cli._support.escaping import escape_controls
from colearn_learner.cli._support.output import dump_json

_FIELDS = "colearn_fields"
_REPEAT_SECONDS = 60.0
_LOUD = ("web3", "urllib3", "asyncio", "tensorflow", "matplotlib")
"""Loggers that log every request; only their warnings and errors are shown."""


def log_event(logger: logging.Logger, event: str, **fields: Any) -> None:
    """Log an event with its fields, except for fields that are ``None``."""
    given = {name: value for name, value in fields.items() if value is not None}
    logger.info("%s", event, extra={_FIELDS: given})


def start_logging(*, as_json: bool, verbose: bool, stream: TextIO | None = None) -> None:
    """Write the records of all loggers to a stream, one line each.

    Args:
        as_json: write JSON instead of text.
        verbose: include debug records.
        stream: standard output by default.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(_JsonLines() if as_json else _TextLines())
    handler.addFilter(_Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def write_warnings(path: Path) -> Iterator[None]:
    """Write the warnings and errors of all loggers to a file instead of standard error.

    The file is created with the first of them.
    """
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_TextLines())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


class _Repeats(logging.Filter):
    """A filter that passes consecutive equal records only once a minute.

    Otherwise, each poll of the chain could log the same line again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[object, ...] = ()
        self._logged_at = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        content = (record.name, record.levelno, record.getMessage(), getattr(record, _FIELDS, None))
        now = time.monotonic()
        if content == self._last and now - self._logged_at < _REPEAT_SECONDS:
            return False
        self._last, self._logged_at = content, now
        return True


class _Lines(ABC, logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return self.line(document)

    @abstractmethod
    def line(self, document: Mapping[str, Any]) -> str: ...


class _JsonLines(_Lines):
    def line(self, document: Mapping[str, Any]) -> str:
        return dump_json(document, default=str)


class _TextLines(_Lines):
    def line(self, document: Mapping[str, Any]) -> str:
        fields = dict(document)
        time, level, event = (fields.pop(name) for name in ("time", "level", "event"))
        shown = "".join(f" {name}={_shown(value)}" for name, value in fields.items())
        mark = "" if level == "info" else f"{level.upper()}: "
        return f"{time[:19]}Z {mark}{escape_controls(str(event))}{shown}"


def _shown(value: object) -> str:
    text = str(value)
    return dump_json(text) if not text or " " in text or not text.isprintable() else text
