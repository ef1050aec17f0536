"""The stories on each release of wasmd: one chain, and an instance of the contract for each story.

The chain has a real clock. A story in which a deadline has to pass uses short windows, and waits
for a block after the deadline. The experiments of each story are honest, so an audit finds nothing.
"""

import math
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from tests.scenarios.stories import AllStories
from tests.support.audited import audit_all
from tests.support.cosmos_place import Place, start_place
from tests.support.samples import ANYONE, CREATOR, wallet_of
from tests.support.world import World

_SHORT = 3
"""Length of a window that a story waits for, in seconds, on an idle machine."""

_CALLS = 20
"""Number of transactions that must fit into a window if each takes as long as the first one."""

_PEOPLE = (CREATOR, ANYONE, "ana", "bob", "cy", "dan", "eve", "stranger", "late")


_WAITING = {"pass_deadline", "pass_windows", "approach_deadline", "end_phase", "miss_round"}
"""The steps of a story that wait, which therefore needs short windows."""


class CosmosWorld(World):
    def __init__(self, place: Place, *, waits: bool) -> None:
        super().__init__()
        started = time.monotonic()
        self._place = place
        self._waits = waits
        self._ledger = place.ledger(wallet_of(ANYONE))
        if waits:
            busy = math.ceil(_CALLS * (time.monotonic() - started))
            self.window, self.moment = max(_SHORT, busy), 2

    def connect(self, wallet: Wallet) -> Ledger:
        self._place.fund([wallet])
        return self._ledger.acting_for(wallet)

    def set_time(self, time_: int) -> None:
        """Wait for a block of this time, and for the next one.

        Only then is it certain that the node simulates transactions at the first block's time.
        """
        assert self._waits, "name the step of this story that waits in _WAITING"
        latest = self._place.node.latest
        while (block := latest()[1]).time < time_:
            time.sleep(0.02)
        while latest()[1].height <= block.height:
            time.sleep(0.02)


@pytest.fixture(scope="class")
def old_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with start_place(tmp_path_factory.mktemp("wasmd"), wasmd=request.cls.release) as place:
        yield place


class StoriesOnWasmd(AllStories):
    @pytest.fixture
    def world(self, place: Place, request: pytest.FixtureRequest) -> Iterator[World]:
        place.fund(wallet_of(name) for name in _PEOPLE)
        calls = set(request.function.__code__.co_names)
        world = CosmosWorld(place, waits=bool(_WAITING & calls))
        yield world
        audit_all(world.view(ANYONE))


class TestOnWasmd(StoriesOnWasmd):
    @pytest.fixture
    def place(self, cosmos_place: Place) -> Place:
        return cosmos_place


class StoriesOnOldWasmd(StoriesOnWasmd):
    release: ClassVar[str]

    @pytest.fixture
    def place(self, old_place: Place) -> Place:
        return old_place


@pytest.mark.long
class TestOnWasmd061(StoriesOnOldWasmd):
    release = "0.61"


@pytest.mark.long
class TestOnWasmd027(StoriesOnOldWasmd):
    release = "0.27"
