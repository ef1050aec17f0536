"""A process's clock that somebody sets wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("wrong_clock.c")


def can_build_clocks() -> bool:
    return shutil.which("gcc") is not None


class Clock:
    """The clock of a process that was started with `environment`.

    Args:
        folder: folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._library = folder / "wrong_clock.so"
        self._error = folder / "seconds"
        command = ("gcc", "-shared", "-fPIC", "-O2", "-o", str(self._library), str(_SOURCE))
        subprocess.run(command, check=True)
        self.set_wrong(0)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the process."""
        return {"LD_PRELOAD": str(self._library), "WRONG_CLOCK": str(self._error)}

    def set_wrong(self, seconds: int) -> None:
        """Make the clock wrong by some seconds from now on; 0 to set it right."""
        new = self._error.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._error)
