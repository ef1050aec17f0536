"""Values of merged tensors, to the last bit."""

from __future__ import annotations

import math
import random
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_ledger.weights.codec import encode_weights
from colearn_ledger.weights.tensorfile import DTYPES
from tests.support.exact_mean import FORMATS, exact_mean
from tests.support.merging import make_array, merge_arrays

MAX = sys.float_info.max


def merge_values(folder: Path, code: str, *slots: float) -> float:
    """Return the mean of numbers in a data type that has them."""
    arrays = [np.array([value], DTYPES[code]) for value in slots]
    assert [float(array[0]) for array in arrays] == list(slots)
    return float(merge_arrays(folder, *arrays)[0])


def least_of(code: str) -> float:
    """Return the smallest positive value of a data type."""
    return float(Fraction(2) ** (FORMATS[code].least - FORMATS[code].mantissa))


class TestRounding:
    @pytest.mark.parametrize("code", sorted(FORMATS))
    def test_tie_is_rounded_to_even(self, tmp_path: Path, code: str):
        step = 2.0 ** -FORMATS[code].mantissa  # between 1 and 2
        assert merge_values(tmp_path, code, 1, 1 + step) == 1
        assert merge_values(tmp_path, code, 1 + step, 1 + 2 * step) == 1 + 2 * step
        assert merge_values(tmp_path, code, -1, -1 - step) == -1
        assert merge_values(tmp_path, code, -1 - step, -1 - 2 * step) == -1 - 2 * step

    @pytest.mark.parametrize("code", sorted(FORMATS))
    def test_tie_of_subnormals_is_rounded_to_even(self, tmp_path: Path, code: str):
        least = least_of(code)
        assert merge_values(tmp_path, code, 0, least) == 0
        assert merge_values(tmp_path, code, least, 2 * least) == 2 * least
        assert merge_values(tmp_path, code, least, 3 * least) == 2 * least

    def test_float16_is_rounded_to_float32_first(self, tmp_path: Path):
        # 2^-26 above the tie between 1 and 1 + 2^-10: float32 drops that, and the tie goes to even
        assert merge_values(tmp_path, "F16", 2, 2 + 2**-9, 2**-24, 0) == 1

    def test_sum_is_kept_in_float64(self, tmp_path: Path):
        assert merge_values(tmp_path, "F32", 2.0**24, 1, 1, 2) == 2.0**22 + 1
        assert merge_values(tmp_path, "F16", 65_504, 65_504, 65_504) == 65_504
        largest = float(np.finfo(np.float32).max)
        assert merge_values(tmp_path, "F32", *[largest] * 16) == largest

    def test_sum_depends_on_the_order_of_the_slots(self, tmp_path: Path):
        assert merge_values(tmp_path, "F64", 2.0**53, 1, 1, 0) == 2.0**51
        assert merge_values(tmp_path, "F64", 1, 1, 2.0**53, 0) == 2.0**51 + 0.5


class TestSpecialValues:
    @pytest.mark.parametrize(
        ("slots", "mean"),
        [
            ((MAX, MAX), MAX),
            ((-MAX, -MAX), -MAX),
            ((MAX, MAX, -MAX), MAX),
            ((-MAX, -MAX, MAX, MAX, 0), -MAX),
            ((MAX, 0), MAX / 2),
            ((MAX, -MAX), 0),
        ],
    )
    def test_infinite_sum_becomes_the_largest_finite_value(
        self, tmp_path: Path, slots: tuple[float, ...], mean: float
    ):
        with np.errstate(all="raise"):
            assert merge_values(tmp_path, "F64", *slots) == mean

    @pytest.mark.parametrize("code", sorted(FORMATS))
    def test_negative_zero_is_kept(self, tmp_path: Path, code: str):
        def is_negative(*slots: float) -> bool:
            return math.copysign(1, merge_values(tmp_path, code, *slots)) < 0

        assert is_negative(-0.0, -0.0)
        assert not is_negative(-0.0, 0.0)
        assert not is_negative(0.0, -0.0)
        assert not is_negative(1, -1)
        assert is_negative(-least_of(code), -0.0)  # rounded to zero

    @pytest.mark.parametrize("code", sorted(FORMATS))
    def test_largest_values_do_not_overflow(self, tmp_path: Path, code: str):
        largest = float(FORMATS[code].decode(FORMATS[code].largest)[1])
        assert merge_values(tmp_path, code, *[largest] * 7) == largest
        assert merge_values(tmp_path, code, *[-largest] * 7) == -largest

    def test_booleans_and_integers_are_not_averaged(self, tmp_path: Path):
        for code in ("BOOL", "I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64"):
            one, two = np.array([0, 1], DTYPES[code]), np.array([1, 1], DTYPES[code])
            assert merge_arrays(tmp_path, one, two, two).tolist() == one.tolist()


