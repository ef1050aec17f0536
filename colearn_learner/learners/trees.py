"""Checks of trees and other parts of weights from strangers.

The libraries traverse trees in compiled code without checks. A child out of range would make them
read invalid memory, and a cycle would make them loop endlessly. So each tree is checked before a
library gets it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_learner.errors import InvalidArgument, WeightsMismatch

LEAF = -1
"""The child number in a node without children."""

_Ints = NDArray[np.integer[Any]]


def check_tree(left: _Ints, right: _Ints, feature: _Ints, *, features: int, what: str) -> None:
    """Check that nodes are one binary tree whose root is node 0 and whose children come later.

    Args:
        left: number of each node's left child, or `LEAF`; shape (nodes,).
        right: number of each node's right child, or `LEAF`; shape (nodes,).
        feature: number of the input that each inner node compares; shape (nodes,).
        features: the number of inputs.
        what: name of the tree, for the error message.

    Raises:
        WeightsMismatch: the nodes are not such a tree; the message contains the reason.
    """
    if not len(left) or not len(left) == len(right) == len(feature):
        raise WeightsMismatch(f"{what} has no nodes, or its parts differ in length")
    inner = np.flatnonzero(left != LEAF)
    if not np.array_equal(inner, np.flatnonzero(right != LEAF)):
        raise WeightsMismatch(f"{what} has a node with one child")
    children = np.concatenate([left[inner], right[inner]])
    if children.size and not (children.min() > 0 and children.max() < len(left)):
        raise WeightsMismatch(f"{what} has a child that is not one of its {len(left)} nodes")
    if not (children > np.concatenate([inner, inner])).all():
        raise WeightsMismatch(f"{what} has a cycle: a child comes before its parent")
    if len(np.unique(children)) != len(children) or len(children) != len(left) - 1:
        raise WeightsMismatch(f"{what} has a node that is not the child of exactly one other node")
    if inner.size and not (feature[inner].min() >= 0 and feature[inner].max() < features):
        raise WeightsMismatch(f"{what} looks at an input that is not one of the {features}")


def depth_of(left: _Ints, right: _Ints) -> int:
    """Return the largest number of steps from the root of a checked tree to a leaf."""
    depths = np.zeros(len(left), np.int64)
    for node in np.flatnonzero(left != LEAF):  # parents come before their children
        depths[[left[node], right[node]]] = depths[node] + 1
    return int(depths.max())


def read_bytes(weights: Any, names: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the parts of weights that are a dict of bytes, in the order of ``names``.

    Raises:
        WeightsMismatch: the weights are not a dict of bytes with these names.
    """
    if not isinstance(weights, dict) or set(weights) != set(names):
        raise WeightsMismatch(f"the weights must be a dict of {', '.join(names)}")
    for name in names:
        if not isinstance(weights[name], bytes | bytearray):
            raise WeightsMismatch(f"{name} is a {type(weights[name]).__name__}, not bytes")
    return tuple(bytes(weights[name]) for name in names)


def check_at_least_one(number: int, name: str) -> None:
    """Refuse a number below 1.

    Raises:
        InvalidArgument: the number is below 1.
    """
    if number < 1:
        raise InvalidArgument(f"{name} is {number}; give at least 1")
