"""Worlds for plays: a ledger in memory, the compiled contract on an embedded chain, and wasmd."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, Receipt
from colearn_ledger.reference import LocalLedger
from tests.support.cosmos_place import Place
from tests.support.samples import ANYONE, wallet_of
from tests.support.world import World

START_TIME = 1_700_000_000


class LocalWorld(World):
    """The reference; each call takes a second."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.time = START_TIME
        entropy = Random(seed)
        self.ledger: Ledger = LocalLedger.new(
            wallet_of(ANYONE), clock=lambda: self.time, entropy=lambda: entropy.randbytes(32)
        )

    def connect(self, wallet: Wallet) -> Ledger:
        return self.ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        self.time = time

    def send(self, name: str, call: str, *arguments: object) -> Receipt:
        self.time += 1
        return super().send(name, call, *arguments)


class EvmWorld(World):
    """A contract on an embedded chain with a fixed entropy.

    Args:
        deploy: deploys the contract, and returns its ledger.
        seed: the seed of the entropy.
    """

    def __init__(self, deploy: Callable[[EmbeddedChain], Any] | None = None, seed: int = 0) -> None:
        super().__init__()
        self.time = START_TIME
        self.chain = EmbeddedChain(clock=lambda: self.time, entropy=Random(seed).randbytes)
        self.ledger = deploy(self.chain)
        self._funded = {wallet_of(ANYONE).address}

    def connect(self, wallet: Wallet) -> Ledger:
        if wallet.address not in self._funded:
            self._funded.add(wallet.address)
            self.chain.fund(wallet)
        ledger: Ledger = self.ledger.acting_for(wallet)
        return ledger

    def set_time(self, time: int) -> None:
        self.time = time


class WasmdWorld(World):
    """A new instance of the contract on wasmd. Deadlines pass only if windows are short.

    Args:
        place: the chain.
        window: the length of every window, in seconds.
    """

    moment = 2

    def __init__(self, place: Place, window: int = 1_000) -> None:
        super().__init__()
        self.window = window
        self._place = place
        self.ledger = place.ledger(wallet_of(ANYONE))

    def connect(self, wallet: Wallet) -> Ledger:
        self._place.fund([wallet])
        return self.ledger.acting_for(wallet)

    def set_time(self, time_: int) -> None:
        """Wait for a block of this time, and for the next one."""
        latest = self._place.node.latest
        while (block := latest()[1]).time < time_:
            time.sleep(0.02)
        while latest()[1].height <= block.height:
            time.sleep(0.02)
