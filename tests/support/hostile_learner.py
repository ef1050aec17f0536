"""A factory whose error tries to take over the user's terminal."""

from __future__ import annotations

from typing import Any

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eowned"
"""Control codes that set the window's title, clear the screen, turn text red and reverse it."""


def make(**_: Any) -> Any:
    raise ValueError(HOSTILE)
