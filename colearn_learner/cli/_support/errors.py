"""Turn failures and interruptions of a command into one clear line and an exit code."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from colearn_learner.cli._support.output import note
from colearn_learner.errors import LearnerError, NotEnoughData, UnfitModel
from colearn_learner.names import UnknownName
from colearn_ledger.protocol import LedgerError

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 plus the number of SIGINT, as in shells."""

_Command = TypeVar("_Command", bound=Callable[..., Any])

_EXTRA_OF = {
    "sklearn": "sklearn",
    "matplotlib": "plot",
    "pandas": "pandas",
    "pyarrow": "parquet",
    "web3": "evm",
    "wasmtime": "evm",
    "trie": "evm",
    "cosmpy": "cosmos",
    "grpc": "cosmos",
    "keras": "keras",
    "tensorflow": "keras",
    "torch": "pytorch",
    "xgboost": "xgboost",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxmltools": "onnx",
    "PIL": "images",
    "ipfshttpclient": "ipfs",
    "prometheus_client": "monitor",
    "uvicorn": "serve",
    "starlette": "serve",
}


def report_errors(command: _Command) -> _Command:
    """Report the packages' errors in one line: exit code 2 for wrong usage, 1 for most others.

    An error's own ``exit_code`` counts if it has one.

    Ctrl-C ends the command with `INTERRUPTED`, even where click would return 1.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (UnknownName, UnfitModel, NotEnoughData) as error:
            raise click.UsageError(str(error)) from error
        except ModuleNotFoundError as error:
            raise _explain_missing(error) from error
        except BrokenPipeError:  # the reader closed the pipe; click exits silently
            raise
        except (LedgerError, LearnerError) as error:
            raise _Failure(str(error), getattr(error, "exit_code", 1)) from error
        except OSError as error:
            raise click.ClickException(_explain_os_error(error)) from error
        except KeyboardInterrupt as interruption:
            note("Interrupted.")
            raise click.exceptions.Exit(INTERRUPTED) from interruption

    return wrapped  # type: ignore[return-value]


def _explain_os_error(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    what = f"cannot use {error.filename}: {error.strerror}" if error.filename else error.strerror
    remedy = "; free disk space and try again" if error.errno == errno.ENOSPC else ""
    return what + remedy


class _Failure(click.ClickException):
    """An error that ends a command with an exit code of its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


def need(*modules: str) -> None:
    """Fail before the command starts if a module, or another one of its extra, is missing."""
    import importlib.util

    extras = {_EXTRA_OF.get(module) for module in modules}
    others = (module for module, extra in _EXTRA_OF.items() if extra in extras)
    for module in dict.fromkeys((*modules, *others)):
        if importlib.util.find_spec(module) is None:
            raise _explain_missing(ModuleNotFoundError(f"no {module}", name=module))


def _explain_missing(error: ModuleNotFoundError) -> click.ClickException:
    package = (error.name or "").split(".")[0]
    extra = _EXTRA_OF.get(package)
    if extra is None:
        return click.ClickException(
            f"the Python package {package} is not installed, or is damaged ({error}); install it "
            "with pip"
        )
    return click.ClickException(
        f"this needs {package}, which is not installed: pip install 'colearn-ledger[{extra}]'"
    )
