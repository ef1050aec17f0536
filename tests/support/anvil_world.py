"""A small world for agents on an anvil, whose blocks can be proved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.audited import SHAPES
from tests.support.toyworld import TowardsTarget, World


@dataclass(kw_only=True)
class AnvilWorld(World):
    """A world on an anvil that mines a block for each transaction."""

    anvil: Anvil

    def _deploy(self) -> Any:
        for wallet in self.wallets:
            json_rpc(self.anvil.url, "anvil_setBalance", wallet.address, hex(10**20))
        config = EvmConfig(
            chain_id=31337,
            sending=EvmSenderConfig(journal=self.folder / "sent"),
            poll_seconds=0.01,
            websocket="off",
        )
        ledger = EvmLedger.deploy(self.anvil.url, self.wallets[0], config=config)
        # the block of the creation is the first one with its time
        json_rpc(self.anvil.url, "evm_increaseTime", 10)
        return ledger

    def pass_time(self) -> None:
        json_rpc(self.anvil.url, "evm_increaseTime", 10)
        json_rpc(self.anvil.url, "evm_mine")

    def head(self) -> bytes:
        """Return the hash of the last block."""
        return bytes.fromhex(
            json_rpc(self.anvil.url, "eth_getBlockByNumber", "latest", False)["hash"][2:]
        )


def play_on_anvil(anvil: Anvil, folder: Path, shape: str, **terms: Any) -> AnvilWorld:
    """Let agents play an experiment to its end."""
    learners = [TowardsTarget(target) for target in (1.0, 1.25, 0.75, 1.5)]
    settings = {"rounds": 4, **SHAPES[shape], **terms}
    world = AnvilWorld(folder, learners, settings, anvil=anvil)
    world.drive(world.agents())
    return world
