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
"""Digest of the lock file and this script; `npm ci` removes it before installing."""


def main() -> int:
    """Run `npm ci` if the lock file has changed since the last run, and return the exit status."""
    sources = (FOLDER / "package-lock.json", Path(__file__))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return 0
    command = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
    status = subprocess.run(command, cwd=FOLDER, check=False).returncode
    if status == 0:
        link_forge(FOLDER / "node_modules")
        STAMP.write_text(digest)
    return status


def link_forge(modules: Path) -> None:
    """Let the command `forge` be the binary instead of the package's wrapper.

    The wrapper always exits with 0, so failed tests would pass.
    """
    [binary] = modules.glob("@foundry-rs/forge-*/bin/forge")
    binary.chmod(0o755)
    command = modules / ".bin" / "forge"
    command.unlink(missing_ok=True)
    command.symlink_to(binary.resolve())


if __name__ == "__main__":
    sys.exit(main())
