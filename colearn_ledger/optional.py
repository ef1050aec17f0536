"""Import packages that only some functions need."""

from __future__ import annotations

import importlib
from typing import Any

from colearn_ledger.protocol import LedgerError


class MissingPackage(LedgerError, ImportError):
    """Raised if a required package is not installed; the message explains how to install it."""


def import_optional(module: str, *, extra: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: the module.
        extra: the extra of this package that installs it.
        purpose: what needs it, for the error: "plots".

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingPackage(
            f"{purpose} need {package}, which is not installed: "
            f"pip install 'colearn-ledger[{extra}]'"
        ) from error