SHAPES = ((), (0,), (1,), (2,), (3,), (2, 0, 1), (2, 1))


class TestRandomCases:
    def test_means_equal_those_of_exact_fractions(self, tmp_path: Path, is_long: bool):
        merges, leaves = (200, 50) if is_long else (12, 50)
        rng = random.Random(7)
        for _ in range(merges):
            files = rng.choice([2, 2, 3, 3, 4, 5, 7, 8, 11, 16])
            codes = [rng.choice(sorted(FORMATS)) for _ in range(leaves)]
            shapes = [rng.choice(SHAPES) for _ in codes]
            bits = [
                make_bits(rng, code, math.prod(shape), files)
                for code, shape in zip(codes, shapes, strict=True)
            ]
            floats = [
                list(map(as_array, codes, shapes, [slots[slot] for slots in bits]))
                for slot in range(files)
            ]
            others = [make_others(rng, shapes[0]) for _ in range(files)]
            trees = [[*arrays, rest] for arrays, rest in zip(floats, others, strict=True)]
            *merged, kept = merge_arrays(tmp_path, *trees)
            for code, shape, slots, result in zip(codes, shapes, bits, merged, strict=True):
                expected = [exact_mean(code, values) for values in zip(*slots, strict=True)]
                found = result.reshape(-1).view(f"u{result.itemsize}").tolist()
                assert (found, result.shape) == (expected, shape), (code, slots)
            assert encode_weights(kept) == encode_weights(others[0])
            for path in tmp_path.iterdir():
                path.unlink()


def make_others(rng: random.Random, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return random leaves of all kinds that are not averaged."""
    codes = [code for code in DTYPES if code not in FORMATS]
    arrays = {code: make_array(code, shape, str(rng.random())) for code in codes}
    return {**arrays, "bytes": rng.randbytes(rng.randrange(5)), "flag": rng.random() < 0.5}


def as_array(code: str, shape: tuple[int, ...], bits: list[int]) -> np.ndarray:
    return np.array(bits, f"u{DTYPES[code].itemsize}").view(DTYPES[code]).reshape(shape)


def make_bits(rng: random.Random, code: str, size: int, files: int) -> list[list[int]]:
    """Return the bits of some values in each slot, often close to a rounding boundary."""
    form = FORMATS[code]
    makers = [
        lambda: rng.randrange(form.largest + 1),  # any magnitude
        lambda: rng.randrange(min(form.largest, 40)),  # subnormal
        lambda: form.largest - rng.randrange(min(form.largest, 40)),  # close to overflow
        lambda: near + rng.randrange(4),  # neighbours
        lambda: (rng.randrange(form.largest + 1) >> form.mantissa) << form.mantissa,  # powers of 2
        lambda: 0,
    ]
    near = rng.randrange(form.largest - 3)
    slots = []
    for _ in range(files):
        signs = rng.choice([[0], [0, 1], [1]])
        make = rng.choice(makers)
        slots.append([make() | rng.choice(signs) << form.width - 1 for _ in range(size)])
    return slots
