"""Decorators for the rules of a state machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis.stateful import precondition, rule


def copies(
    count: int, function: Callable[..., None], made_rule: Callable[..., Any]
) -> dict[str, Any]:
    """Return a rule several times under different names, so that it is picked more often.

    Hypothesis picks each rule equally often, and leaves out some by name in each run.
    """
    return {
        name: made_rule(_named(name, function))
        for name in (f"{function.__name__}_{copy}" for copy in range(count))
    }


def rule_where(holds: Callable[[Any], object], **drawn: Any) -> Callable[..., Any]:
    """Make a method a rule that does nothing unless a condition holds.

    Hypothesis then picks another rule. On a live chain the rule stays and does nothing: Hypothesis
    has to make the same choices when it repeats a run, but the state there depends on how fast the
    machine is.
    """

    def decorated(function: Callable[..., None]) -> Any:
        def guarded(self: Any, **drawn: Any) -> None:
            if holds(self):
                function(self, **drawn)

        may_be_picked = precondition(lambda self: self.contract.is_live or holds(self))
        return may_be_picked(rule(**drawn)(_named(function.__name__, guarded)))

    return decorated


def _named(name: str, function: Callable[..., None]) -> Callable[..., None]:
    def same(self: Any, **drawn: Any) -> None:
        function(self, **drawn)

    same.__name__ = name
    return same
