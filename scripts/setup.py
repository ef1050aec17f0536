"""Make the virtual environment `.venv` and install this checkout into it.

Usage: python3 scripts/setup.py EXTRA        (EXTRA: demo, dev, ...; see pyproject.toml)

Needs Python 3.11 to 3.13 and nothing else; does nothing when all is installed already.
The versions are those of constraints.txt.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SUPPORTED = ("python3.11", "python3.12", "python3.13")


def main(extra: str) -> int:
    """Install the extra; return the exit status."""
    stamp = VENV / f"installed-{extra}"
    wanted = fingerprint()
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    python = supported_python()
    if python is None:
        print(
            "setup: Python 3.11, 3.12 or 3.13 is needed, and "
            f"{sys.executable} is {sys.version.split()[0]}.\n"
            "       Install one (Debian: apt-get install python3 python3-venv) and run this again.",
            file=sys.stderr,
        )
        return 1
    print(f"setup: installing the '{extra}' packages into .venv (a minute or two, once) ...")
    if not (VENV / "bin" / "python").exists():
        made = subprocess.run([python, "-m", "venv", str(VENV)], check=False)
        if made.returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            print("setup: no virtual environment; Debian: apt-get install python3-venv")
            return 1
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "-c", "constraints.txt", "-e", f".[{extra}]"]
    if subprocess.run(install, cwd=ROOT, check=False).returncode:
        print("setup: pip failed, see above; run the same command again to go on.", file=sys.stderr)
        return 1
    stamp.write_text(wanted)
    print("setup: done.")
    return 0


def fingerprint() -> str:
    """Return what an installation depends on, in short."""
    files = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def supported_python() -> str | None:
    """Return a Python that the package supports: this one, or one on PATH."""
    if os.path.basename(sys.executable) and (3, 11) <= sys.version_info[:2] <= (3, 13):  # noqa: PTH119
        return sys.executable
    return next((found for name in SUPPORTED if (found := shutil.which(name))), None)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
