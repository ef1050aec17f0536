"""The stories of the protocol are honest experiments, so an audit of each finds nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from colearn_ledger.audit import audit_experiment
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.reference import LocalLedger
from tests.scenarios.stories import AllStories
from tests.support.audited import audit_all
from tests.support.lying_ledger import LyingLedger
from tests.support.samples import ANYONE, wallet_of
from tests.support.second_audit import audit_again
from tests.support.world import World

_START_TIME = 1_700_000_000


class AuditedWorld(World):
    """A world whose clock moves only when a story moves it; its experiments can be audited."""

    def __init__(self) -> None:
        super().__init__()
        self.time = _START_TIME
        self.ledger = self.deploy()

    def deploy(self) -> Ledger:
        return LocalLedger.new(wallet_of(ANYONE), clock=lambda: self.time)

    def connect(self, wallet: Wallet) -> Ledger:
        return self.ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        self.time = time

    def audit(self) -> None:
        """Audit all experiments, and compare every event with its call; then without the calls."""
        audit_all(self.ledger)
        for experiment in self.ledger.experiments():
            silent = LyingLedger(self.ledger)
            silent.rewrite_origin = lambda _: None
            assert audit_experiment(silent, None, experiment.id).findings == ()


class Chain:
    """An embedded chain, which the stories of this module share; each deploys its contract."""

    def __init__(self) -> None:
        self.time = _START_TIME
        self.embedded = EmbeddedChain(clock=lambda: self.time)
        self.funded = {wallet_of(ANYONE).address}


class EvmWorld(AuditedWorld):
    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        super().__init__()

    def deploy(self) -> Ledger:
        return self.chain.embedded.deploy(wallet_of(ANYONE))

    def connect(self, wallet: Wallet) -> Ledger:
        if wallet.address not in self.chain.funded:
            self.chain.funded.add(wallet.address)
            self.chain.embedded.fund(wallet)
        return self.ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        self.chain.time = time

    def audit(self) -> None:
        """Audit all experiments with both implementations."""
        super().audit()
        for experiment in self.ledger.experiments():
            contract = self.ledger.domain.contract
            report = audit_again(self.chain.embedded.provider, contract, experiment.id)
            assert report["findings"] == []
            assert report["unchecked"] == ["files and merges: out of scope"]
            assert report["checked"]["events"] == len(self.ledger.events(experiment.id))


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain()


class TestStoriesOnTheReference(AllStories):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        world = AuditedWorld()
        yield world
        world.audit()


class TestStoriesOnAnEmbeddedChain(AllStories):
    @pytest.fixture
    def world(self, chain: Chain) -> Iterator[World]:
        world = EvmWorld(chain)
        yield world
        world.audit()
