"""Encode and decode weights as a safetensors file with a header about them.

The header contains the tree, a summary of the training and the sha256 of the weights that the
training started from, its base.

Decoding runs no code from the file, uses memory in proportion to the file's size, and checks
everything before using it. The same weights always give the same bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from colearn_ledger.protocol import ContentRef, InvalidDocument, from_dict, to_dict
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
from colearn_ledger.weights.tensorfile import (
    MAX_HEADER,
    MAX_MERGED_HEADER,
    TensorFile,
    data_of,
    lay_out,
    specs_of,
)
from colearn_ledger.weights.tree import Array, Node, WeightsTree, flatten, make_leaf

_VERSION = 1
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """Describe from which files a merged file was computed.

    Args:
        round: the round in which the files were accepted.
        contents: references of the merged files, in slot order.
    """

    round: int
    contents: tuple[ContentRef, ...]


@dataclass(frozen=True, slots=True)
class DecodedWeights:
    """The contents of a file of weights.

    Args:
        weights: the tree; its arrays are aligned and writable.
        summary: the training summary from the file.
        merged: what the file's header lists as merged, or ``None``. It is a claim: anybody can
            write such a header.
        base: sha256 of the weights that these were trained from, in hexadecimal, or ``None``.
    """

    weights: Any
    summary: Mapping[str, Any] | None
    merged: MergeRecord | None = None
    base: str | None = None


@dataclass(frozen=True, slots=True)
class _Header:
    """The checked JSON document in a file's header."""

    structure: Node
    summary: Mapping[str, Any] | None
    merged: MergeRecord | None
    base: str | None


@dataclass(frozen=True, slots=True)
class EncodedWeights:
    """A file of weights in pieces, which share the memory of the weights where possible.

    Args:
        header: the first piece.
        tensors: the other pieces as arrays.
    """

    header: bytes
    tensors: tuple[Array, ...]

    @property
    def nbytes(self) -> int:
        """Return the size of the file."""
        return len(self.header) + sum(tensor.nbytes for tensor in self.tensors)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        yield self.header
        yield from map(data_of, self.tensors)


def encode_in_pieces(
    weights: WeightsTree, *, summary: Mapping[str, Any] | None = None, base: str | None = None
) -> EncodedWeights:
    """Encode weights as a file in pieces.

    Decoding restores every value's bits and type, with these exceptions: big-endian arrays return
    in native byte order, bytearrays as bytes, and subclasses of list and dict as list and dict. NaN
    and infinity are written; the reader refuses them.

    Args:
        weights: the tree.
        summary: JSON values about the training, covered by the file's hash.
        base: sha256 of the weights that these were trained from, 64 lower-case hexadecimal digits;
            ``None`` if there were none.

    Raises:
        UnsupportedWeights: the format does not support a type, a data type or the summary.
    """
    structure, tensors = flatten(weights)
    info = {
        "structure": structure.to_json(),
        "summary": None if summary is None else dict(summary),
        "version": _VERSION,
    }
    if base is not None:
        info["base"] = base
    try:
        document = dump(info)
    except InvalidJson as error:
        raise UnsupportedWeights(f"a key or the summary is not JSON: {error}") from error
    header, names = lay_out(specs_of(tensors), document)
    return EncodedWeights(header, tuple(tensors[name] for name in names))


def encode_weights(
    weights: WeightsTree, *, summary: Mapping[str, Any] | None = None, base: str | None = None
) -> bytes:
    """Encode weights as a file in memory; see `encode_in_pieces`."""
    return b"".join(encode_in_pieces(weights, summary=summary, base=base))


def check_tree(weights: WeightsTree, schema: WeightsSchema) -> None:
    """Check that weights in memory match a schema; NaN and infinity are allowed.

    Raises:
        UnsupportedWeights: the format does not support a type or a data type.
        MismatchedWeights: the weights differ from the schema.
        OversizedWeights: their file would be larger than the schema allows.
    """
    structure, tensors = flatten(weights)
    schema.check(structure, specs_of(tensors))
    _check_size(encode_in_pieces(weights).nbytes, schema)


def merged_info(structure: Node, merged: MergeRecord) -> bytes:
    """Return the JSON document for the header of a merged file."""
    record = {"contents": [to_dict(content) for content in merged.contents], "round": merged.round}
    info = {
        "merged": record,
        "structure": structure.to_json(),
        "summary": None,
        "version": _VERSION,
    }
    return dump(info)


