"""A conformance kit for authors of learners: `check_learner`.

Each check makes learners of its own, lets them do what drivers and agents do, and says whether
they kept to the interface, with the reason where they did not.
"""

from __future__ import annotations

import enum
import importlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from colearn_learner.errors import InvalidArgument, LearnerError
from colearn_learner.names import find_name

__all__ = ["Check", "CheckReport", "Verdict", "check_learner", "checks"]


class Verdict(enum.Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It does not apply to the learner, or was not wanted."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check.

    Args:
        name: of the check, as `checks` lists them.
        verdict: how it ended.
        reason: what was found wrong, or why it was skipped; empty when it passed.
    """

    name: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcomes of all checks, in order."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Tell whether no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """Return those that failed."""
        return tuple(c for c in self.checks if c.verdict is Verdict.FAILED)

    def __str__(self) -> str:
        """Return a line for each check."""
        return "\n".join(f"{c.verdict.value:8}{c.name}  {c.reason}".rstrip() for c in self.checks)


class Broken(LearnerError):
    """The learner does not do what was checked; says what it did."""


class DoesNotApply(LearnerError):
    """The check has nothing to check at this learner; says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked.

    Args:
        factory: returns a new learner at each call.
        origin: ``module:name`` under which another process finds the factory; None if it can not.
        arguments: of the factory.
    """

    factory: Callable[..., Any]
    origin: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def learner(self) -> Any:
        """Return a new learner."""
        return self.factory(**self.arguments)


def check_learner(
    factory: Callable[..., Any] | str,
    arguments: Mapping[str, Any] | None = None,
    *,
    skip: Collection[str] = (),
) -> CheckReport:
    """Check that a learner keeps to the interface.

    The factory is called some twenty times: let it use little data. One that seeds what is random
    in it makes learners that train alike, as is checked too.

    Args:
        factory: returns a new learner; or ``package.module:factory``.
        arguments: of the factory, by name.
        skip: names of checks to leave out.

    Raises:
        UnknownName: there is no check of such a name to skip.
        InvalidArgument: there is no such factory.
    """
    unwanted = {find_name("check", name, _all()) for name in skip}
    subject = _subject(factory, arguments or {})
    return CheckReport(tuple(_outcomes(subject, unwanted)))


def checks() -> dict[str, str]:
    """Return the names of all checks, in order, and what each says of a learner that passes."""
    return {name: inspect.cleandoc(check.__doc__ or "") for name, check in _all().items()}


def _all() -> Mapping[str, Callable[[Subject], None]]:
    from colearn_learner.checks.rules import CHECKS

    return CHECKS


def _outcomes(subject: Subject, unwanted: Collection[str]) -> Iterator[Check]:
    made = True
    for number, (name, check) in enumerate(_all().items()):
        if name in unwanted:
            yield Check(name, Verdict.SKIPPED, "not wanted")
        elif not made:
            yield Check(name, Verdict.SKIPPED, "there is no learner to check")
        else:
            outcome = _outcome(name, check, subject)
            made = number > 0 or outcome.verdict is not Verdict.FAILED
            yield outcome


def _outcome(name: str, check: Callable[[Subject], None], subject: Subject) -> Check:
    try:
        check(subject)
    except DoesNotApply as reason:
        return Check(name, Verdict.SKIPPED, str(reason))
    except Broken as reason:
        return Check(name, Verdict.FAILED, str(reason))
    except Exception as error:  # noqa: BLE001 - a learner may raise anything
        return Check(name, Verdict.FAILED, f"it raised {type(error).__name__}: {error}"[:500])
    return Check(name, Verdict.PASSED)


def _subject(factory: Callable[..., Any] | str, arguments: Mapping[str, Any]) -> Subject:
    if isinstance(factory, str):
        return Subject(_found(factory), factory, arguments)
    origin = f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', '')}"
    try:
        same = _found(origin) is factory and not origin.startswith("__main__:")
    except InvalidArgument:
        same = False
    return Subject(factory, origin if same else None, arguments)


def _found(origin: str) -> Callable[..., Any]:
    module_name, _, name = origin.partition(":")
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidArgument(f"there is no factory {origin!r}: {error}") from error
    if not callable(found):
        raise InvalidArgument(f"{origin} can not be called: it is a {type(found).__name__}")
    return found
