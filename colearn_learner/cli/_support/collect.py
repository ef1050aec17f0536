"""Pass a group of options to a command as one dataclass.

A command takes each group of options as one argument:

    @dataclass(frozen=True, slots=True)
    class ListenOptions:
        host: str
        port: int

    @click.command()
    @click.option("--host")
    @click.option("--port", type=int)
    @collect(ListenOptions, "listen")
    def serve(*, listen: ListenOptions) -> None: ...
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from colearn_learner.errors import InvalidArgument

Command = TypeVar("Command", bound=Callable[..., Any])


def collect(group: type[Any], parameter: str) -> Callable[[Command], Command]:
    """Return a decorator that passes options to the command as one object.

    Args:
        group: a dataclass; each of its fields has the name of an option.
        parameter: the command's parameter that gets the object.

    Raises:
        click.UsageError: the dataclass refuses the values (when the command is called).
    """
    names = [field.name for field in dataclasses.fields(group)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(*args: Any, **options: Any) -> Any:
            values = {name: options.pop(name) for name in names}
            try:
                options[parameter] = group(**values)
            except InvalidArgument as error:
                raise click.UsageError(str(error)) from error
            return command(*args, **options)

        return wrapped  # type: ignore[return-value]

    return decorate