def decode_weights(
    data: bytes | bytearray | memoryview,
    *,
    schema: WeightsSchema | None = None,
    allow_non_finite: bool = False,
    is_merged: bool = False,
) -> DecodedWeights:
    """Decode a file of weights.

    Args:
        data: the whole file. The arrays share its memory if that is writable, as a bytearray is.
        schema: the schema that the weights must match; ``None`` accepts any weights.
        allow_non_finite: whether to accept NaN and infinity.
        is_merged: whether this program merged the file; the size limits of the files of learners
            do not apply to it.

    Raises:
        WeightsError: the file is defective; the subclass identifies the defect.
    """
    view = memoryview(data).cast("B")
    if not is_merged:
        _check_size(len(view), schema)
    file = TensorFile.parse(view, max_header=MAX_MERGED_HEADER if is_merged else MAX_HEADER)
    header = _read_header(file, schema)
    arrays = {name: file.array(name) for name in file.tensors}
    if not allow_non_finite:
        for name, array in arrays.items():
            check_finite(name, array)
    tree = header.structure.build(arrays)
    return DecodedWeights(tree, header.summary, header.merged, header.base)


def open_weights(file: BinaryIO, schema: WeightsSchema | None) -> tuple[Node, TensorFile]:
    """Open a learner's file of weights whose tensors are to be read one after another.

    All that `decode_weights` checks is checked, except the tensors' values.

    Args:
        file: the file, which has to stay open.
        schema: the schema that the weights must match; ``None`` accepts any weights.

    Raises:
        WeightsError: the file is defective; the subclass identifies the defect.
    """
    _check_size(file.seek(0, os.SEEK_END), schema)
    opened = TensorFile.parse_file(file)
    return _read_header(opened, schema).structure, opened


def check_weights(file: BinaryIO, schema: WeightsSchema | None) -> None:
    """Check a learner's file of weights as `decode_weights` does, without loading it as a whole.

    Raises:
        WeightsError: the file is defective; the subclass identifies the defect.
    """
    structure, opened = open_weights(file, schema)
    for name, kind in structure.leaves():
        if kind == "str":
            make_leaf(kind, name, opened.array(name))
        for start, stop in opened.ranges(name):
            check_finite(name, opened.elements(name, start, stop))


def read_merge_record(file: BinaryIO) -> MergeRecord | None:
    """Return what the header of a file of weights lists as merged; the tensors are not read.

    Raises:
        WeightsError: the header is defective; the subclass identifies the defect.
    """
    opened = TensorFile.parse_file(file, max_header=MAX_MERGED_HEADER)
    return _read_header(opened, None).merged


def check_finite(name: str, array: Array) -> None:
    """Refuse an array of a floating data type that contains NaN or infinity.

    Raises:
        NonFiniteWeights: it does; the message shows the name.
    """
    if array.dtype.kind in "biu" or np.isfinite(array).all():
        return
    raise NonFiniteWeights(f"{shown(name)} holds NaN or infinity")


def write_weights(
    store: ContentStore, weights: WeightsTree, summary: Mapping[str, Any] | None = None
) -> ContentRef:
    """Store weights and return their reference, without pinning them."""
    return store.put(encode_in_pieces(weights, summary=summary))


def _check_size(size: int, schema: WeightsSchema | None) -> None:
    if schema is not None and size > schema.max_bytes:
        raise OversizedWeights(f"the file has {size} bytes, the schema allows {schema.max_bytes}")


def _read_header(file: TensorFile, schema: WeightsSchema | None) -> _Header:
    """Return the header's document, after checking structure and tensors."""
    header = _read_info(file.info)
    check_leaves(header.structure, file.tensors)
    if schema is not None:
        schema.check(header.structure, file.tensors)
    return header


def _read_info(info: Any) -> _Header:
    if not isinstance(info, dict) or type(info.get("version")) is not int:
        raise CorruptHeader("the header's metadata has no version")
    if info["version"] != _VERSION:
        raise UnknownFormat(
            f"the weights are in version {shown(info['version'])} of the format, "
            f"this program reads {_VERSION}"
        )
    if set(info) - {"base", "merged"} != {"structure", "summary", "version"}:
        raise CorruptHeader("the header's metadata is not structure, summary and version")
    summary = info["summary"]
    if summary is not None and not isinstance(summary, dict):
        raise CorruptHeader("the training summary is not a JSON object")
    merged = _read_merge(info["merged"]) if "merged" in info else None
    base = _read_base(info["base"]) if "base" in info else None
    return _Header(Node.from_json(info["structure"]), summary, merged, base)


def _read_base(base: Any) -> str:
    if not isinstance(base, str) or not _SHA256.fullmatch(base):
        raise CorruptHeader("the header's base is not a sha256 of 64 hexadecimal digits")
    return base


def _read_merge(record: Any) -> MergeRecord:
    if not isinstance(record, dict) or set(record) != {"contents", "round"}:
        raise CorruptHeader("the header's record of a merge is not contents and round")
    contents, round_index = record["contents"], record["round"]
    if type(round_index) is not int or round_index < 0 or not isinstance(contents, list):
        raise CorruptHeader("the header's record of a merge has the wrong types")
    try:
        return MergeRecord(round_index, tuple(from_dict(ContentRef, each) for each in contents))
    except InvalidDocument as error:
        raise CorruptHeader(f"the header lists a malformed reference: {error}") from error
