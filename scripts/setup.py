"""Create the virtual environment `.venv` and install this checkout into it.

Usage: python3 scripts/setup.py EXTRA        (EXTRA: demo, dev, ...; see pyproject.toml)

This needs only Python 3.11 to 3.13 with venv, and does nothing if everything is already installed.
The versions are those in constraints.txt.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SUPPORTED = ("python3.11", "python3.12", "python3.13")
PROGRESS_EVERY = 10.0


class SetupFailed(Exception):
    """The packages could not be installed; the message suggests what to do."""


def main(extra: str) -> int:
    """Install the extra and return the exit status."""
    stamp = VENV / f"installed-{extra}"
    wanted = compute_fingerprint()
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    print(f"setup: installing the '{extra}' packages into .venv (once) ...", flush=True)
    try:
        create_venv()
        install(extra)
    except SetupFailed as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    stamp.write_text(wanted)
    print("setup: done", flush=True)
    return 0


def compute_fingerprint() -> str:
    """Return a hash of the files that determine what is installed."""
    files = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def create_venv() -> None:
    """Create the virtual environment unless it exists."""
    if (VENV / "bin" / "pip").exists():
        return
    python = find_supported_python()
    if python is None:
        raise SetupFailed(
            f"Python 3.11, 3.12 or 3.13 is needed, but {sys.executable} is"
            f" {sys.version.split()[0]}. Install one (Debian: apt-get install python3 python3-venv)"
            " and run the same command again."
        )
    if subprocess.run([python, "-m", "venv", str(VENV)], check=False).returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupFailed(
            "the virtual environment could not be created, see above."
            " On Debian, as root: apt-get install python3-venv"
        )


def find_supported_python() -> str | None:
    """Return a Python that the package supports: this one, or one on PATH."""
    if sys.executable and (3, 11) <= sys.version_info[:2] <= (3, 13):
        return sys.executable
    return next((found for name in SUPPORTED if (found := shutil.which(name))), None)


def install(extra: str) -> None:
    """Install this checkout with an extra and show progress."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    command += ["install", "--progress-bar=off", "--no-input", "--constraint", "constraints.txt"]
    command += ["--editable", f".[{extra}]"]
    with tempfile.NamedTemporaryFile() as output:
        began = time.monotonic()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        log = Path(output.name)
        try:
            while (status := wait_briefly(process)) is None:
                seconds = time.monotonic() - began
                print(f"setup: {seconds:.0f} s, {describe_progress(log)}", flush=True)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if status:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise SetupFailed(f"{end}\nsetup: pip failed, see above; run the same command again.")


def wait_briefly(process: subprocess.Popen[bytes]) -> int | None:
    """Return a process's exit status, or None if it is still running after a short wait."""
    try:
        return process.wait(PROGRESS_EVERY)
    except subprocess.TimeoutExpired:
        return None


def describe_progress(log: Path) -> str:
    """Return the number of packages in pip's output and the current step."""
    lines = log.read_text(errors="replace").splitlines()
    packages = sum(line.startswith("Collecting ") for line in lines)
    step = lines[-1].strip() if lines else "starting pip"
    return f"{packages} packages found, now: {step[:90]}"


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
