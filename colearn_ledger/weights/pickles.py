"""Refuse weights that contain pickled objects, or that are empty.

Our file format never runs code. But a learner may publish arbitrary bytes as weights, and if an
honest learner unpickled them, it would run code chosen by a stranger.

The check finds pickles in plain bytes, strings and byte arrays, and those that ``torch.save`` and
``numpy.save`` write. It does not look into compressed or encoded data. It protects honest users of
a dangerous format and does not replace a sandbox.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from colearn_ledger.weights.errors import EmptyWeights, PickledWeights, shown

_IMPORTS = {"GLOBAL", "INST", "STACK_GLOBAL"}
"""Opcodes that import the objects that the pickle names."""

_ENOUGH = 10_000
"""Number of opcodes after which data cannot look like a pickle merely by chance."""

_HEAD = 256
"""Number of bytes at the start of a file that identify its content."""


def check_no_pickle(weights: Any) -> None:
    """Refuse weights that contain pickled objects.

    Args:
        weights: a tree of lists, tuples and dicts.

    Raises:
        PickledWeights: a leaf is a pickle; the message names the leaf.
    """
    for path, leaf in _leaves(weights):
        data = _bytes_of(leaf)
        if data is not None and is_pickle(data):
            where = f"the entry {shown('/'.join(path))} of the weights" if path else "the weights"
            raise PickledWeights(
                f"{where} contain a pickle, and reading a stranger's pickle runs the stranger's "
                "code; return numpy arrays, numbers, strings or bytes of a safe format instead"
            )


def check_initial_weights(weights: Any) -> None:
    """Refuse weights that no experiment can start from.

    Bytes and strings may be empty because they can grow: a forest starts without trees.

    Args:
        weights: a tree of lists, tuples and dicts.

    Raises:
        EmptyWeights: the weights are None, or no leaf has a value.
        PickledWeights: a leaf is a pickle.
    """
    if all(leaf is None or _is_empty_array(leaf) for _, leaf in _leaves(weights)):
        found = "None" if weights is None else f"an empty {type(weights).__name__}"
        raise EmptyWeights(
            f"the initial weights are {found}, so there is nothing to train; let "
            "mli_get_current_weights return the arrays of the model"
        )
    check_no_pickle(weights)


def is_pickle(data: bytes) -> bool:
    """Return whether bytes are a pickle, or a torch or numpy file that contains one."""
    head = data[:_HEAD]
    if head.startswith(b"PK\x03\x04") and b"data.pkl" in head:
        return True
    if head.startswith(b"\x93NUMPY") and b"'|O'" in head:
        return True
    # protocols 0 and 1 have no header, so that short text may look like them by chance
    has_header = len(data) > 1 and data[0] == 0x80 and data[1] in range(2, 6)
    imports = False
    try:
        for operation, _, _ in islice(pickletools.genops(data), _ENOUGH):
            imports = imports or operation.name in _IMPORTS
    except Exception:  # noqa: BLE001 - genops raises many kinds for bytes that are not a pickle
        return False
    return has_header or imports


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, Mapping):
        for key, item in tree.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(tree, list | tuple):
        for index, item in enumerate(tree):
            yield from _leaves(item, (*path, str(index)))
    else:
        yield path, tree


def _bytes_of(leaf: Any) -> bytes | None:
    if isinstance(leaf, bytes | bytearray | memoryview):
        return bytes(leaf)
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogatepass")
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "iuS" and leaf.nbytes == leaf.size:
        return leaf.tobytes()
    return None


def _is_empty_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.size == 0
