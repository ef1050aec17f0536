"""The stories on anvil: one chain, and a deployment for each story.

The chain mines a block for each transaction. Its clock runs, and stories move it forward.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from colearn_ledger.chains.evm import EvmConfig, EvmLedger
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.text.urls import Urls
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.scenarios.stories import AllStories
from tests.support.world import World

_ENOUGH = hex(10**21)
_CONFIG = EvmConfig(
    chain_id=31337, poll_seconds=0.01, websocket="off", http=HttpConfig(first_pause=0.01)
)


class AnvilWorld(World):
    def __init__(self, anvil: Anvil, urls: Urls, agree: int = 1) -> None:
        super().__init__()
        self._anvil = anvil
        config = replace(_CONFIG, agree=agree)
        self._ledger = EvmLedger.deploy(urls, Wallet.from_key(anvil.keys[0]), config=config)

    def connect(self, wallet: Wallet) -> Ledger:
        json_rpc(self._anvil.url, "anvil_setBalance", wallet.address, _ENOUGH)
        return self._ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        json_rpc(self._anvil.url, "evm_setNextBlockTimestamp", time)
        json_rpc(self._anvil.url, "evm_mine")


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


class TestOnAnvil(AllStories):
    @pytest.fixture
    def world(self, chain: Anvil) -> World:
        return AnvilWorld(chain, chain.url)


@pytest.mark.long
class TestOnAnvilThroughTwoNodesThatAgree(AllStories):
    @pytest.fixture
    def world(self, chain: Anvil) -> World:
        return AnvilWorld(chain, (chain.url, chain.url.replace("127.0.0.1", "localhost")), agree=2)
