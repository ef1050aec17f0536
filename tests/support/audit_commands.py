"""Run `colearn audit` against an experiment on a ledger of this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.chains.evm import EvmLedger
from colearn_ledger.ledger import LedgerView
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from tests.support.lying_ledger import LyingLedger
from tests.support.toyworld import World

CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
REFERENCE = f"eip155:31337:{CONTRACT}/1"
CONFIRMATIONS = 3


@dataclass
class Connected:
    """The ledger that commands connect to, and the confirmations of each connection."""

    ledger: LyingLedger
    confirmations: list[int] = field(default_factory=list)


def connect_commands(world: World, home: Path, monkeypatch: pytest.MonkeyPatch) -> Connected:
    """Connect commands to a ledger that can lie; it does not unless a test changes it."""
    for name in ("COLEARN_NETWORK", "COLEARN_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLEARN_HOME", str(home))
    store = f"folder:{world.folder / 'store'}"
    network = EvmNetwork(
        "local-evm",
        "http://x",
        31337,
        store=store,
        contracts=(CONTRACT,),
        confirmations=CONFIRMATIONS,
    )
    Networks().save(network)
    connected = Connected(LyingLedger(world.ledger))

    def connect(*_: Any, config: Any, **__: Any) -> LedgerView:
        connected.confirmations.append(config.sending.confirmations)
        return connected.ledger

    monkeypatch.setattr(EvmLedger, "connect", connect)
    return connected
