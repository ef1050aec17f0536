"""Prevent a crash of processes that use both TensorFlow and PyTorch.

Triton, which compiles code for GPUs, and TensorFlow each contain an LLVM. If Triton is loaded
after TensorFlow, the process is aborted with ``LLVM ERROR: inconsistency in registered
CommandLine options``. PyTorch imports Triton when an optimizer takes its first step, and works
without it.

Only programs call this, such as the `colearn` command: it changes how the whole process imports.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _TritonGuard(importlib.abc.MetaPathFinder):
    """Report Triton as not installed if TensorFlow is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "triton" and "tensorflow" in sys.modules:
            raise ModuleNotFoundError(
                "triton is not imported, because TensorFlow is loaded and the two crash together; "
                "import triton before tensorflow if you need both",
                name=fullname,
            )
        return None


def keep_triton_from_tensorflow() -> None:
    """Make later imports of Triton fail in this process if TensorFlow is loaded."""
    if not any(isinstance(finder, _TritonGuard) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TritonGuard())
