"""Compile the Solidity contract and its tests into a cache that all checkouts share.

Usage: python scripts/forge.py

The tests take minutes to compile. forge compiles a file again only if its content or the settings
differ, so every checkout with the same sources can use the same folder in the user's cache. One
process at a time compiles into a folder; the others wait and find everything compiled. forge writes
its list of compiled files even if it compiles nothing, so tests run with a copy of the list.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from colearn_ledger.home import lock_file
from colearn_localnet.toolchains import cache_folder

ROOT = Path(__file__).resolve().parent.parent
EVM = ROOT / "contracts" / "evm"
FORGE = EVM / "node_modules" / ".bin" / "forge"
SETTINGS = ("foundry.toml", "package.json", "package-lock.json", "solc.js")
LISTS = ROOT / "build" / "forge"
"""This checkout's copy of forge's list of compiled files."""
KEPT = 5
"""Number of folders, those used last, that stay in the cache."""


def compute_key(project: Path = EVM) -> str:
    """Return a digest over the names and contents of the sources, the tests and the settings."""
    digest = hashlib.sha256()
    sources = [path for name in ("src", "test") for path in (project / name).rglob("*.sol")]
    for path in sorted([*sources, *(project / name for name in SETTINGS)]):
        for part in (path.relative_to(project).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:24]


def select_folder(folders: Path, key: str) -> Path:
    """Return the folder for a key, marked as just used, and remove those not used for longest."""
    folder = folders / key
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    used = {path: path.stat().st_mtime for path in folders.iterdir() if path.is_dir()}
    for old in sorted(used, key=used.__getitem__, reverse=True)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def share_output() -> Path:
    """Let forge use what is compiled from the present sources, and return the shared folder.

    The processes that this one starts use the shared output and this checkout's copy of the list.
    """
    folder = select_folder(cache_folder() / "evm" / "checks", compute_key())
    os.environ["FOUNDRY_OUT"] = str(folder / "out")
    os.environ["FOUNDRY_CACHE_PATH"] = str(LISTS)
    return folder


def compile_solidity(*paths: str) -> subprocess.CompletedProcess[str]:
    """Compile these files and folders, or everything, and copy the list of compiled files.

    Returns:
        The ended `forge build`, whose output is text.
    """
    folder = share_output()
    with lock_file(folder / "lock", on_wait=report_wait):
        built = subprocess.run(
            [str(FORGE), "build", *paths],
            cwd=EVM,
            env={**os.environ, "FOUNDRY_CACHE_PATH": str(folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode == 0:
            shutil.copytree(folder / "cache", LISTS, dirs_exist_ok=True)
    return built


def report_wait() -> None:
    """Print that another process is compiling."""
    print("another process is compiling the same Solidity sources: waiting for it", flush=True)


def main() -> int:
    """Compile the contract and its tests, and return the exit status."""
    built = compile_solidity()
    print(built.stdout, built.stderr, sep="")
    return built.returncode


if __name__ == "__main__":
    if sys.argv[1:]:
        print(__doc__)
        sys.exit(2)
    sys.exit(main())
