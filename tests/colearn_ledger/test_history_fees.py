"""What accounts paid for an experiment's transactions, by round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.history import History, RoundFee, fees, read_fees, read_history
from colearn_ledger.history.fees import fee_lines
from colearn_ledger.ledger import LedgerUnavailable, TransactionCost
from colearn_ledger.protocol import Account
from tests.support.histories import play_classic, play_plural, read_named
from tests.support.plural import PluralExperiment
from tests.support.toyworld import TowardsTarget, World

HOSTILE = "\x1b[2J\x9b"
FUNDED = 100 * 10**18  # what `EmbeddedChain.fund` sends


class Priced:
    """A view of a ledger on which an account pays a price for each of its transactions."""

    def __init__(self, made: PluralExperiment, fee: int | None = 10, unit: str = "afet") -> None:
        self._made, self._fee, self._unit = made, fee, unit
        self.asked: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made.ledger, name)

    def costs(self, transactions: Sequence[str]) -> list[TransactionCost]:
        self.asked.append(len(transactions))
        payer = self._made.accounts[0]
        return [TransactionCost(payer, 3, self._fee, self._unit) for _ in transactions]


def with_fees(made: PluralExperiment, **options: Any) -> History:
    return replace(read_named(made), fees=read_fees(Priced(made, **options), made.id))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Run an experiment of four learners on the contract in an embedded chain."""
    folder: Path = tmp_path_factory.mktemp("fees")
    learners = [TowardsTarget(target) for target in (1.0, 1.0, 1.5, -4.0)]
    world = World(folder, learners, {"rounds": 3}, kind="evm")
    world.drive(world.agents())
    return world


def test_ledger_without_gas_has_no_fees():
    made = play_classic()
    assert read_fees(made.ledger, made.id) == ()
    history = replace(read_history(made.ledger, made.id), fees=())
    assert json.loads(history.to_json())["fees"] == []
    assert "No account has paid a fee here." in str(fee_lines(history))


def test_fees_are_in_the_json_only_if_they_were_read():
    made = play_classic()
    assert "fees" not in json.loads(read_history(made.ledger, made.id).to_json())
    first = json.loads(next(with_fees(made).to_jsonl()))
    assert first["fees"][1] == {
        "account": made.accounts[0],
        "round": 0,
        "transactions": 3,
        "gas": 9,
        "fee": 30,
        "unit": "afet",
    }


def test_fees_on_an_evm_chain_are_what_left_the_accounts(world: World):
    found = read_fees(world.ledger, world.experiment)
    assert {each.unit for each in found} == {"wei"}
    for view in world.views[1:]:
        paid = sum(each.fee or 0 for each in found if each.account == view.account)
        assert paid == FUNDED - world.ledger._channel.node.balance(view.account)
        assert paid > 0


def test_transactions_count_for_their_round(world: World):
    found = read_fees(world.ledger, world.experiment)
    rounds = [each.round for each in found]
    assert sorted(set(rounds) - {None}) == [0, 1, 2]
    assert rounds[0] is None
    # a round has a proposal and three ballots, also where a ballot ends it and begins the next
    n_sent = {
        index: sum(each.transactions for each in found if each.round == index) for index in range(3)
    }
    assert n_sent == {0: 4, 1: 4, 2: 4}
    joined = [each.account for each in found if each.round is None and each.transactions]
    assert set(joined) >= {view.account for view in world.views}, "joining belongs to no round"


def test_receipts_are_read_by_page_with_progress(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fees, "_AT_ONCE", 5)
    made = play_classic()
    ledger, progress = Priced(made), []
    found = read_fees(ledger, made.id, on_progress=lambda *numbers: progress.append(numbers))
    total = sum(each.transactions for each in found)
    assert total == len({each.transaction for each in made.ledger.events(made.id)})
    assert ledger.asked[:-1] == [5] * (len(ledger.asked) - 1)
    assert sum(ledger.asked) == total
    assert progress[0] == (5, total)
    assert progress[-1] == (total, total)


def test_missing_receipt_is_an_error_and_not_a_lower_sum(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    node = world.ledger._channel.node
    monkeypatch.setattr(type(node), "receipts", lambda _, names: [None] * len(names))
    with pytest.raises(LedgerUnavailable, match="does not have the receipt of transaction 0x"):
        read_fees(world.ledger, world.experiment)


def test_unknown_fee_makes_the_sum_unknown():
    [_, fee, *_] = with_fees(play_classic(), fee=None).fees or ()
    assert (fee.fee, fee.gas) == (None, 9)
    known = replace(fee, fee=5, round=1)
    history = replace(read_named(play_classic()), fees=(fee, known))
    row = fee_lines(history)[3].plain
    assert row.split() == ["alice", "6", "18", "-", "afet"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_table_has_a_line_for_each_account(width: int):
    history = read_named(play_plural())
    accounts = [learner.account for learner in history.learners]
    found = [
        RoundFee(account, index, 4, 1_234_567, 3 * 10**15, "wei")
        for account in [*accounts, Account("0x" + "12" * 20)]
        for index in (0, 1)
    ]
    lines = [line.plain for line in fee_lines(replace(history, fees=tuple(found)), width=width)]
    assert max(map(len, lines)) <= width
    rows = {line.split()[0]: line.split() for line in lines if line.endswith(" gwei")}
    assert list(rows) == ["alice", "bob", "carol", "dave", "erin", "0x121212…1212"]
    assert rows["bob"][-3:] == ["2,469,134", "6,000,000", "gwei"]
    assert ("8" in rows["bob"]) == (width > 40)


def test_hostile_names_and_units_are_escaped():
    history = with_fees(play_classic(), unit=HOSTILE)
    hostile = replace(history, names=dict.fromkeys(history.names, HOSTILE))
    text = "\n".join(line.plain for line in fee_lines(hostile))
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert text.count("\\x1b[2J") >= 2
