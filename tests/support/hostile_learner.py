"""A factory whose error tries to take over the terminal of whoever runs it."""

from __future__ import annotations

from typing import Any

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eowned"
"""Sets the window's title, clears the screen, turns text red and reverses its direction."""


def make(**_: Any) -> Any:
    raise ValueError(HOSTILE)
