"""Delay the slowest imports of the `colearn` command.

`web3` and `eth_account` import `py_ecc` for the keystores of Ethereum validators, which this
project does not use. Importing its pairings computes tables and checks, which takes about as long
as all other imports together.

Only programs call this: it changes how the whole process imports.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_PAIRINGS = (
    "py_ecc.optimized_bls12_381.optimized_pairing",
    "py_ecc.bls12_381.bls12_381_pairing",
)


class _DeferredPairing(ModuleType):
    """Module whose functions load the real module when they are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        module = self.__name__
        return lambda *arguments, **options: getattr(_load(module), name)(*arguments, **options)


class _PairingFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Find a deferred module instead of a pairing."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in _PAIRINGS else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _DeferredPairing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing; the real module runs when one of its functions is called."""


@cache
def _load(name: str) -> ModuleType:
    """Load the real module."""
    package = importlib.import_module(name.rpartition(".")[0])
    spec = PathFinder.find_spec(name, package.__path__)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{name} is not installed", name=name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def defer_pairings() -> None:
    """Let later imports of the pairings in this process load them only when they are used."""
    if not any(isinstance(finder, _PairingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PairingFinder())
