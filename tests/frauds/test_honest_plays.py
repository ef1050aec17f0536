"""Honest experiments of all shapes have no finding, on an embedded chain and reorganised on anvil.

`test_audit_stories.py` audits the protocol's stories, without files. These plays have files, which
are fetched, and merges, which are computed again.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from colearn_ledger.audit import audit_experiment
from colearn_ledger.chains.evm import EvmConfig, EvmLedger
from colearn_ledger.chains.evm.config import EvmSenderConfig
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.keys.wallet import Wallet
from colearn_localnet.rpc import json_rpc
from tests.support.frauds.cases import play
from tests.support.frauds.plays import PEOPLE, SHAPES, Play
from tests.support.frauds.worlds import EvmWorld, LocalWorld
from tests.support.samples import ANYONE, CREATOR, wallet_of
from tests.support.second_audit import audit_again
from tests.support.world import World

if TYPE_CHECKING:
    from colearn_ledger.ledger import Ledger
    from colearn_ledger.weights.store import ContentStore
    from colearn_localnet.anvil import Anvil


def deploy(chain: EmbeddedChain) -> Ledger:
    return chain.deploy(wallet_of(ANYONE))


def test_honest_plays_have_no_finding(store: ContentStore, is_long: bool):
    for name, shape in SHAPES.items() if is_long else list(SHAPES.items())[::3]:
        for seed in range(6 if is_long else 1):
            world = EvmWorld(deploy, seed)
            played = play(world, store, seed, (name, shape))
            report = audit_experiment(played.view, store, played.experiment)
            assert (name, seed, report.findings) == (name, seed, ())
            second = audit_again(world.chain.provider, world.ledger.contract, played.experiment)
            assert (name, seed, second["findings"]) == (name, seed, [])
            played = play(LocalWorld(seed), store, seed, (name, shape))
            report = audit_experiment(played.view, store, played.experiment)
            assert (name, seed, report.findings) == (name, seed, ())


class AnvilWorld(World):
    """A contract on anvil, whose last blocks a test can take back."""

    def __init__(self, anvil: Anvil, journals: Path) -> None:
        super().__init__()
        self.anvil = anvil
        self.journals = journals
        self.config = EvmConfig(
            chain_id=31337, poll_seconds=0.01, websocket="off", http=HttpConfig(first_pause=0.01)
        )
        self.bank = Wallet.from_key(anvil.keys[0])
        self.reader = self.ledger = EvmLedger.deploy(anvil.url, self.bank, config=self.config)

    def reconnect(self) -> None:
        """Send with new journals: with the known ones, dropped transactions are sent again."""
        contract, folder = self.reader.contract, tempfile.mkdtemp(dir=self.journals)
        config = replace(self.config, sending=EvmSenderConfig(journal=Path(folder)))
        self.ledger = EvmLedger.connect(self.anvil.url, contract, self.bank, config=config)
        self._views.clear()
        for name in (ANYONE, CREATOR, *PEOPLE):
            self.view(name)

    def connect(self, wallet: Wallet) -> Ledger:
        json_rpc(self.anvil.url, "anvil_setBalance", wallet.address, hex(10**21))
        return self.ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        json_rpc(self.anvil.url, "evm_setNextBlockTimestamp", time)
        json_rpc(self.anvil.url, "evm_mine")


class ReorganisedPlay(Play):
    """A play in which some rounds happen twice: the chain drops the first time."""

    dropped = 0

    def play_round(self) -> None:
        world, index = self._world, self._world.current_index()
        assert isinstance(world, AnvilWorld)
        before, current = json_rpc(world.anvil.url, "evm_snapshot"), self._current
        super().play_round()
        if index % 2 == 0:
            world.reader.events(world.id)  # a reader has seen what is dropped
            json_rpc(world.anvil.url, "evm_revert", before)
            world.reconnect()
            self._current = current
            self.dropped += 1
            super().play_round()


def test_reorganised_plays_have_no_finding(
    anvil: Anvil, store: ContentStore, tmp_path: Path, is_long: bool
):
    dropped = 0
    shapes = ("open", "plural, secret and random", "signed", "absences")
    for name in shapes if is_long else shapes[:2]:
        for seed in range(3 if is_long else 1):
            world = AnvilWorld(anvil, tmp_path)
            played = ReorganisedPlay(world, store, Random(f"{name} {seed}"), SHAPES[name])
            experiment = played.run()
            dropped += played.dropped
            fresh = EvmLedger.connect(anvil.url, world.ledger.contract, config=world.config)
            for ledger in (world.reader, fresh):
                report = audit_experiment(ledger, store, experiment)
                assert (name, seed, report.findings) == (name, seed, ())
    assert dropped >= 4
