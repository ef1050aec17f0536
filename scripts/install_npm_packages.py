"""Install the npm packages of the Solidity contract unless they match the lock file.

Usage: python scripts/install_npm_packages.py
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "contracts" / "evm"
STAMP = FOLDER / "node_modules" / ".installed-lock"
"""Digest of the lock file of the installed packages; `npm ci` removes it before installing."""


def main() -> int:
    """Run `npm ci` if the lock file has changed since the last run, and return the exit status."""
    digest = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return 0
    command = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
    status = subprocess.run(command, cwd=FOLDER, check=False).returncode
    if status == 0:
        STAMP.write_text(digest)
    return status


if __name__ == "__main__":
    sys.exit(main())
