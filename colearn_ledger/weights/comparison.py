"""Compare weights with each other, tensor by tensor."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from colearn_ledger.text.strict_json import dump
from colearn_ledger.weights.tensorfile import data_of, dtype_code
from colearn_ledger.weights.tree import WeightsTree, flatten

_RANGE = 2**18
"""Number of elements that are converted at once."""


def hash_tensors(weights: WeightsTree) -> bytes:
    """Return a 32-byte hash over the structure and the bits of all tensors, without the header.

    Raises:
        UnsupportedWeights: the format does not support these weights.
    """
    structure, tensors = flatten(weights)
    hasher = hashlib.sha256(dump(structure.to_json()))
    for name in sorted(tensors):
        array = tensors[name]
        place = [name, dtype_code(array, name), list(array.shape)]
        hasher.update(dump(place))
        hasher.update(data_of(array))
    return hasher.digest()


def measure_distance(weights: WeightsTree, others: WeightsTree) -> float:
    """Return the L2 distance between weights of the same schema, over all floating tensors.

    Raises:
        UnsupportedWeights: the format does not support these weights.
    """
    tensors, other_tensors = flatten(weights)[1], flatten(others)[1]
    total = 0.0
    with np.errstate(all="ignore"):
        for name, array in tensors.items():
            if array.dtype.kind in "biu":
                continue
            one, other = array.reshape(-1), other_tensors[name].reshape(-1)
            for start in range(0, one.size, _RANGE):
                part = slice(start, start + _RANGE)
                difference = one[part].astype(np.float64) - other[part].astype(np.float64)
                total += float(np.dot(difference, difference))
    return math.sqrt(total)
