"""Errors of weights and their schemas."""

from __future__ import annotations

from colearn_ledger.protocol import LedgerError

_SHOWN = 80


class WeightsError(LedgerError):
    """Root of the errors of weights and of their schemas."""


class UnsupportedWeights(WeightsError):
    """The format cannot express these weights: a type, a size or a summary is not supported."""


class TruncatedWeights(WeightsError):
    """The file is shorter than its header demands."""


class TrailingBytes(WeightsError):
    """The file has bytes after the last tensor."""


class OversizedWeights(WeightsError):
    """The file, or its header, is larger than allowed."""


class CorruptHeader(WeightsError):
    """The file's header is not a well-formed safetensors header."""


class UnknownFormat(WeightsError):
    """A safetensors file, but not of weights in a supported version."""


class CorruptStructure(WeightsError):
    """The tree of lists and dicts in the header is malformed or does not fit the tensors."""


class InvalidTensor(WeightsError):
    """A tensor has bytes that its type does not allow."""


class MismatchedWeights(WeightsError):
    """Names, data types, shapes or structure differ from the experiment's schema."""


class NonFiniteWeights(WeightsError):
    """A tensor has NaN or infinity."""


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
