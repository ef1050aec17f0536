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
        name: made_rule(_rename(name, function))
        for name in (f"{function.__name__}_{copy}" for copy in range(count))
    }


def rule_where(condition: Callable[[Any], object], **drawn: Any) -> Callable[..., Any]:
    """Make a method a rule that does nothing unless a condition holds.

    Hypothesis then picks another rule. On a live chain the rule stays and does nothing, because
    Hypothesis has to make the same choices when it repeats a run, but the state of a live chain
    depends on the speed of the machine.
    """

    def decorate(function: Callable[..., None]) -> Any:
        def guarded(self: Any, **drawn: Any) -> None:
            if condition(self):
                function(self, **drawn)

        may_be_picked = precondition(lambda self: self.contract.is_live or condition(self))
        return may_be_picked(rule(**drawn)(_rename(function.__name__, guarded)))

    return decorate


def _rename(name: str, function: Callable[..., None]) -> Callable[..., None]:
    def call(self: Any, **drawn: Any) -> None:
        function(self, **drawn)

    call.__name__ = name
    return call
