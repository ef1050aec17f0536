"""Merging gives the same bytes with other threads, processors and versions of numpy."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_ledger.weights import merge
from colearn_ledger.weights.errors import SubnormalsFlushed
from colearn_localnet.toolchains import cache_folder
from tests.support import ROOT
from tests.support.merging import hash_fixed_merges, merge_arrays

FIXED = (
    "825c1f833636b37a8b4dc31d5ee478411b78a9056d6323b71cf61c1d71fad264",
    "1d4d4ed8eec8a3f786f92ad467e521796b929b4f869efe1ec936bda8816b906b",
    "70d1103f1a2e936478f761553868959313198e59d97d4d50a0a7452c025abf16",
)
"""The sha256 of `hash_fixed_merges`. They change only if the canonical encoding changes."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


def hash_in_process(folder: Path, **variables: str) -> tuple[str, ...]:
    """Return the sha256 of the fixed merges from a process with these environment variables."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.merging", str(folder)],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return tuple(run.stdout.split())


def test_hashes_are_those_of_earlier_releases(tmp_path: Path):
    assert tuple(hash_fixed_merges(tmp_path)) == FIXED


@pytest.mark.parametrize("number", ["1", "2"])
def test_number_of_threads_does_not_change_the_bytes(tmp_path: Path, number: str):
    assert hash_in_process(tmp_path, **dict.fromkeys(THREADS, number)) == FIXED


def test_vector_instructions_do_not_change_the_bytes(tmp_path: Path):
    from numpy._core._multiarray_umath import __cpu_dispatch__ as optional

    assert hash_in_process(tmp_path, NPY_DISABLE_CPU_FEATURES=" ".join(optional)) == FIXED


@pytest.mark.long
@pytest.mark.usefixtures("is_long")
@pytest.mark.parametrize("number", ["1", "2"])
def test_oldest_supported_numpy_gives_the_same_bytes(tmp_path: Path, number: str):
    packages = install_oldest("numpy", "ml-dtypes")
    path = os.pathsep.join([str(packages), os.environ["PYTHONPATH"]])
    version = subprocess.check_output(
        [sys.executable, "-c", "import numpy; print(numpy.__version__)"],
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )
    assert version.strip() != np.__version__
    threads = dict.fromkeys(THREADS, number)
    assert hash_in_process(tmp_path, PYTHONPATH=path, **threads) == FIXED


def install_oldest(*names: str) -> Path:
    """Install the oldest versions that we support into the user's cache; return their folder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = dict(each.split(">=", 1) for each in project["dependencies"] if ">=" in each)
    wanted = [f"{name}=={re.split('[,;]', required[name])[0]}" for name in names]
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / "oldest" / "-".join([*wanted, python])
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        subprocess.run([*pip, str(partial), *wanted], check=True)
        partial.rename(folder)
    return folder


FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 0x8000, 0x0040
CONTROL = {
    ("Linux", "x86_64"): (28, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO),
    ("Linux", "aarch64"): (0, 1 << 24),
    ("Darwin", "x86_64"): (4, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO),
    ("Darwin", "arm64"): (8, 1 << 24),
}
"""Where the C type ``fenv_t`` has the control register, and its bits that flush subnormals."""


@contextmanager
def flushing(bits: int = -1) -> Iterator[None]:
    """Flush subnormals in this thread, with those of the register's bits that are given."""
    offset, all_bits = CONTROL[platform.system(), platform.machine()]
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    saved, changed = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    library.fegetenv(saved)
    library.fegetenv(changed)
    register = ctypes.c_uint32.from_buffer(changed, offset)
    register.value |= all_bits & bits
    library.fesetenv(changed)
    try:
        yield
    finally:
        library.fesetenv(saved)


def call_in_thread(function: Callable[[], Any]) -> Any:
    """Return a function's result or exception from a thread of its own."""
    results: list[Any] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results[0]


class TestFlushedSubnormals:
    SLOTS = (np.array([5e-324, 1]), np.array([1.5e-323, 2]))

    def merge_flushing(self, folder: Path, bits: int = -1) -> Any:
        with flushing(bits):
            return merge_arrays(folder, *self.SLOTS)

    @pytest.mark.parametrize("bits", [-1, FLUSH_TO_ZERO | 1 << 24, DENORMALS_ARE_ZERO | 1 << 24])
    def test_thread_that_flushes_subnormals_cannot_merge(self, tmp_path: Path, bits: int):
        refusal = call_in_thread(lambda: self.merge_flushing(tmp_path, bits))
        assert isinstance(refusal, SubnormalsFlushed)
        assert "-ffast-math" in str(refusal)
        assert not (tmp_path / "merged").exists()
        assert merge_arrays(tmp_path, *self.SLOTS).tolist() == [1e-323, 1.5]

    def test_flushing_would_change_the_result(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(merge, "check_subnormals", lambda: None)
        result = call_in_thread(lambda: self.merge_flushing(tmp_path))
        assert result.tolist() == [0, 1.5]

    def test_single_file_is_copied_in_such_a_thread(self, tmp_path: Path):
        def copy() -> Any:
            with flushing():
                return merge_arrays(tmp_path, self.SLOTS[0])

        assert call_in_thread(copy).tolist() == self.SLOTS[0].tolist()
