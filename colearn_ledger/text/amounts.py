"""Show amounts of coins in the units that people use."""

from __future__ import annotations

from decimal import Decimal

_COINS = {"afet": ("FET", 18), "atestfet": ("TESTFET", 18)}
"""The name of a coin, and the number of its decimals, by its smallest denomination."""


def format_amount(amount: float | Decimal, denomination: str) -> str:
    """Return an amount with its unit, without an exponent: ``0.000000005 FET`` for 5e9 afet.

    Args:
        amount: the amount in the denomination.
        denomination: its name; one that is not known is shown as it is.
    """
    coin, decimals = _COINS.get(denomination, (denomination, 0))
    return f"{format_number(Decimal(str(amount)).scaleb(-decimals))} {coin}"


def format_number(number: float | Decimal) -> str:
    """Return a number with all its digits, without an exponent: ``10,000,000`` or ``0.05``."""
    return format(Decimal(str(number)).normalize(), ",f")
