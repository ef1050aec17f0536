"""Format scores with the same number of decimals, so that they can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

_LARGE = 1e6


@dataclass(frozen=True, slots=True)
class ScoreFormat:
    """A number of decimals for all scores of a table."""

    decimals: int = 4

    @classmethod
    def fitting(cls, scores: Iterable[float | None]) -> ScoreFormat:
        """Return the format that shows four significant digits or more of a typical score."""
        sizes = [abs(s) for s in scores if s is not None and math.isfinite(s) and s != 0]
        if not sizes:
            return cls()
        digits = math.floor(math.log10(median(sizes))) + 1  # before the decimal point
        return cls(min(8, max(1, 4 - max(digits - 1, min(digits, 0)))))

    def format(self, score: float | None) -> str:
        """Return a score as text; ``-`` if it is absent."""
        if score is None:
            return "-"
        if not math.isfinite(score) or abs(score) >= _LARGE:
            return f"{score:.4g}"
        return f"{score:.{self.decimals}f}"
