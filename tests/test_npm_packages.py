"""Install the npm packages of the Solidity contract."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = "import install_npm_packages, pathlib, sys; "
LINK += "install_npm_packages.link_forge(pathlib.Path(sys.argv[1]))"


def write_command(path: Path, exit_code: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)
    return path


def test_forge_returns_the_exit_code_of_its_binary(tmp_path: Path):
    command = write_command(tmp_path / ".bin" / "forge", 0)
    write_command(tmp_path / "@foundry-rs" / "forge-any" / "bin" / "forge", 3)
    subprocess.run([sys.executable, "-c", LINK, str(tmp_path)], cwd=ROOT / "scripts", check=True)
    assert subprocess.run([command], check=False).returncode == 3
