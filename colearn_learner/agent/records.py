"""Keep a record of how much each learner's proposals improved the current weights.

A single proposal that improves the mean of all can score worse on a learner's own few records than
the current weights, and a harmful one can score better. Over several rounds the difference shows. A
voter therefore adds up what a learner's proposals gained in the rounds so far, and counts older
rounds less. It tests a part of each step instead of the whole, because a proposal is only a part of
the mean too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

import numpy as np

from colearn_ledger.weights.tree import WeightsTree, flatten

_PART = 0.25
"""The tested part of the step from the current weights to a proposal that is not far off."""

_NEAR, _FAR = 2.0, 3.5
"""Beyond the first multiple of the median distance, more is tested too; from the second, all."""

_DECAY = 0.8
"""Weight of a round's gains in the record of the next round."""

_Key = TypeVar("_Key", bound=Hashable)


def choose_parts(reach: float) -> tuple[float, ...]:
    """Return the parts of the step to a proposal that are tested; the smallest gain counts.

    A proposal that is much further away than the median one also has to be good further along,
    because it moves the mean further.

    Args:
        reach: its distance from the current weights, in units of the median distance.
    """
    excess = (reach - _NEAR) / (_FAR - _NEAR)
    return (_PART, min(1.0, _PART + (1 - _PART) * excess)) if excess > 0 else (_PART,)


def move_partly(current: WeightsTree, proposal: WeightsTree, part: float) -> WeightsTree:
    """Return the weights after a part of the step from the current ones to a proposal.

    Tensors that are not floating are the proposal's.

    Raises:
        UnsupportedWeights: the format does not support these weights.
    """
    start = flatten(current)[1]
    structure, tensors = flatten(proposal)
    moved = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "biu":
            ends = start[name].astype(np.float64), tensor.astype(np.float64)
            moved[name] = ((1 - part) * ends[0] + part * ends[1]).astype(tensor.dtype)
    weights: WeightsTree = structure.build(moved)
    return weights


def limit_gains(gains: Mapping[_Key, float]) -> dict[_Key, float]:
    """Return a round's gains in units of their median size, at least -1 and at most 1.

    A gain that is not finite counts as -1.
    """
    sizes = [abs(gain) for gain in gains.values() if math.isfinite(gain)]
    unit = statistics.median(sizes) if sizes else 0.0
    limited = {}
    for key, gain in gains.items():
        if not math.isfinite(gain):
            limited[key] = -1.0
        else:
            limited[key] = max(-1.0, min(gain / unit, 1.0)) if unit > 0 else 0.0
    return limited


def add_gain(record: float, gain: float) -> float:
    """Return a record after another round in which the learner proposed."""
    return _DECAY * record + gain


def compute_records(rounds: Iterable[Mapping[_Key, float]]) -> dict[_Key, float]:
    """Return each proposer's record.

    Args:
        rounds: each round's limited gains by proposer, oldest first.
    """
    records: dict[_Key, float] = {}
    for gains in rounds:
        for key, gain in gains.items():
            records[key] = add_gain(records.get(key, 0.0), gain)
    return records
