"""The stories on the local ledger."""

import pytest

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.reference import LocalLedger
from tests.scenarios.stories import AllStories
from tests.support.samples import ANYONE, wallet_of
from tests.support.world import World

_START_TIME = 1_700_000_000


class LocalWorld(World):
    """A world whose clock moves only when a story moves it."""

    def __init__(self) -> None:
        super().__init__()
        self._time = _START_TIME
        self._ledger = LocalLedger.new(wallet_of(ANYONE), clock=lambda: self._time)

    def connect(self, wallet: Wallet) -> Ledger:
        return self._ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        self._time = time

    def snapshot(self) -> object:
        events = self._ledger.events(self.id) if self.id else []
        return super().snapshot(), events


class TestLocal(AllStories):
    @pytest.fixture
    def world(self) -> World:
        return LocalWorld()
