"""Settings of Hypothesis for duels."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, Verbosity, settings


def profile(duels: int, steps: int, *, is_long: bool, shrinks: bool = True) -> settings:
    """Return settings for a number of duels, each with at most this many steps.

    A usual run makes the same steps each time; a long one makes different ones.
    """
    return settings(
        max_examples=duels,
        stateful_step_count=steps,
        derandomize=not is_long,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
        phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
    )
