"""The mean of weights with exact fractions, independent of numpy and of the processor's numbers.

A value is its sign and its magnitude, because a fraction has no negative zero. A magnitude of
``None`` is infinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Value: TypeAlias = tuple[bool, Fraction | None]


@dataclass(frozen=True, slots=True)
class Format:
    """A binary format of IEEE 754, or one like it.

    Args:
        exponent: bits of the exponent.
        mantissa: stored bits of the mantissa.
        largest: bits of the largest finite value.
    """

    exponent: int
    mantissa: int
    largest: int

    @property
    def width(self) -> int:
        """Return the number of bits of a value."""
        return 1 + self.exponent + self.mantissa

    @property
    def least(self) -> int:
        """Return the exponent of the smallest normal value."""
        return 2 - 2 ** (self.exponent - 1)

    def decode(self, bits: int) -> Value:
        """Return the value that bits stand for."""
        exponent = bits >> self.mantissa & (1 << self.exponent) - 1
        mantissa = bits & (1 << self.mantissa) - 1
        if exponent:
            mantissa += 1 << self.mantissa
        scale = self.least + max(exponent - 1, 0) - self.mantissa
        return bool(bits >> self.width - 1), mantissa * Fraction(2) ** scale

    def encode(self, value: Value) -> int:
        """Return the bits of a value that this format has; infinity is the largest finite value."""
        negative, magnitude = value
        if magnitude is None:
            bits = self.largest
        else:
            exponent = max(_log2(magnitude), self.least)
            units = magnitude / Fraction(2) ** (exponent - self.mantissa)
            assert units.denominator == 1
            bits = (exponent - self.least << self.mantissa) + units.numerator
        assert bits <= self.largest
        return bits + (negative << self.width - 1)

    def round(self, value: Value) -> Value:
        """Return the nearest value of this format, ties to even, or infinity."""
        negative, magnitude = value
        if magnitude is None:
            return value
        unit = Fraction(2) ** (max(_log2(magnitude), self.least) - self.mantissa)
        rounded = round(magnitude / unit) * unit  # Python rounds fractions half to even
        return negative, None if rounded > self.decode(self.largest)[1] else rounded


FORMATS = {
    "F64": Format(11, 52, 0x7FEF_FFFF_FFFF_FFFF),
    "F32": Format(8, 23, 0x7F7F_FFFF),
    "F16": Format(5, 10, 0x7BFF),
    "BF16": Format(8, 7, 0x7F7F),
    "F8_E4M3": Format(4, 3, 0x7E),
    "F8_E5M2": Format(5, 2, 0x7B),
}
"""The floating data types by their names in safetensors."""


def exact_mean(code: str, slots: Sequence[int]) -> int:
    """Return the bits of the mean of the values with these bits, in slot order."""
    double, own = FORMATS["F64"], FORMATS[code]
    total = own.decode(slots[0])
    for bits in slots[1:]:
        total = double.round(_add(total, own.decode(bits)))
    negative, magnitude = total
    mean = double.round((negative, magnitude and magnitude / len(slots)))
    if code != "F64":
        mean = FORMATS["F32"].round(mean)
    return own.encode(own.round(mean))


def _add(one: Value, other: Value) -> Value:
    if one[1] is None:
        return one
    assert other[1] is not None
    total = (-one[1] if one[0] else one[1]) + (-other[1] if other[0] else other[1])
    # the sum of two negative zeros is negative, any other sum of zero is positive
    is_negative = one[0] and other[0] if total == 0 else total < 0
    return is_negative, abs(total)


def _log2(magnitude: Fraction) -> int:
    """Return the exponent of the largest power of two up to a magnitude; very low for 0."""
    if magnitude == 0:
        return -(10**6)
    guess = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return guess if Fraction(2) ** guess <= magnitude else guess - 1
