"""The stories on the contract on one embedded chain, with a deployment for each story."""

import pytest

from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from tests.scenarios.stories import AllStories
from tests.support.samples import ANYONE, wallet_of
from tests.support.world import World

_START_TIME = 1_700_000_000


class Calendar:
    """A chain whose clock moves only when a story moves it."""

    def __init__(self) -> None:
        self.time = _START_TIME
        self.chain = EmbeddedChain(clock=lambda: self.time)
        self.funded: set[str] = set()


class EvmWorld(World):
    def __init__(self, calendar: Calendar) -> None:
        super().__init__()
        self._calendar = calendar
        self._ledger = calendar.chain.deploy(wallet_of(ANYONE))

    def connect(self, wallet: Wallet) -> Ledger:
        if wallet.address not in self._calendar.funded:
            self._calendar.funded.add(wallet.address)
            self._calendar.chain.fund(wallet)
        return self._ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        self._calendar.time = time


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar()


class TestOnAnEmbeddedChain(AllStories):
    @pytest.fixture
    def world(self, calendar: Calendar) -> World:
        return EvmWorld(calendar)
