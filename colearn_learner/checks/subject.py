"""The learner under check, and the exceptions with which a check reports its outcome."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from colearn_learner.errors import InvalidArgument, LearnerError
from colearn_learner.factory_arguments import check_arguments


class Broken(LearnerError):
    """The learner breaks a rule of the interface; the message describes the defect.

    Args:
        reason: the defect.
        where: the line of the user's code with the defect; empty to take it from the cause.
    """

    def __init__(self, reason: str, *, where: str = "") -> None:
        super().__init__(reason)
        self.where = where


class DoesNotApply(LearnerError):
    """The check does not apply to this learner; the message contains the reason."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The learner under check.

    Args:
        factory: returns a new learner at each call.
        origin: ``module:name`` of the factory for another process; None if it has no such name.
        arguments: arguments of the factory, by name.
    """

    factory: Callable[..., Any]
    origin: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, factory: Callable[..., Any] | str, arguments: Mapping[str, Any]) -> Subject:
        """Return the subject of a factory, or of its ``package.module:factory``.

        Raises:
            InvalidArgument: there is no such factory, or it does not take the arguments.
        """
        if isinstance(factory, str):
            found = find_factory(factory)
            check_arguments(found, factory, arguments)
            return cls(found, factory, arguments)
        check_arguments(factory, getattr(factory, "__qualname__", "the factory"), arguments)
        origin = f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', '')}"
        try:
            importable = find_factory(origin) is factory and not origin.startswith("__main__:")
        except InvalidArgument:
            importable = False
        return cls(factory, origin if importable else None, arguments)

    def learner(self) -> Any:
        """Return a new learner."""
        return self.factory(**self.arguments)


def describe_error(error: Exception) -> str:
    """Return the reason of a check that failed because the learner raised an error."""
    text = " ".join(str(error).split())
    return f"the learner raised {type(error).__name__}: {text}"[:500]


def find_factory(origin: str) -> Callable[..., Any]:
    """Return the factory ``package.module:factory``.

    Raises:
        InvalidArgument: there is no such factory, or it cannot be called.
    """
    module_name, _, name = origin.partition(":")
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidArgument(f"there is no factory {origin!r}: {error}") from error
    if not callable(found):
        raise InvalidArgument(
            f"{origin} cannot be called: it is a {type(found).__name__}; name a function or class"
        )
    return found
