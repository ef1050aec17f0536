"""Check that a learner keeps to the interface: `check_learner`.

Each check creates learners, calls them as drivers and agents do, and reports whether they kept to
the interface, with the reason if they did not.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from colearn_learner.checks.rules import CHECKS
from colearn_learner.checks.subject import Broken, DoesNotApply, Subject, describe_error
from colearn_learner.checks.watchdog import Blocked, SlowCheck, Watchdog
from colearn_learner.names import find_name
from colearn_learner.user_code import find_line_of_error

_NO_LEARNER = "the factory returned no usable learner"
_BLOCKED = "the learner was blocked in an earlier check"
_POINTLESS = (_NO_LEARNER, _BLOCKED)


class Verdict(enum.Enum):
    """The outcome of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The check does not apply to the learner, or the caller left it out."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check, with its reason.

    Args:
        name: name of the check, as listed by `checks`.
        verdict: the outcome.
        reason: the defect, or why the check was skipped; empty if it passed.
        where: the line of the user's code with the defect, such as ``mine.py:61 in train``;
            empty if unknown.
        cause: the error behind the reason, the same for all checks that it made fail; empty if
            there is none.
    """

    name: str
    verdict: Verdict
    reason: str = ""
    where: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcomes of all checks, in order."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Return whether no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """Return the failed checks."""
        return tuple(c for c in self.checks if c.verdict is Verdict.FAILED)

    def group(self) -> list[tuple[Check, ...]]:
        """Return the checks in order, with all failures of one cause in the place of the first.

        After a failure that makes further checks pointless, those are left out.
        """
        groups: dict[tuple[str, ...], list[Check]] = {}
        for check in self.checks:
            if check.reason not in _POINTLESS:
                failed = check.verdict is Verdict.FAILED
                cause = check.cause or check.reason
                key = (cause, check.where) if failed else (check.name,)
                groups.setdefault(key, []).append(check)
        return [tuple(group) for group in groups.values()]

    def __str__(self) -> str:
        """Return one line for each check."""
        return "\n".join(
            f"{c.verdict.value:8}{c.name}  {c.reason}{f' ({c.where})' if c.where else ''}".rstrip()
            for c in self.checks
        )


def check_learner(
    factory: Callable[..., Any] | str,
    arguments: Mapping[str, Any] | None = None,
    *,
    skip: Collection[str] = (),
    limit: float = 600.0,
    on_slow: Callable[[SlowCheck], None] | None = None,
) -> CheckReport:
    """Check that a learner keeps to the interface.

    The factory is called about twenty times, so it should use little data. It should also seed
    all random numbers, because one check requires that its learners train alike. If the factory
    returns no learner, or the learner blocks, the checks after that are skipped.

    Args:
        factory: a function that returns a new learner, or its name ``package.module:factory``.
        arguments: arguments of the factory, by name.
        skip: names of checks to leave out.
        limit: the longest duration of a check, in seconds; see `Watchdog`.
        on_slow: called with a check that takes half a minute or more; see `Watchdog`.

    Raises:
        UnknownName: there is no check with a name in ``skip``.
        InvalidArgument: there is no such factory, or it does not take the arguments.
    """
    skipped = {find_name("check", name, CHECKS) for name in skip}
    subject = Subject.of(factory, arguments or {})
    return CheckReport(tuple(_run_checks(subject, skipped, Watchdog(limit, on_slow))))


def checks() -> dict[str, str]:
    """Return the rule that each check tests, by the check's name, in order."""
    return {name: inspect.cleandoc(check.__doc__ or "") for name, check in CHECKS.items()}


def _run_checks(subject: Subject, skipped: Collection[str], dog: Watchdog) -> Iterator[Check]:
    pointless = ""
    for number, (name, check) in enumerate(CHECKS.items()):
        if name in skipped:
            yield Check(name, Verdict.SKIPPED, "left out")
        elif pointless:
            yield Check(name, Verdict.SKIPPED, pointless)
        else:
            try:
                with dog.watch(name):
                    outcome = _run_check(name, check, subject)
            except Blocked as blocked:
                outcome = Check(name, Verdict.FAILED, str(blocked), blocked.where)
                pointless = _BLOCKED
            if number == 0 and outcome.verdict is Verdict.FAILED:
                pointless = _NO_LEARNER
            yield outcome


def _run_check(name: str, check: Callable[[Subject], None], subject: Subject) -> Check:
    try:
        check(subject)
    except DoesNotApply as reason:
        return Check(name, Verdict.SKIPPED, str(reason))
    except Broken as broken:
        where = broken.where or find_line_of_error(broken)
        cause = broken.__cause__
        text = describe_error(cause) if isinstance(cause, Exception) else ""
        return Check(name, Verdict.FAILED, str(broken), where, text)
    except Exception as error:  # noqa: BLE001 - a learner may raise anything
        return Check(name, Verdict.FAILED, describe_error(error), find_line_of_error(error))
    return Check(name, Verdict.PASSED)
