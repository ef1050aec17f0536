"""What a Cosmos chain records about a transaction's fee."""

from __future__ import annotations

import pytest

from colearn_ledger.chains.cosmos.records import ChainEvent, Executed, read_cost
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.ledger import TransactionCost
from colearn_ledger.protocol import Account

PAYER = Account("wasm1payer")


def execute(*attributes: tuple[str, str], gas: int = 90_000) -> Executed:
    events = (
        ChainEvent("transfer", (("fee", "7other"), ("fee_payer", "wasm1thief"))),
        ChainEvent("tx", attributes),
        ChainEvent("tx", (("signature", "AAAA"),)),
    )
    return Executed("AB", 5, 0, 0, "", "", gas, events)


@pytest.mark.parametrize(
    ("fee", "amount", "unit"),
    [
        ("5000ustake", 5_000, "ustake"),
        ("1ibc/27394FB092D2ECCD", 1, "ibc/27394FB092D2ECCD"),
        ("", None, ""),
        ("1ustake,2uatom", None, ""),
        ("-1ustake", None, ""),
        ("9" * 40 + "ustake", None, ""),
        ("1u\x1b[2J", None, ""),
    ],
)
def test_fee_is_an_amount_of_one_coin_or_unknown(fee: str, amount: int | None, unit: str):
    cost = read_cost(execute(("fee", fee), ("fee_payer", PAYER)))
    assert cost == TransactionCost(PAYER, 90_000, amount, unit)


def test_transaction_without_who_paid_is_a_bad_answer():
    with pytest.raises(BadAnswer, match="without who paid for it"):
        read_cost(execute(("fee", "1ustake")))
    with pytest.raises(BadAnswer):
        read_cost(execute(("fee_payer", PAYER), gas=-1))
