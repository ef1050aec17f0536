"""How the command fails: one clear line and an exit code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from colearn_learner.datasets import NotEnoughData
from colearn_learner.errors import LearnerError
from colearn_learner.models import UnfitModel
from colearn_learner.names import UnknownName
from colearn_ledger.protocol import LedgerError

__all__ = ["failing_clearly", "need"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_EXTRA_OF = {
    "sklearn": "sklearn",
    "matplotlib": "plot",
    "web3": "evm",
    "eth_tester": "evm",
    "eth": "evm",
    "keras": "keras",
    "tensorflow": "keras",
}


def failing_clearly(command: _Command) -> _Command:
    """Turn the errors of the packages into one line: exit code 2 for wrong use, 1 for the rest."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (UnknownName, UnfitModel, NotEnoughData) as error:
            raise click.UsageError(str(error)) from error
        except ModuleNotFoundError as error:
            raise _missing(error) from error
        except (LedgerError, LearnerError, OSError) as error:
            raise click.ClickException(str(error)) from error

    return wrapped  # type: ignore[return-value]


def need(*modules: str) -> None:
    """Fail, before anything runs, when a module of an extra is not installed."""
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise _missing(ModuleNotFoundError(f"no {module}", name=module))


def _missing(error: ModuleNotFoundError) -> click.ClickException:
    package = (error.name or "").split(".")[0]
    extra = _EXTRA_OF.get(package)
    if extra is None:
        return click.ClickException(f"the Python package {package} is missing: {error}")
    return click.ClickException(
        f"this needs {package}, which is not installed: pip install 'colearn-ledger[{extra}]'"
    )
