"""Keep unlocked keys out of core files."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Prevent a crash of this process from writing its memory to a core file.

    On Linux, only root can then attach a debugger or read most of ``/proc/PID``. Programs that this
    process starts can be debugged again. Where the system offers less, this does what is possible.
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # the limit does not bind programs that receive cores
        zero = ctypes.c_ulong(0)
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, zero, zero, zero, zero)
