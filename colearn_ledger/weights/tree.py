"""Weights as a tree of lists, tuples and dicts over leaves, and the names of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from colearn_ledger.weights.errors import (
    CorruptStructure,
    InvalidTensor,
    UnsupportedWeights,
    shown,
)

Array: TypeAlias = npt.NDArray[Any]
WeightsTree: TypeAlias = (
    "Array | np.generic | bool | int | float | str | bytes | bytearray"
    " | Sequence[WeightsTree] | Mapping[str, WeightsTree] | None"
)
"""Lists, tuples and dicts (string keys) of arrays, scalars, bytes, strings and None."""

MAX_DEPTH = 64
"""Deepest nesting of lists and dicts."""

FIXED_LEAVES = {"bool": "BOOL", "int": "I64", "float": "F64"}
"""Python scalars, each stored as a 0-d tensor of this data type."""

VARIABLE_LEAVES = ("bytes", "str")
"""Leaf types stored as a U8 tensor of shape [length]; a schema leaves the length open."""

_LEAVES = ("array", "scalar", *FIXED_LEAVES, *VARIABLE_LEAVES, "none")
_BRANCHES = ("list", "tuple", "dict")
_ROOT = "weights"
_RESERVED = "__metadata__"


@dataclass(frozen=True, slots=True)
class Node:
    """A node in the tree.

    Args:
        kind: ``list``, ``tuple``, ``dict`` or the kind of leaf.
        children: key and node of each child, in order; the keys of lists are 0, 1, 2 ….
    """

    kind: str
    children: tuple[tuple[str, Node], ...] = ()

    def leaves(self) -> Iterator[tuple[str, str]]:
        """Yield the name and kind of every leaf that has a tensor, in order."""
        for path, node in self._walk(()):
            if node.kind not in (*_BRANCHES, "none"):
                yield _name(path), node.kind

    def build(self, tensors: Mapping[str, Array]) -> Any:
        """Return the tree, with each leaf made from the tensor of its name."""
        return self._build((), tensors)

    def to_json(self) -> Any:
        """Return the structure as JSON values."""
        if self.kind == "dict":
            return {"dict": [[key, node.to_json()] for key, node in self.children]}
        if self.kind in _BRANCHES:
            return {self.kind: [node.to_json() for _, node in self.children]}
        return self.kind

    @classmethod
    def from_json(cls, value: Any, *, depth: int = 0) -> Node:
        """Return a structure from the JSON values that `to_json` returned.

        Raises:
            CorruptStructure: it is malformed, nests deeper than `MAX_DEPTH` or repeats a key.
        """
        if isinstance(value, str) and value in _LEAVES:
            return cls(value)
        if depth >= MAX_DEPTH:
            raise CorruptStructure(f"the weights are nested deeper than {MAX_DEPTH} levels")
        if not isinstance(value, dict) or len(value) != 1:
            raise CorruptStructure(f"not a node of a structure: {shown(value)}")
        [(kind, items)] = value.items()
        if kind not in _BRANCHES or not isinstance(items, list):
            raise CorruptStructure(f"not a node of a structure: {shown(value)}")
        pairs = [_pair(item) for item in items] if kind == "dict" else _numbered(items)
        if len({key for key, _ in pairs}) != len(pairs):
            raise CorruptStructure("a dict of the structure has a key twice")
        return cls(kind, tuple((key, cls.from_json(v, depth=depth + 1)) for key, v in pairs))

    def _walk(self, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Node]]:
        yield path, self
        for key, node in self.children:
            yield from node._walk((*path, key))

    def _build(self, path: tuple[str, ...], tensors: Mapping[str, Array]) -> Any:
        if self.kind in _BRANCHES:
            items = [(key, node._build((*path, key), tensors)) for key, node in self.children]
            if self.kind == "dict":
                return dict(items)
            return [v for _, v in items] if self.kind == "list" else tuple(v for _, v in items)
        if self.kind == "none":
            return None
        name = _name(path)
        return make_leaf(self.kind, name, tensors[name])


def flatten(weights: WeightsTree) -> tuple[Node, dict[str, Array]]:
    """Return a tree's structure and its tensors by name; arrays are not copied.

    Raises:
        UnsupportedWeights: a type is not supported, or the nesting is circular or deeper than
            `MAX_DEPTH`.
    """
    tensors: dict[str, Array] = {}
    return _flatten(weights, (), tensors), tensors


def make_leaf(kind: str, name: str, tensor: Array) -> Any:
    """Return a leaf of this kind from its tensor.

    Raises:
        InvalidTensor: a string is not UTF-8.
    """
    makers: dict[str, Callable[[], Any]] = {
        "array": lambda: tensor,
        "scalar": lambda: tensor[()],
        "bytes": tensor.tobytes,
        "str": lambda: tensor.tobytes().decode("utf-8"),
    }
    try:
        return makers.get(kind, tensor.item)()
    except UnicodeDecodeError as error:
        raise InvalidTensor(f"the string {shown(name)} is not UTF-8") from error


def _flatten(value: Any, path: tuple[str, ...], tensors: dict[str, Array]) -> Node:
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise UnsupportedWeights(
                f"{_place(path)} has the key {shown(bad[0])}; keys of dicts must be strings"
            )
        pairs = [(str(key), child) for key, child in value.items()]
        return _branch("dict", pairs, path, tensors)
    if isinstance(value, list):
        return _branch("list", _numbered(value), path, tensors)
    if type(value) is tuple:
        return _branch("tuple", _numbered(value), path, tensors)
    if value is None:
        return Node("none")
    kind, tensor = _tensor(value, path)
    tensors[_name(path)] = tensor
    return Node(kind)


def _branch(
    kind: str,
    pairs: Sequence[tuple[str, Any]],
    path: tuple[str, ...],
    tensors: dict[str, Array],
) -> Node:
    if len(path) >= MAX_DEPTH:
        raise UnsupportedWeights(
            f"the weights are nested deeper than {MAX_DEPTH} levels, or contain themselves"
        )
    return Node(kind, tuple((k, _flatten(v, (*path, k), tensors)) for k, v in pairs))


def _tensor(value: Any, path: tuple[str, ...]) -> tuple[str, Array]:
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        return "array", value
    if isinstance(value, np.generic):
        return "scalar", np.asarray(value)
    if isinstance(value, bool):
        return "bool", np.array(value, np.bool_)
    if isinstance(value, float):
        return "float", np.array(value, np.float64)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise UnsupportedWeights(f"{_place(path)} is an integer beyond 64 bits")
        return "int", np.array(value, np.int64)
    if isinstance(value, bytes | bytearray):
        return "bytes", np.frombuffer(bytes(value), np.uint8)
    if isinstance(value, str):
        try:
            return "str", np.frombuffer(value.encode("utf-8"), np.uint8)
        except UnicodeEncodeError as error:
            raise UnsupportedWeights(
                f"{_place(path)} is a string that UTF-8 cannot encode"
            ) from error
    raise UnsupportedWeights(
        f"{_place(path)} is a {type(value).__name__}; weights are lists, tuples and dicts of numpy "
        "arrays, numbers, bytes, strings and None: convert it to one of these"
    )


def _pair(item: Any) -> tuple[str, Any]:
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str):
        raise CorruptStructure(f"not a key and a node: {shown(item)}")
    return item[0], item[1]


def _numbered(items: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(str(index), item) for index, item in enumerate(items)]


def _name(path: tuple[str, ...]) -> str:
    """Return a leaf's tensor name: its keys joined by ``/``, escaped to keep names unique."""
    if not path:
        return _ROOT
    name = "/".join(key.replace("~", "~0").replace("/", "~1") for key in path)
    return "~" + name if name == _RESERVED else name


def _place(path: tuple[str, ...]) -> str:
    return shown(_name(path))
