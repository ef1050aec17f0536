"""Options that several commands share, as decorators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Add ``--json`` for results; the command gets ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def log_options(command: Command) -> Command:
    """Add ``--json`` and ``--verbose`` for logs; the command gets ``as_json`` and ``verbose``."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Log one JSON object a line.")
    verbose = click.option("--verbose", is_flag=True, help="Log more.")
    return as_json(verbose(command))


def experiment_option(command: Command) -> Command:
    """Add ``--experiment``; the command gets ``reference``."""
    return click.option(
        "--experiment",
        "reference",
        required=True,
        metavar="REF",
        help="The experiment: eip155:31337:0x…/7, or just 7 with --network.",
    )(command)


def learner_argument_option(command: Command) -> Command:
    """Add ``--learner-arg``; the command gets ``given``, texts for `parse_arguments`."""
    return click.option(
        "--learner-arg",
        "given",
        multiple=True,
        metavar="NAME=VALUE",
        help="An argument of the factory; a VALUE that is valid JSON is read as JSON, others as "
        "text. Repeatable.",
    )(command)
