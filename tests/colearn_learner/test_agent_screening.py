"""Proposals that are too far from the current weights."""

from __future__ import annotations

import math

import pytest

from colearn_learner.agent.screening import find_distant


@pytest.mark.parametrize(
    ("distances", "distant"),
    [
        ({0: 1.0, 1: 1.0, 2: 5.0}, set()),
        ({0: 1.0, 1: 1.0, 2: 5.1}, {2}),
        ({0: 1.0, 3: 2.0, 5: 3.0, 6: 12.6}, {6}),
        ({0: 1.0, 1: 1.0, 2: math.inf}, {2}),
        ({0: 1.0, 1: 100.0}, set()),
        ({}, set()),
    ],
    ids=["at the limit", "beyond", "even number", "not finite", "too few", "none"],
)
def test_distances_beyond_a_multiple_of_the_median_are_found(distances, distant):
    assert find_distant(distances, 5.0) == distant
