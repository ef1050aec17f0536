"""Check the arguments of a learner's factory before it is called."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from colearn_learner.errors import InvalidArgument


def check_arguments(factory: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> None:
    """Check that a factory takes arguments, so that its own TypeErrors are not mistaken for this.

    Args:
        factory: a function or class.
        name: its name, for the message.
        arguments: the arguments, by name.

    Raises:
        InvalidArgument: it does not take one of them, or lacks one; the message lists its
            arguments.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise InvalidArgument(f"{name} {_explain(signature, arguments)}") from error


def _explain(signature: inspect.Signature, arguments: Mapping[str, Any]) -> str:
    taken = {
        parameter.name: parameter
        for parameter in signature.parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    takes = ", ".join(_describe(p) for p in taken.values())
    known = f"it takes {takes}" if takes else "it takes no arguments"
    for given in arguments:
        if given not in taken:
            near = difflib.get_close_matches(given, taken, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            return f"does not take the argument {given}: {known}{hint}"
    missing = [p.name for p in taken.values() if p.default is p.empty and p.name not in arguments]
    if missing:
        needed = ", ".join(f"--learner-arg {name}=…" for name in missing)
        return f"needs more arguments; pass {needed}"
    return f"does not take its arguments by name: {known}"


def _describe(parameter: inspect.Parameter) -> str:
    has_default = parameter.default is not parameter.empty
    return f"{parameter.name}={parameter.default!r:.40}" if has_default else parameter.name
