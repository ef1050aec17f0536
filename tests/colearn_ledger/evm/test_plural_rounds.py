"""Plural rounds of the Solidity contract."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from colearn_ledger.chains.evm import EvmLedger
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.history import read_history
from colearn_ledger.keys.wallet import Wallet
from tests.support import ROOT
from tests.support.anvil_chain import Chain
from tests.support.derived import check_derived
from tests.support.plural_conformance import GasLimit, Life, OpenLedgers, PluralConformance
from tests.support.samples import content_of
from tests.support.waiting import LIMIT


@pytest.fixture(scope="module")
def embedded() -> EmbeddedChain:
    return EmbeddedChain()


class TestPluralRounds(PluralConformance):
    @pytest.fixture
    def open_ledgers(self, embedded: EmbeddedChain) -> OpenLedgers:
        def open_all(wallets: Sequence[Wallet]) -> Sequence[EvmLedger]:
            first = embedded.deploy(wallets[0])
            return [first, *(embedded.ledger(first.contract, wallet) for wallet in wallets[1:])]

        return open_all

    @pytest.fixture
    def gas_limit(self) -> GasLimit:
        return lambda pending: pending._sent.gas


def test_history_equals_that_of_an_independent_reader(chain: Chain):
    chain("evm_setAutomine", True)
    ledgers = [chain.view(Wallet.from_key(key)) for key in chain.anvil.keys[:4]]
    life = Life(ledgers)
    life.propose("a", "", "c")
    life.vote_all()
    life.first.announce(life.id, "state", content_of("state")).wait(LIMIT)
    abi = ROOT / "colearn_ledger/chains/evm/CollectiveLearning.json"
    reader = [ROOT / "tests/support/read_contract.py", abi, chain.anvil.url, chain.contract]
    command = [sys.executable, *map(str, [*reader, life.id])]
    read = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    history = json.loads(read_history(life.first, life.id).to_json())
    assert json.loads(read.stdout) == check_derived(history)
