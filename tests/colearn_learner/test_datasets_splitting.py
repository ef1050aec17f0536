"""Every record goes to exactly one part of one learner, for any numbers of both."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from colearn_learner.datasets import (
    Division,
    dataset,
    split_list_into_fractions,
)
from colearn_learner.datasets.splitting import Places, divide
from colearn_learner.errors import InvalidArgument, NotEnoughData

SEEDS = st.integers(0, 2**64)
ALPHAS = st.floats(1e-6, 1e6)


@st.composite
def fractions(draw: Any, *, least: int = 1, most: int = 8, whole: bool = True) -> tuple[float, ...]:
    weights = draw(st.lists(st.integers(1, 1000), min_size=least, max_size=most))
    total = sum(weights) if whole else sum(weights) + draw(st.integers(1, 1000))
    return tuple(weight / total for weight in weights)


@st.composite
def divisions(draw: Any) -> Division:
    how = draw(st.sampled_from(["iid", "label-skew", "by-size"]))
    sizes = draw(fractions()) if how == "by-size" else None
    return Division(
        len(sizes) if sizes else draw(st.integers(1, 8)),
        how,
        alpha=draw(ALPHAS),
        fractions=sizes,
        parts=draw(fractions(least=3, most=3)),
        seed=draw(SEEDS),
        least=draw(st.integers(1, 3)),
    )


@st.composite
def targets(draw: Any) -> tuple[Any, str]:
    n, classes = draw(st.integers(1, 400)), draw(st.integers(1, 10))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        return rng.integers(0, classes, n), "classification"
    return rng.normal(size=n), "regression"


def list_places(places: tuple[Places, ...]) -> list[int]:
    return [int(i) for mine in places for part in mine for i in part]


def divide_if_enough(given_targets: tuple[Any, Any], division: Division) -> tuple[Places, ...]:
    try:
        return divide(*given_targets, division)
    except NotEnoughData:
        assume(False)
        raise


@given(targets(), divisions())
def test_every_record_goes_to_one_part_of_one_learner(given_targets, division):
    places = divide_if_enough(given_targets, division)
    assert len(places) == division.n_learners
    assert sorted(list_places(places)) == list(range(len(given_targets[0])))


@given(targets(), divisions())
def test_every_part_has_the_least_number_of_records(given_targets, division):
    for mine in divide_if_enough(given_targets, division):
        assert min(len(part) for part in mine) >= division.least


@given(targets(), divisions())
def test_parts_have_the_requested_sizes(given_targets, division):
    for mine in divide_if_enough(given_targets, division):
        total = sum(len(part) for part in mine)
        asked = [fraction * total for fraction in division.parts]
        if min(asked) >= division.least + 1:  # otherwise the minimum size decides
            assert all(abs(len(part) - size) <= 1 for part, size in zip(mine, asked, strict=True))


@given(targets(), divisions())
def test_equal_seeds_give_equal_parts(given_targets, division):
    once, again = (
        divide_if_enough(given_targets, division),
        divide_if_enough(given_targets, division),
    )
    assert list_places(once) == list_places(again)


@pytest.mark.parametrize("how", ["iid", "label-skew", "by-size"])
def test_different_seeds_give_different_parts(how):
    wine = dataset("wine").load().targets
    sizes = (0.5, 0.5) if how == "by-size" else None
    once, other = (
        divide(wine, "classification", Division(2, how, fractions=sizes, seed=seed))
        for seed in (1, 2)
    )
    assert list_places(once) != list_places(other)


@given(st.integers(1, 500), st.integers(1, 12))
def test_iid_shares_differ_by_one_record_at_most(n, n_learners):
    assume(n >= 3 * n_learners)
    places = divide(np.zeros(n, int), "classification", Division(n_learners))
    sizes = [sum(len(part) for part in mine) for mine in places]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("how", ["iid", "by-size"])
def test_records_are_shuffled_before_division(how):
    """Files are often sorted by class."""
    ordered = np.repeat(np.arange(4), 50)
    sizes = (0.25,) * 4 if how == "by-size" else None
    for mine in divide(ordered, "classification", Division(4, how, fractions=sizes)):
        assert set(ordered[mine.train]) == {0, 1, 2, 3}


@given(st.integers(1, 5000), fractions())
def test_shares_by_size_differ_by_at_most_one_record(n, sizes):
    division = Division(len(sizes), "by-size", fractions=sizes)
    places = divide_if_enough((np.zeros(n, int), "classification"), division)
    for mine, fraction in zip(places, sizes, strict=True):
        assert abs(sum(len(part) for part in mine) - fraction * n) <= 1


@given(st.integers(30, 1000), fractions(whole=False))
def test_records_are_dropped_only_on_request(n, sizes):
    with pytest.raises(InvalidArgument, match="would be lost"):
        Division(len(sizes), "by-size", fractions=sizes)
    division = Division(len(sizes), "by-size", fractions=sizes, drop_rest=True)
    used = list_places(divide_if_enough((np.zeros(n, int), "classification"), division))
    assert len(set(used)) == len(used)
    assert abs(len(used) - math.fsum(sizes) * n) <= 1


def measure_unevenness(alpha: float) -> float:
    """Return the mean share of a class that its largest owner has, on digits, over ten seeds."""
    digits = dataset("digits").load().targets
    largest = []
    for seed in range(10):
        places = divide(digits, "classification", Division(5, "label-skew", alpha, seed=seed))
        owned = [np.concatenate(mine) for mine in places]
        counts = np.array([np.bincount(digits[mine], minlength=10) for mine in owned])
        largest.append((counts / counts.sum(axis=0)).max(axis=0).mean())
    return float(np.mean(largest))


def test_smaller_alpha_is_less_even():
    even, uneven, extreme = (measure_unevenness(alpha) for alpha in (100.0, 0.5, 0.01))
    assert 0.2 < even < 0.25  # almost one in five
    assert even + 0.2 < uneven < extreme - 0.2
    assert extreme > 0.9


def test_regression_is_skewed_by_quarters_of_its_targets():
    targets_ = dataset("diabetes").load().targets
    places = divide(targets_, "regression", Division(4, "label-skew", 0.05))
    middles = [float(np.median(targets_[np.concatenate(mine)])) for mine in places]
    assert max(middles) - min(middles) > np.std(targets_)


@pytest.mark.parametrize(
    ("n", "division", "message"),
    [
        (14, Division(5), "14 records are too few for 5 learners.*at most 4 learners"),
        (20, Division(1, least=7), "at most 0 learners"),
        (100, Division(2, "by-size", fractions=(0.99, 0.01)), "learner 1 would have 1 of 100"),
    ],
)
def test_too_few_records_error_suggests_a_remedy(n, division, message):
    with pytest.raises(NotEnoughData, match=message):
        divide(np.zeros(n, int), "classification", division)


@given(st.integers(1, 6), st.integers(1, 4), SEEDS, ALPHAS)
@settings(max_examples=50)
def test_stated_minimum_of_records_suffices(n_learners, least, seed, alpha):
    n = 3 * n_learners * least
    division = Division(n_learners, "label-skew", alpha, seed=seed, least=least)
    places = divide(np.zeros(n, int), "classification", division)
    assert {len(part) for mine in places for part in mine} == {least}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_learners": 0}, "n_learners is 0"),
        ({"n_learners": 2.0}, "n_learners is 2.0"),
        ({"n_learners": True}, "n_learners is True"),
        ({"how": "fair"}, "choose from iid, label-skew, by-size"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"least": 0}, "least is 0"),
        ({"parts": (0.5, 0.5)}, "three fractions"),
        ({"parts": (0.5, 0.2, 0.2)}, "whose sum is 1"),
        ({"parts": (0.8, 0.2, 0.0)}, "above 0"),
        ({"parts": (0.8, 0.2, 0.2)}, "must not be more than 1"),
        ({"fractions": (0.5, 0.5)}, "needs fractions, and no other"),
        ({"how": "by-size"}, "needs fractions, and no other"),
        ({"how": "by-size", "fractions": (0.5, 0.3, 0.2)}, "3 fractions for 2 learners"),
        ({"how": "by-size", "fractions": (1.5, -0.5)}, "above 0"),
        ({"how": "by-size", "fractions": (math.inf, 0.5)}, "above 0"),
        ({"how": "by-size", "fractions": ()}, "above 0"),
    ],
)
def test_invalid_division_is_refused(wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        Division(**{"n_learners": 2, **wrong})


# ------------------------------------------------------------------ the ancestor's function


@given(st.lists(st.integers(), max_size=300), fractions())
def test_fractions_with_sum_one_use_every_record(records, sizes):
    parts = split_list_into_fractions(records, list(sizes), min_part_size=0)
    assert [record for part in parts for record in part] == records
    assert len(parts) == len(sizes)


@pytest.mark.parametrize("sizes", [[0.1] * 10, [0.7, 0.2, 0.1], [0.9, 0.05, 0.05], [1 / 3] * 3])
@pytest.mark.parametrize("n", [99, 100, 101, 1797])
def test_rounding_of_decimal_fractions_loses_no_record(sizes, n):
    parts = split_list_into_fractions(np.arange(n), sizes)
    assert np.array_equal(np.concatenate(parts), np.arange(n))
    assert all(abs(len(part) - f * n) <= 1 for part, f in zip(parts, sizes, strict=True))


@pytest.mark.parametrize("kind", [list, np.array])
def test_parts_are_consecutive_slices_of_the_given_kind(kind):
    parts = split_list_into_fractions(kind(range(40)), [0.25] * 4)
    assert all(type(part) is type(kind([])) for part in parts)
    assert [[int(n) for n in part] for part in parts] == [
        list(range(start, start + 10)) for start in (0, 10, 20, 30)
    ]


def test_records_left_over_are_reported(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert split_list_into_fractions("abcdefghij", [0.5, 0.2]) == ["abcde", "fg"]
    assert "the last 3 of 10 records are in no part" in caplog.text


def test_too_small_parts_and_invalid_fractions_are_refused():
    with pytest.raises(NotEnoughData, match="Insufficient data in this part: part 1 would have 1"):
        split_list_into_fractions(list(range(10)), [0.9, 0.1], min_part_size=2)
    with pytest.raises(NotEnoughData, match="part 0 would have 0 of 0"):
        split_list_into_fractions([], [1.0])
    with pytest.raises(InvalidArgument, match="more than 1"):
        split_list_into_fractions([1, 2, 3], [0.9, 0.9])
    with pytest.raises(InvalidArgument, match="above 0"):
        split_list_into_fractions([1, 2, 3], [1.1, -0.1])
