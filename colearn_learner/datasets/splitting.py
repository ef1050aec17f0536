"""Assign the records of a data set to learners.

Every record goes to exactly one learner, unless a division allows leaving some out. Equal seeds
give equal divisions.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from colearn_learner.datasets.records import Targets, Task
from colearn_learner.errors import InvalidArgument, NotEnoughData

_log = logging.getLogger(__name__)

How = Literal["iid", "label-skew", "by-size"]
Indices = npt.NDArray[np.intp]
_Records = TypeVar("_Records", bound=Any)

_ROUNDING = 1e-9
"""Tolerance for a sum of fractions, because decimal fractions are not exact as floats."""

_PARTS = ("train", "vote", "test")


class Places(NamedTuple):
    """Indices of one learner's records in the data set."""

    train: Indices
    vote: Indices
    test: Indices


@dataclass(frozen=True, slots=True)
class Division:
    """The configuration for dividing a data set among learners.

    Args:
        n_learners: number of learners.
        how: ``iid``: at random, in equal numbers. ``label-skew``: each class (in a regression,
            each quarter of the targets) in proportions drawn from a Dirichlet distribution.
            ``by-size``: at random, in the proportions of ``fractions``.
        alpha: parameter of the Dirichlet distribution; smaller is less even.
        fractions: each learner's fraction of the records, for ``by-size``; otherwise None.
        parts: fractions of a learner's records to train, vote and test with; their sum is 1.
        seed: seed of all random choices.
        least: smallest number of records of a learner to train, to vote and to test with.
        drop_rest: allow ``fractions`` with a sum below 1, so that no learner gets the rest.

    Raises:
        InvalidArgument: a value is out of its bounds, or two values contradict each other.
    """

    n_learners: int
    how: How = "iid"
    alpha: float = 0.5
    fractions: tuple[float, ...] | None = None
    parts: tuple[float, float, float] = (0.6, 0.2, 0.2)
    seed: int = 1
    least: int = 1
    drop_rest: bool = False

    def __post_init__(self) -> None:
        if self.how not in get_args(How):
            raise InvalidArgument(f"how is {self.how!r}; choose from {', '.join(get_args(How))}")
        for name, lowest in (("n_learners", 1), ("least", 1), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < lowest:
                raise InvalidArgument(f"{name} is {value!r}; it must be a whole number ≥ {lowest}")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise InvalidArgument(f"alpha is {self.alpha}; it must be above 0")
        _check_parts(self.parts)
        self._check_fractions()

    def _check_fractions(self) -> None:
        if (self.how == "by-size") != (self.fractions is not None):
            raise InvalidArgument(
                "a division by size needs fractions, and no other division takes them"
            )
        if self.fractions is None:
            return
        total = _check_sum(self.fractions, "fractions")
        if len(self.fractions) != self.n_learners:
            raise InvalidArgument(
                f"there are {len(self.fractions)} fractions for {self.n_learners} learners"
            )
        if total < 1 - _ROUNDING and not self.drop_rest:
            raise InvalidArgument(
                f"the sum of the fractions is {total:g}, so some records would be lost; make"
                " the sum 1, or allow dropping the rest (drop_rest)"
            )


def _check_parts(parts: Sequence[float]) -> None:
    total = _check_sum(parts, "parts")
    if len(parts) != len(_PARTS) or total < 1 - _ROUNDING:
        raise InvalidArgument(
            f"parts are {tuple(parts)}; expected three fractions, to train, vote and test with,"
            " whose sum is 1"
        )


def _check_sum(fractions: Sequence[float], name: str) -> float:
    if not fractions or not all(math.isfinite(f) and f > 0 for f in fractions):
        raise InvalidArgument(f"{name} must all be above 0; they are {tuple(fractions)}")
    total = math.fsum(fractions)
    if total > 1 + _ROUNDING:
        raise InvalidArgument(f"the sum of {name} is {total:g}; it must not be more than 1")
    return total


def divide(targets: Targets, task: Task, division: Division) -> tuple[Places, ...]:
    """Return the indices of each learner's records.

    Args:
        targets: the targets of all records, shape (n,).
        task: classification or regression.
        division: the way to divide the records.

    Raises:
        NotEnoughData: a learner would have too few records; the message suggests a remedy.
    """
    n, rng = len(targets), np.random.default_rng(division.seed)
    each = division.least * len(_PARTS)
    if n < each * division.n_learners:
        raise NotEnoughData(
            f"{n} records are too few for {division.n_learners} learners with {division.least} to"
            f" train, vote and test with each; use at most {n // each} learners"
        )
    if division.how == "label-skew":
        groups = groups_of(targets, task)
        owned = skewed_parts(groups, division.n_learners, rng, alpha=division.alpha, least=each)
    else:
        equal = (1 / division.n_learners,) * division.n_learners
        cuts = _compute_cuts(n, division.fractions or equal)
        owned = np.split(rng.permutation(n), cuts)[: division.n_learners]
    for learner, mine in enumerate(owned):
        if len(mine) < each:
            raise NotEnoughData(
                f"learner {learner} would have {len(mine)} of {n} records and needs at"
                f" least {each}; give it a larger fraction, or ask for fewer"
                " records to train, vote and test with"
            )
    return tuple(_divide_parts(rng.permutation(mine), division) for mine in owned)


def _divide_parts(mine: Indices, division: Division) -> Places:
    sizes = np.diff([0, *_compute_cuts(len(mine), division.parts)])
    while sizes.min() < division.least:
        sizes[sizes.argmin()] += 1
        sizes[sizes.argmax()] -= 1
    return Places(*np.split(mine, np.cumsum(sizes)[:-1]))


def _compute_cuts(n: int, fractions: Sequence[float]) -> list[int]:
    """Return the end index of each part; sizes differ from exact fractions by at most a record."""
    ends = [min(math.fsum(fractions[: i + 1]), 1.0) for i in range(len(fractions))]
    if ends[-1] > 1 - _ROUNDING:
        ends[-1] = 1.0
    return [round(end * n) for end in ends]


def groups_of(targets: Targets, task: Task) -> Indices:
    """Return the class of each record, from 0; in a regression, the quarter of its target."""
    if task == "classification":
        return np.unique(targets, return_inverse=True)[1]
    return np.searchsorted(np.quantile(targets, [0.25, 0.5, 0.75]), targets)


def skewed_parts(
    groups: Indices, n_learners: int, rng: np.random.Generator, *, alpha: float, least: int
) -> list[Indices]:
    """Divide each group in proportions drawn from a Dirichlet distribution.

    A learner with fewer than ``least`` records gets random records from the largest part.

    Returns:
        The indices of each learner's records.
    """
    parts: list[list[int]] = [[] for _ in range(n_learners)]
    for group in range(int(groups.max()) + 1):
        members = rng.permutation(np.flatnonzero(groups == group))
        weights = rng.dirichlet(np.full(n_learners, alpha))
        cuts = np.round(np.cumsum(weights)[:-1] * len(members)).astype(int)
        for part, some in zip(parts, np.split(members, cuts), strict=True):
            part.extend(int(i) for i in some)
    while min(len(part) for part in parts) < least:
        parts.sort(key=len)
        parts[0].append(parts[-1].pop(int(rng.integers(len(parts[-1])))))
    return [np.array(part, dtype=np.intp) for part in parts]


def split_list_into_fractions(
    input_list: _Records, fractions_list: Sequence[float], min_part_size: int = 1
) -> list[_Records]:
    """Split a list or an array into consecutive parts.

    If the sum of the fractions is 1, every record is in a part, despite rounding. If it is less,
    the last records are in no part, and a warning is logged.

    Args:
        input_list: any object that has a length and supports slices.
        fractions_list: one fraction of the length for each part; their sum is at most 1.
        min_part_size: smallest number of records in a part.

    Raises:
        InvalidArgument: a fraction is not above 0, or the sum is more than 1.
        NotEnoughData: a part would be smaller than ``min_part_size``.
    """
    _check_sum(fractions_list, "the fractions")
    n = len(input_list)
    cuts = _compute_cuts(n, fractions_list)
    for number, (start, end) in enumerate(zip([0, *cuts], cuts, strict=False)):
        if end - start < min_part_size:
            raise NotEnoughData(
                f"Insufficient data in this part: part {number} would have {end - start} of {n}"
                f" records and needs at least {min_part_size}"
            )
    if cuts[-1] < n:
        _log.warning("the last %d of %d records are in no part", n - cuts[-1], n)
    return [input_list[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
