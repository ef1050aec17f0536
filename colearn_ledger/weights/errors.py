"""Errors of weights and their schemas."""

from __future__ import annotations

from colearn_ledger.protocol import LedgerError

_SHOWN = 80


class WeightsError(LedgerError):
    """Base class of the errors of weights and their schemas."""


class UnsupportedWeights(WeightsError):
    """The format does not support a type, a size or the summary of these weights."""


class TruncatedWeights(WeightsError):
    """The file is shorter than its header requires."""


class TrailingBytes(WeightsError):
    """The file has bytes after the last tensor."""


class OversizedWeights(WeightsError):
    """The file or its header is larger than allowed."""


class CorruptHeader(WeightsError):
    """The file's header is not a well-formed safetensors header."""


class UnknownFormat(WeightsError):
    """The safetensors file does not contain weights in a supported version."""


class CorruptStructure(WeightsError):
    """The tree of lists and dicts in the header is malformed or does not fit the tensors."""


class InvalidTensor(WeightsError):
    """A tensor contains bytes that its type does not allow."""


class MismatchedWeights(WeightsError):
    """The names, data types, shapes or structure differ from the experiment's schema."""


class NonFiniteWeights(WeightsError):
    """A tensor contains NaN or infinity."""


class WrongBase(WeightsError):
    """The weights were trained from other weights than the current ones."""


class PickledWeights(WeightsError):
    """A leaf is a pickle; loading it would run untrusted code."""


class EmptyWeights(WeightsError):
    """The weights contain no values, so that no experiment can start from them."""


class NothingToMerge(WeightsError):
    """None of the accepted files can be merged."""


class SubnormalsFlushed(WeightsError):
    """This thread's arithmetic replaces subnormal numbers by zero; its merges would differ."""


class InvalidSchema(WeightsError):
    """The schema is malformed."""


def shown(value: object) -> str:
    """Escape and shorten an untrusted value for an error message."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
