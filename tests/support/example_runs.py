"""Run several examples in one process, because importing a framework takes longer than an example.

Usage: python tests/support/example_runs.py REPORT < RUNS

RUNS is JSON: a list with the example's name and arguments for each run. The report lists what each
run printed, and the traceback if it failed.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import traceback
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, arguments: list[str]) -> dict[str, str]:
    """Run an example as a program; the returned output has both streams."""
    import common

    common.records.cache_clear()
    sys.argv = [name, *arguments]
    printed = io.StringIO()
    failed = ""
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        except SystemExit as stopped:
            failed = "" if stopped.code in (None, 0) else str(stopped.code)
        except BaseException:
            failed = traceback.format_exc()
    return {"printed": printed.getvalue(), "failed": failed}


if __name__ == "__main__":
    sys.path[0] = str(EXAMPLES)  # as Python does for a program
    report = Path(sys.argv[1])
    report.write_text(json.dumps([run(name, rest) for name, *rest in json.load(sys.stdin)]))
