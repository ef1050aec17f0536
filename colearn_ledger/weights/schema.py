"""The schema of an experiment's weights: structure, tensors and largest file size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colearn_ledger.weights.errors import (
    CorruptStructure,
    InvalidSchema,
    MismatchedWeights,
    shown,
)
from colearn_ledger.weights.tensorfile import (
    DTYPES,
    MAX_DIMENSIONS,
    MAX_HEADER,
    TensorSpec,
    specs_of,
)
from colearn_ledger.weights.tree import (
    FIXED_LEAVES,
    VARIABLE_LEAVES,
    Node,
    WeightsTree,
    flatten,
)

_VARIABLE = TensorSpec("U8", (None,))


@dataclass(frozen=True, slots=True)
class WeightsSchema:
    """Describe the weights of an experiment.

    Args:
        structure: the tree of lists and dicts.
        tensors: data type and shape by name; the length of bytes and strings is left open.
        max_bytes: the largest size of a file of such weights, in bytes.

    Raises:
        InvalidSchema: the three fields contradict each other.
    """

    structure: Node
    tensors: Mapping[str, TensorSpec]
    max_bytes: int

    def __post_init__(self) -> None:
        """Check that the fields are consistent."""
        try:
            check_leaves(self.structure, self.tensors)
        except CorruptStructure as error:
            raise InvalidSchema(f"the schema contradicts itself: {error}") from error
        if type(self.max_bytes) is not int or not 1 <= self.max_bytes < 2**63:
            raise InvalidSchema("max_bytes is not a whole number from 1 to 2^63 - 1")
        if (least := _bytes_of(self.tensors)) > self.max_bytes:
            raise InvalidSchema(f"the tensors alone take {least} bytes, above max_bytes")

    @classmethod
    def of(cls, weights: WeightsTree, *, max_bytes: int | None = None) -> WeightsSchema:
        """Return the schema of an example of the weights.

        Args:
            weights: the example.
            max_bytes: the largest size of a file. The default allows for the tensors plus the
                largest header, with bytes and strings of up to four times their length in the
                example. Pass a limit if they may grow further.

        Raises:
            UnsupportedWeights: the format does not support these weights.
        """
        structure, arrays = flatten(weights)
        tensors = specs_of(arrays)
        kinds = dict(structure.leaves())
        variable = {n for n in tensors if kinds[n] in VARIABLE_LEAVES}
        if max_bytes is None:
            growth = 3 * sum(arrays[name].nbytes for name in variable)
            max_bytes = _bytes_of(tensors) + growth + MAX_HEADER + 8
        opened = {n: _VARIABLE if n in variable else spec for n, spec in tensors.items()}
        return cls(structure, opened, max_bytes)

    @property
    def can_average(self) -> bool:
        """Return whether the mean of several such weights makes sense.

        It does not for bytes and strings, which learners of trees use, or without any tensor of a
        floating data type: the mean would be the lowest slot's weights.
        """
        kinds = {kind for _, kind in self.structure.leaves()}
        floating = any(DTYPES[spec.dtype].kind not in "biu" for spec in self.tensors.values())
        return floating and not kinds.intersection(VARIABLE_LEAVES)

    def check(self, structure: Node, tensors: Mapping[str, TensorSpec]) -> None:
        """Compare weights with this schema.

        Raises:
            MismatchedWeights: the weights differ; the message names the first such tensor.
        """
        kinds = dict(structure.leaves())
        for name, kind in self.structure.leaves():
            if name not in tensors:
                raise MismatchedWeights(f"the tensor {shown(name)} is missing")
            if kinds[name] != kind:
                raise MismatchedWeights(
                    f"{shown(name)} is {kinds[name]}, the schema requires {kind}"
                )
            _compare(name, tensors[name], self.tensors[name])
        for name in kinds:
            if name not in self.tensors:
                raise MismatchedWeights(f"the tensor {shown(name)} is not in the schema")
        if structure != self.structure:
            raise MismatchedWeights(
                "the tensors are those of the schema, but the lists and dicts around them differ"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON values."""
        tensors = {
            name: {"dtype": spec.dtype, "shape": list(spec.shape)}
            for name, spec in self.tensors.items()
        }
        return {
            "max_bytes": self.max_bytes,
            "structure": self.structure.to_json(),
            "tensors": tensors,
        }

    @classmethod
    def from_json(cls, value: Any) -> WeightsSchema:
        """Return the schema from the JSON values that `to_json` returned.

        Raises:
            InvalidSchema: the value does not describe a schema.
        """
        if not isinstance(value, dict) or set(value) != {"max_bytes", "structure", "tensors"}:
            raise InvalidSchema("a schema has exactly max_bytes, structure and tensors")
        if not isinstance(value["tensors"], dict):
            raise InvalidSchema("the schema's tensors are not an object")
        try:
            structure = Node.from_json(value["structure"])
        except CorruptStructure as error:
            raise InvalidSchema(f"the schema's structure is malformed: {error}") from error
        tensors = {name: _spec(name, entry) for name, entry in value["tensors"].items()}
        return cls(structure, tensors, value["max_bytes"])


def check_leaves(structure: Node, tensors: Mapping[str, TensorSpec]) -> None:
    """Check that a structure's leaves and the tensors correspond one to one.

    Raises:
        CorruptStructure: a tensor is missing, superfluous or not of its leaf's type.
    """
    leaves = dict(structure.leaves())
    if missing := [name for name in leaves if name not in tensors]:
        raise CorruptStructure(f"the structure names {shown(missing[0])}, which is not a tensor")
    if extra := [name for name in tensors if name not in leaves]:
        raise CorruptStructure(f"the tensor {shown(extra[0])} has no place in the structure")
    for name, kind in leaves.items():
        spec = tensors[name]
        fixed = kind in FIXED_LEAVES and spec == TensorSpec(FIXED_LEAVES[kind], ())
        variable = kind in VARIABLE_LEAVES and spec.dtype == "U8" and len(spec.shape) == 1
        scalar = kind == "scalar" and spec.shape == ()
        if not (fixed or variable or scalar or kind == "array"):
            raise CorruptStructure(f"{shown(name)} cannot be a {kind}: it is {_described(spec)}")


def _compare(name: str, given: TensorSpec, expected: TensorSpec) -> None:
    fits = len(given.shape) == len(expected.shape) and all(
        e is None or g == e for g, e in zip(given.shape, expected.shape, strict=True)
    )
    if given.dtype != expected.dtype or not fits:
        raise MismatchedWeights(
            f"{shown(name)} is {_described(given)}, the schema requires {_described(expected)}"
        )


def _spec(name: str, entry: Any) -> TensorSpec:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape"}:
        raise InvalidSchema(f"the schema's entry of {shown(name)} is not dtype and shape")
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise InvalidSchema(f"{shown(name)} has the unknown data type {shown(dtype)}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise InvalidSchema(f"{shown(name)} has the impossible shape {shown(shape)}")
    lengths = [n for n in shape if n is not None]
    if any(type(n) is not int or not 0 <= n < 2**63 for n in lengths):
        raise InvalidSchema(f"{shown(name)} has the impossible shape {shown(shape)}")
    return TensorSpec(dtype, tuple(shape))


def _bytes_of(tensors: Mapping[str, TensorSpec]) -> int:
    """Return the smallest number of bytes that the tensors can take."""
    return sum(spec.nbytes for spec in tensors.values())


def _described(spec: TensorSpec) -> str:
    return f"{spec.dtype} {shown(list(spec.shape))}"
