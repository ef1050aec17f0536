"""Load learners for commands from ``module:factory`` or the address of a learner's server."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from colearn_learner.errors import LearnerError
from colearn_learner.factory_arguments import check_arguments
from colearn_learner.interface import describe_kind, list_missing_methods
from colearn_learner.learners.triton_guard import keep_triton_from_tensorflow
from colearn_learner.remote.addresses import is_address
from colearn_learner.user_code import find_line_of_error

_log = logging.getLogger(__name__)


class FactoryFailed(LearnerError):
    """A factory did not make a learner; names the factory and the reason."""


def parse_arguments(given: Sequence[str]) -> dict[str, Any]:
    """Parse ``name=value`` texts; a value that is valid JSON is read as JSON.

    Raises:
        click.UsageError: a text has another form, or a name is given twice.
    """
    arguments: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise click.UsageError(
                f"--learner-arg {text!r} is not of the form name=value, such as learner=0"
            )
        if name in arguments:
            raise click.UsageError(f"--learner-arg {name} is given twice; remove one of them")
        arguments[name] = _value(value)
    return arguments


def load_learner(factory: str, arguments: Mapping[str, Any]) -> Any:
    """Return the learner that a factory makes; its module may be in the working folder.

    Args:
        factory: ``package.module:factory``, or ``grpc://host:port`` or ``grpcs://host:port`` of a
            learner's server.
        arguments: by name.

    Raises:
        click.UsageError: there is no such factory.
        FactoryFailed: it failed, or returned something else.
        LearnerError: the factory refused its arguments, or the server refused the connection.
    """
    if is_address(factory):
        from colearn_learner.cli._support.remote_learner import open_remote_learner

        return open_remote_learner(factory, arguments)
    make = find_factory(factory)
    check_arguments(make, factory, arguments)
    try:
        learner = make(**arguments)
    except LearnerError:
        raise
    except Exception as error:
        _log.exception("%s failed", factory)
        raise FactoryFailed(
            f"the learner factory {factory} failed{_locate(error)}: {type(error).__name__}: {error}"
        ) from error
    missing = [name for name in list_missing_methods(learner) if name != "mli_get_current_model"]
    if missing:
        raise FactoryFailed(
            f"{factory} returned {describe_kind(learner)}, which is not a learner: it lacks "
            f"{', '.join(missing)} (see MachineLearningInterface)"
        )
    return learner


def find_factory(factory: str) -> Any:
    """Return the factory that ``package.module:factory`` names, also from the working folder.

    Raises:
        click.UsageError: there is no such factory.
        FactoryFailed: its module cannot be imported.
    """
    module_name, colon, name = factory.partition(":")
    if not colon or not module_name or not name:
        raise click.UsageError(
            f"--learner {factory!r} is not of the form package.module:factory, such as "
            "colearn_learner.catalogue:share"
        )
    keep_triton_from_tensorflow()
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - sys.path holds texts
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module lacks a package that it imports
        if module_name.endswith(".py"):
            raise click.UsageError(
                f"--learner {factory}: {module_name} is a file, not a module; run the command in "
                f"its folder, with {Path(module_name).stem}:{name}"
            ) from error
        raise click.UsageError(
            f"--learner {factory}: there is no module {error.name} in the working folder or in the "
            "Python environment; check the name, or run the command from the module's folder"
        ) from error
    except Exception as error:
        _log.exception("%s cannot be imported", module_name)
        raise FactoryFailed(
            f"the module {module_name} cannot be imported{_locate(error)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    make = getattr(module, name, None)
    if not callable(make):
        raise click.UsageError(
            f"--learner {factory}: the module {module_name} has no function {name}; check the name"
        )
    return make


def _locate(error: Exception) -> str:
    line = find_line_of_error(error)
    return f" at {line}" if line else ""


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
