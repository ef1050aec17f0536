"""Amounts of coins, as people read them."""

from __future__ import annotations

import pytest

from colearn_ledger.chains.errors import EmptyWallet
from colearn_ledger.text.amounts import format_amount


@pytest.mark.parametrize(
    ("amount", "denomination", "shown"),
    [
        (5e9, "afet", "0.000000005 FET"),
        (1, "atestfet", "0.000000000000000001 TESTFET"),
        (10_000_000, "stake", "10,000,000 stake"),
        (0.025, "stake", "0.025 stake"),
        (0, "afet", "0 FET"),
        (1e21, "gwei", "1,000,000,000,000,000,000,000 gwei"),
    ],
)
def test_amounts_have_known_units_and_no_exponent(amount: float, denomination: str, shown: str):
    assert format_amount(amount, denomination) == shown


def test_account_without_money_is_reported_in_whole_coins():
    error = EmptyWallet("fetch1x", 10**15, 3 * 10**15, "afet")
    assert "holds 0.001 FET, and this transaction may cost up to 0.003 FET" in str(error)
