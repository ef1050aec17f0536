"""What can go wrong with a Cosmos chain, beside what the protocol refuses."""

from __future__ import annotations

import math
import re

from colearn_ledger.chains.errors import BadAnswer, ChainError
from colearn_ledger.text.strict_json import InvalidJson, load

__all__ = ["FeeTooHigh", "Refused", "refusal_in"]

_CONTRACT_ERROR = re.compile(r"colearn:([A-Za-z]{1,40})\((\[[^\]]{0,400}\])\)")


class FeeTooHigh(ChainError):
    """The node wants more for a unit of gas than the ledger may pay; nothing was sent.

    Args:
        wanted: by the node for the transaction, in ``denomination``.
        ceiling: what may be paid for it.
        denomination: the unit of both.
    """

    retries = math.inf

    def __init__(self, wanted: int, ceiling: int, denomination: str) -> None:
        self.wanted = wanted
        self.ceiling = ceiling
        super().__init__(
            f"the node wants {wanted:,} {denomination} for this transaction and the ceiling is "
            f"{ceiling:,}: nothing was sent; wait for a lower price, or raise gas_price of the "
            "network"
        )


class Refused(ChainError):
    """The contract refuses a call; the ledger turns this into the protocol's error.

    Args:
        name: of the contract's error.
        values: that it carries, JSON's.
    """

    def __init__(self, name: str, values: tuple[object, ...]) -> None:
        self.name = name
        self.values = values
        super().__init__(f"the contract refuses the call: {name}")


def refusal_in(text: str) -> Refused | None:
    """Return the contract's error in a chain's words, ``None`` if there is none.

    Raises:
        BadAnswer: it begins like one and goes on otherwise.
    """
    found = _CONTRACT_ERROR.search(text)
    if found is None:
        return None
    try:
        values = load(found[2])
    except InvalidJson as error:
        raise BadAnswer(f"the error {found[1]} carries no values: {found[2][:100]!r}") from error
    return Refused(found[1], tuple(values))
