"""Decoding of data from a node, which is not trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.protocol import LedgerError

T = TypeVar("T")


def decode_received(what: str, decode: Callable[[], T]) -> T:
    """Return the result of ``decode``, turning any error in it into `BadAnswer`.

    Args:
        what: names the data in the error's message.
        decode: decodes data from a node.

    Raises:
        BadAnswer: the contract cannot have produced this data.
    """
    try:
        return decode()
    except BadAnswer as error:
        raise BadAnswer(f"{what}: {error}") from error
    except (LedgerError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise BadAnswer(
            f"{what} is malformed; the contract never returns this: {error!r}"
        ) from error
