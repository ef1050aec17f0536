"""Sentences about what an agent did and why, for its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colearn_ledger.protocol import Outcome
from colearn_ledger.text.ranges import format_numbers
from colearn_ledger.text.shortening import shorten

if TYPE_CHECKING:
    from colearn_learner.agent.observation import Observation, Verdict
    from colearn_ledger.protocol import RoundClosed


def describe_action(observed: Observation) -> str:
    """Return one line about an action, such as ``voted approve: log loss 0.131 (current 0.164)``.

    If it is a ballot on several proposals, the line counts them.
    """
    parts = [observed.action.value]
    if len(observed.verdicts) == 1:
        parts[0] += f" {describe_verdict(observed.verdicts[0], observed.score_name)}"
    elif observed.verdicts:
        judged = [v.approved for v in observed.verdicts if v.approved is not None]
        parts[0] += f": approved {sum(judged)} of {len(judged)} proposals"
    elif observed.score is not None:
        parts[0] += f": {observed.score_name} {_format(observed.score)}"
    elif observed.weights:
        parts[0] += f" {shorten(observed.weights)}"
    if observed.reason:
        parts.append(observed.reason)
    fields = {"round": observed.round, "gas": observed.cost or None}
    parts[-1] += "".join(f" {k}={v}" for k, v in fields.items() if v is not None)
    return "; ".join(parts)


def describe_verdict(verdict: Verdict, score_name: str) -> str:
    """Return a verdict with its evidence, such as ``approve: accuracy 0.91 (current 0.9)``."""
    word = {True: "approve", False: "reject", None: "own"}[verdict.approved]
    if verdict.score is None:
        return f"{word}: not tested"
    current = "" if verdict.current is None else f" (current {_format(verdict.current)})"
    return f"{word}: {score_name} {_format(verdict.score)}{current}"


def describe_closing(event: RoundClosed) -> str:
    """Return how a round ended, such as ``round 3 closed: accepted; approvals 2 of 3 voters``."""
    text = f"round {event.round} closed: {event.outcome.name.lower().replace('_', ' ')}"
    accepted = list_accepted(event)
    if len(event.approvals) > 1 and accepted:
        text += f" {format_numbers(accepted)}"
    if event.approvals and event.outcome != Outcome.NO_PROPOSAL:
        text += f"; approvals {', '.join(map(str, event.approvals))} of {event.eligible} voters"
    return text


def list_accepted(event: RoundClosed) -> list[int]:
    """Return the slots of the accepted proposals."""
    return [slot for slot in range(len(event.approvals)) if event.accepted >> slot & 1]


def _format(score: float) -> str:
    return f"{score:.4g}"
