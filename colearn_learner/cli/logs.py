"""Log one line for each event, as text or as JSON, for commands that run for a long time."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from colearn_learner.cli._support.output import dump_json
from colearn_learner.user_code import find_line_of_error
from colearn_ledger.text.escaping import escape_controls

_FIELDS = "colearn_fields"
_TEXT = "colearn_text"
_REPEAT_SECONDS = 60.0
_LOUD = ("web3", "urllib3", "asyncio", "tensorflow", "matplotlib")
"""Loggers that log every request; only their warnings and errors are shown."""


def log_event(logger: logging.Logger, event: str, *, text: str = "", **fields: Any) -> None:
    """Log an event with its fields, except for fields that are ``None``.

    Args:
        logger: the logger.
        event: name of the event.
        text: sentence that replaces the name and the fields in a log of text.
        fields: fields of the event.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    logger.info("%s", event, extra={_FIELDS: given, _TEXT: text})


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


class _JsonLines(logging.Formatter):
    """A formatter of one JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return dump_json(document, default=str)


class _TextLines(logging.Formatter):
    """A formatter of one line for each record, and the lines of its traceback below it.

    Above the traceback, the line of the user's own code with the error is repeated.
    """

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")[:19]
        mark = "" if record.levelno <= logging.INFO else f"{record.levelname}: "
        lines = [f"{time}Z {mark}{escape_controls(self._text(record))}"]
        if record.exc_info and record.exc_info[1] is not None:
            if where := find_line_of_error(record.exc_info[1]):
                lines.append(f"at {escape_controls(where)}")
            lines += escape_controls(self.formatException(record.exc_info), keep="\n").splitlines()
        return "\n  ".join(lines)

    def _text(self, record: logging.LogRecord) -> str:
        text: str = getattr(record, _TEXT, "")
        if text:
            return text
        fields: Mapping[str, Any] = getattr(record, _FIELDS, {})
        shown = (f" {name}={_shown(value)}" for name, value in fields.items())
        return record.getMessage() + "".join(shown)


def _shown(value: object) -> str:
    text = str(value)
    return dump_json(text) if not text or " " in text or not text.isprintable() else text
