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
from colearn_learner.checks.subject import Broken, DoesNotApply, Subject
from colearn_learner.names import find_name


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
        """Return whether no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """Return the failed checks."""
        return tuple(c for c in self.checks if c.verdict is Verdict.FAILED)

    def __str__(self) -> str:
        """Return one line for each check."""
        return "\n".join(f"{c.verdict.value:8}{c.name}  {c.reason}".rstrip() for c in self.checks)


def check_learner(
    factory: Callable[..., Any] | str,
    arguments: Mapping[str, Any] | None = None,
    *,
    skip: Collection[str] = (),
) -> CheckReport:
    """Check that a learner keeps to the interface.

    The factory is called about twenty times, so it should use little data. It should also seed
    all random numbers, because one check requires that its learners train alike.

    Args:
        factory: a function that returns a new learner, or its name ``package.module:factory``.
        arguments: arguments of the factory, by name.
        skip: names of checks to leave out.

    Raises:
        UnknownName: there is no check with a name in ``skip``.
        InvalidArgument: there is no such factory.
    """
    skipped = {find_name("check", name, CHECKS) for name in skip}
    subject = Subject.of(factory, arguments or {})
    return CheckReport(tuple(_run_checks(subject, skipped)))


def checks() -> dict[str, str]:
    """Return the rule that each check tests, by the check's name, in order."""
    return {name: inspect.cleandoc(check.__doc__ or "") for name, check in CHECKS.items()}


def _run_checks(subject: Subject, skipped: Collection[str]) -> Iterator[Check]:
    has_learner = True
    for number, (name, check) in enumerate(CHECKS.items()):
        if name in skipped:
            yield Check(name, Verdict.SKIPPED, "left out")
        elif not has_learner:
            yield Check(name, Verdict.SKIPPED, "the factory returned no usable learner")
        else:
            outcome = _run_check(name, check, subject)
            has_learner = number > 0 or outcome.verdict is not Verdict.FAILED
            yield outcome


def _run_check(name: str, check: Callable[[Subject], None], subject: Subject) -> Check:
    try:
        check(subject)
    except DoesNotApply as reason:
        return Check(name, Verdict.SKIPPED, str(reason))
    except Broken as reason:
        return Check(name, Verdict.FAILED, str(reason))
    except Exception as error:  # noqa: BLE001 - a learner may raise anything
        return Check(
            name, Verdict.FAILED, f"the learner raised {type(error).__name__}: {error}"[:500]
        )
    return Check(name, Verdict.PASSED)
