"""Write lists of numbers for people."""

from __future__ import annotations

from collections.abc import Sequence


def format_numbers(numbers: Sequence[int]) -> str:
    """Return ascending numbers as text, with three or more in a row as a range: ``0, 2-5``.

    Numbers in any other order are kept in their order.
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = (
        [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(number) for number in run] for run in runs
    )
    return ", ".join(part for group in parts for part in group)
