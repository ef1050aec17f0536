"""Distances of proposals from the current weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from colearn_learner.agent.screening import measure_reach


@pytest.mark.parametrize(
    ("distances", "reach"),
    [
        ({0: 1.0, 1: 1.0, 2: 5.0}, {0: 1.0, 1: 1.0, 2: 5.0}),
        ({0: 1.0, 3: 2.0, 5: 3.0, 6: 10.0}, {0: 0.4, 3: 0.8, 5: 1.2, 6: 4.0}),
        ({0: 1.0, 1: 2.0, 2: math.inf}, {0: 0.5, 1: 1.0, 2: math.inf}),
        ({0: 0.0, 1: 0.0, 2: 2.0}, {0: 0.0, 1: 0.0, 2: math.inf}),
        ({0: 1.0, 1: 100.0}, {}),
        ({}, {}),
    ],
    ids=["odd number", "even number", "not finite", "median of 0", "too few", "none"],
)
def test_distances_are_in_units_of_their_median(distances, reach):
    measured = measure_reach(distances)
    assert list(measured) == list(reach)
    assert np.array_equal(list(measured.values()), list(reach.values()), equal_nan=True)
