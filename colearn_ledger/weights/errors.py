"""What can be wrong with weights, a class each."""

from __future__ import annotations

from colearn_ledger.protocol import LedgerError

__all__ = [
    "CorruptHeader",
    "CorruptStructure",
    "EmptyWeights",
    "InvalidSchema",
    "InvalidTensor",
    "MismatchedWeights",
    "NonFiniteWeights",
    "OversizedWeights",
    "PickledWeights",
    "TrailingBytes",
    "TruncatedWeights",
    "UnknownFormat",
    "UnsupportedWeights",
    "WeightsError",
    "shown",
]

_SHOWN = 80


class WeightsError(LedgerError):
    """Root of everything that is wrong with weights or their schema."""


class UnsupportedWeights(WeightsError):
    """These weights can not be written: a type, a size or a summary the format does not have."""


class TruncatedWeights(WeightsError):
    """The file ends before its header says it does."""


class TrailingBytes(WeightsError):
    """The file has bytes after the last tensor."""


class OversizedWeights(WeightsError):
    """The file, or its header, is larger than allowed."""


class CorruptHeader(WeightsError):
    """The file's header is not a well-formed safetensors header."""


class UnknownFormat(WeightsError):
    """A safetensors file, but not one with weights in a version this program knows."""


class CorruptStructure(WeightsError):
    """The tree of lists and dicts in the header is malformed or does not fit the tensors."""


class InvalidTensor(WeightsError):
    """A tensor holds bytes that its type does not allow."""


class MismatchedWeights(WeightsError):
    """Names, data types, shapes or structure differ from the experiment's schema."""


class NonFiniteWeights(WeightsError):
    """A tensor holds NaN or infinity."""


class PickledWeights(WeightsError):
    """A leaf is a pickle; reading it would run a stranger's code."""


class EmptyWeights(WeightsError):
    """The weights have no values; no experiment can start from them."""


class InvalidSchema(WeightsError):
    """The schema itself is malformed."""


def shown(value: object) -> str:
    """Return a value from a stranger for an error message: escaped, and cut when long."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
