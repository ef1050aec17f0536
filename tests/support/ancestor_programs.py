"""The example programs of the ancestor library: fetched from PyPI, changed, and run.

They are kept in the user's cache folder and never in the repository, because of their licence.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from colearn_localnet.toolchains import cache_folder
from tests.ancestor_style.imports import COPIED, rewrite_imports
from tests.support import ROOT

PACKAGE = "colearn==0.2.8"
WHEEL = "colearn-0.2.8-py3-none-any.whl"
SHA256 = "5957e110b4a5cc57be76f026e32be55fa7f4f8eec05565ef0c2d49a2bffa5f02"

RUN_PROGRAM = ROOT / "tests" / "support" / "ancestor_packages" / "run_program.py"


def fetch_wheel() -> Path:
    """Return the wheel with the programs, downloading it if needed."""
    path = cache_folder() / "data" / WHEEL
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        options = ["--no-deps", "--ignore-requires-python", "--dest", str(path.parent)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", *options, PACKAGE], check=True
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == SHA256, f"{path} differs from the pinned package"
    return path


def read_programs() -> dict[str, str]:
    """Return the original text of each program and of each copied module, by its new file name."""
    with zipfile.ZipFile(fetch_wheel()) as wheel:
        copied = {name.replace(".", "/") + ".py" for name in COPIED}
        paths = [
            path
            for path in wheel.namelist()
            if path.startswith(("colearn_examples/", "colearn_grpc/scripts/")) or path in copied
        ]
        texts = {path: wheel.read(path).decode() for path in paths if path.endswith(".py")}
    return {_file_name(path): text for path, text in texts.items()}


def _file_name(path: str) -> str:
    """Return the name of a copied module, or a program's with a prefix: some names are equal."""
    module = path.removesuffix(".py").replace("/", ".")
    return f"{COPIED[module]}.py" if module in COPIED else f"run_{Path(path).name}"


def write_programs(folder: Path) -> None:
    """Write all programs, with changed imports, and the modules beside them."""
    for name, text in read_programs().items():
        (folder / name).write_text(rewrite_imports(text))


def command_of(folder: Path, program: str, *arguments: str) -> list[str]:
    """Return the command that runs a program of the folder."""
    return [sys.executable, str(RUN_PROGRAM), str(folder / f"run_{program}.py"), *arguments]


def make_environment(folder: Path, mnist: Path, work: Path, digits: int) -> Mapping[str, str]:
    """Return the environment of the folder's programs: one round, few digits.

    Args:
        folder: the programs, and the modules that they import.
        mnist: MNIST's files.
        work: folder for the programs' files, except those that they write to /tmp.
        digits: number of records of MNIST to train with.
    """
    return {
        **os.environ,
        "COLEARN_EXAMPLES_TEST": "1",
        "CUDA_VISIBLE_DEVICES": "-1",
        "DIGITS": str(digits),
        "MNIST": str(mnist),
        "OMP_NUM_THREADS": "1",  # waiting threads take minutes on a busy machine
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]]),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(work),
    }
