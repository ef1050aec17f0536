"""Every fraud that is planted into an experiment on an embedded EVM chain is found in its round."""

from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.ledger import Ledger
from colearn_ledger.weights.store import ContentStore
from tests.frauds.conftest import Report
from tests.support.frauds.cases import play
from tests.support.frauds.plays import SHAPES
from tests.support.frauds.suite import KINDS, list_missed, plant_frauds
from tests.support.frauds.worlds import EvmWorld
from tests.support.samples import ANYONE, wallet_of

FEW = ("plural and signed", "plural, secret and random", "moves")


def deploy(chain: EmbeddedChain) -> Ledger:
    return chain.deploy(wallet_of(ANYONE))


def test_every_fraud_on_an_evm_chain_is_found(
    store: ContentStore, is_long: bool, report_counts: Report
):
    plays = [
        play(EvmWorld(deploy, seed), store, seed, (name, shape))
        for name, shape in SHAPES.items()
        for seed in range(3 if is_long else 2)
        if is_long or name in FEW
    ]
    number = 50 if is_long else 2
    counts = plant_frauds(plays, number, "evm")
    report_counts("an embedded EVM chain", counts)
    assert list_missed(counts) == []
    assert {kind.name: number for kind in KINDS} == {n: c.planted for n, c in counts.items()}
