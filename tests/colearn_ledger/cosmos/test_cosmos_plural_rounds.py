"""Plural rounds of the CosmWasm contract."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from colearn_ledger.chains.cosmos import CosmosLedger
from colearn_ledger.history import read_fees, read_history
from colearn_ledger.keys.wallet import Wallet
from tests.support import ROOT
from tests.support.cosmos_place import Place
from tests.support.derived import check_derived
from tests.support.plural_conformance import (
    WALLETS,
    GasLimit,
    Life,
    OpenLedgers,
    PluralConformance,
)
from tests.support.samples import content_of
from tests.support.waiting import LIMIT


class TestPluralRounds(PluralConformance):
    @pytest.fixture
    def open_ledgers(self, cosmos_place: Place) -> OpenLedgers:
        def open_all(wallets: Sequence[Wallet]) -> Sequence[CosmosLedger]:
            cosmos_place.fund(wallets)
            first = cosmos_place.ledger(wallets[0])
            return [first, *(first.acting_for(wallet) for wallet in wallets[1:])]

        return open_all

    @pytest.fixture
    def gas_limit(self) -> GasLimit:
        return lambda pending: pending._sent.gas


def test_history_equals_that_of_an_independent_reader(cosmos_place: Place):
    wallets = WALLETS[:4]
    cosmos_place.fund(wallets)
    first = cosmos_place.ledger(wallets[0])
    life = Life([first, *(first.acting_for(wallet) for wallet in wallets[1:])])
    life.propose("a", "", "c")
    life.vote_all()
    for ledger, topic in ((life.first, "état "), (life.ledgers[1], "state")):
        ledger.announce(life.id, topic, content_of(topic)).wait(LIMIT)
    chain = cosmos_place.chain
    reader = [ROOT / "tests/support/read_cosmos_contract.py", chain.grpc, chain.chain_id]
    command = [sys.executable, *map(str, [*reader, first.contract, life.id])]
    read = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    history = json.loads(read_history(first, life.id).to_json())
    assert json.loads(read.stdout) == check_derived(history)
    assert [each["topic"] for each in history["announcements"]] == ["état ", "state"]


def test_fees_are_what_left_the_accounts(cosmos_place: Place):
    wallets = WALLETS[:4]
    cosmos_place.fund(wallets)
    first = cosmos_place.ledger(wallets[0])
    ledgers = [first, *(first.acting_for(wallet) for wallet in wallets[1:])]
    node, unit = first._channel.node, cosmos_place.terms.denomination
    before = [node.balance(ledger.account, unit) for ledger in ledgers]
    life = Life(ledgers)
    life.propose("a", "", "c")
    life.vote_all()
    found = read_fees(first, life.id)
    paid = [sum(each.fee or 0 for each in found if each.account == x.account) for x in ledgers]
    after = [node.balance(ledger.account, unit) for ledger in ledgers]
    assert paid == [old - new for old, new in zip(before, after, strict=True)]
    assert min(paid) > 0
    assert {(each.unit, each.gas > 0) for each in found} == {(unit, True)}
    assert {each.round for each in found} == {None, 0}
