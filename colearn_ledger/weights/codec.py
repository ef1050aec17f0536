"""Encode and decode weights as a safetensors file with the tree and a summary in its header.

Decoding runs no code from the file, uses memory in proportion to the file's size, and checks
everything before using it. The same weights always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from colearn_ledger.protocol import ContentRef
from colearn_ledger.text.strict_json import InvalidJson, dump
from colearn_ledger.weights.errors import (
    CorruptHeader,
    NonFiniteWeights,
    OversizedWeights,
    UnknownFormat,
    UnsupportedWeights,
    shown,
)
from colearn_ledger.weights.schema import WeightsSchema, check_leaves
from colearn_ledger.weights.store import ContentStore
from colearn_ledger.weights.tensorfile import TensorFile
from colearn_ledger.weights.tree import Array, Node, WeightsTree, flatten

_VERSION = 1


@dataclass(frozen=True, slots=True)
class DecodedWeights:
    """The contents of a file of weights.

    Args:
        weights: the tree; its arrays are aligned, writable and not shared.
        summary: the training summary from the file.
    """

    weights: Any
    summary: Mapping[str, Any] | None


def encode_weights(weights: WeightsTree, *, summary: Mapping[str, Any] | None = None) -> bytes:
    """Encode weights as a file.

    Decoding restores every value's bits and type, with these exceptions: big-endian arrays return
    in native byte order, bytearrays as bytes, and subclasses of list and dict as list and dict. NaN
    and infinity are written; the reader refuses them.

    Args:
        weights: the tree.
        summary: JSON values about the training, covered by the file's hash.

    Raises:
        UnsupportedWeights: the format does not support a type, a data type or the summary.
    """
    structure, tensors = flatten(weights)
    info = {
        "structure": structure.to_json(),
        "summary": None if summary is None else dict(summary),
        "version": _VERSION,
    }
    try:
        return TensorFile.write(tensors, dump(info))
    except InvalidJson as error:
        raise UnsupportedWeights(f"a key or the summary is not JSON: {error}") from error


def decode_weights(
    data: bytes | bytearray | memoryview,
    *,
    schema: WeightsSchema | None = None,
    allow_non_finite: bool = False,
) -> DecodedWeights:
    """Decode a file of weights.

    Args:
        data: the whole file.
        schema: the schema that the weights must match; ``None`` accepts any weights.
        allow_non_finite: whether to accept NaN and infinity.

    Raises:
        WeightsError: the file is defective; the subclass identifies the defect.
    """
    view = memoryview(data).cast("B")
    if schema is not None and len(view) > schema.max_bytes:
        raise OversizedWeights(
            f"the file has {len(view)} bytes, the schema allows {schema.max_bytes}"
        )
    file = TensorFile.parse(view)
    structure, summary = _read_info(file.info)
    check_leaves(structure, file.tensors)
    if schema is not None:
        schema.check(structure, file.tensors)
    arrays = {name: file.array(name) for name in file.tensors}
    if not allow_non_finite:
        for name, array in arrays.items():
            _check_finite(name, array)
    return DecodedWeights(structure.build(arrays), summary)


def write_weights(
    store: ContentStore, weights: WeightsTree, summary: Mapping[str, Any] | None = None
) -> ContentRef:
    """Store weights and return their reference, without pinning them."""
    return store.put([encode_weights(weights, summary=summary)])


def _read_info(info: Any) -> tuple[Node, Mapping[str, Any] | None]:
    if not isinstance(info, dict) or type(info.get("version")) is not int:
        raise CorruptHeader("the header's metadata has no version")
    if info["version"] != _VERSION:
        raise UnknownFormat(
            f"the weights are in version {shown(info['version'])} of the format, "
            f"this program reads {_VERSION}"
        )
    if set(info) != {"structure", "summary", "version"}:
        raise CorruptHeader("the header's metadata is not structure, summary and version")
    summary = info["summary"]
    if summary is not None and not isinstance(summary, dict):
        raise CorruptHeader("the training summary is not a JSON object")
    return Node.from_json(info["structure"]), summary


def _check_finite(name: str, array: Array) -> None:
    if array.dtype.kind in "biu" or np.isfinite(array).all():
        return
    raise NonFiniteWeights(f"{shown(name)} holds NaN or infinity")
