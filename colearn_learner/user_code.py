"""Find the line of a user's own code in which a learner failed or blocks."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
_NOT_THE_USERS = (
    *(f"{Path(sysconfig.get_path(name)).resolve()}/" for name in _INSTALLED),
    f"{Path(__file__).parent.resolve()}/",
    f"{Path(__file__).parent.parent.resolve() / 'colearn_ledger'}/",
)


def find_line_of_error(error: BaseException) -> str:
    """Return where in the user's code an error was raised, such as ``mine.py:61 in train``.

    The innermost line of a file that belongs neither to Python, nor to an installed package, nor
    to this one. Empty if the error passed no such line.
    """
    for cause in reversed(list(_list_causes(error))):
        if line := _last_line(_walk(cause.__traceback__)):
            return line
    return ""


def find_line_of_threads(threads: Iterable[int | None]) -> str:
    """Return the line of the user's code that the first of these threads with one executes.

    Args:
        threads: identifiers of threads.
    """
    frames = sys._current_frames()
    for thread in threads:
        frame = frames.get(thread or 0)
        if frame is not None:
            stack = reversed(list(traceback.walk_stack(frame)))
            if line := _last_line(stack):
                return line
    return ""


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _walk(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    return traceback.walk_tb(trace)


def _last_line(frames: Iterable[tuple[FrameType, int]]) -> str:
    line = ""
    for frame, number in frames:
        code = frame.f_code
        if not code.co_filename.startswith("<"):
            path = Path(code.co_filename).resolve()
            if not str(path).startswith(_NOT_THE_USERS):
                line = f"{_shorten(path)}:{number} in {code.co_name}"
    return line


def _shorten(path: Path) -> Path:
    """Return a path as the user would type it in the working folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
