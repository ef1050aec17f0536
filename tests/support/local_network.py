"""A network whose contract is a `LocalLedger`, for tests of commands without a node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.ledger import Ledger
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import EvmNetwork
from colearn_ledger.protocol import ContentRef
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import encode_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore
from tests.support.plural import PluralExperiment

CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
PASSWORD = "a password"


@dataclass
class LocalNetwork:
    """The network of one ledger, with the learners' keys under the names 0, 1, 2 …"""

    made: PluralExperiment
    folder: Path

    @property
    def reference(self) -> str:
        """Return the reference of the experiment."""
        return f"eip155:31337:{CONTRACT}/{self.made.id}"

    @property
    def store(self) -> DirectoryStore:
        return DirectoryStore(self.folder / "store", owner="test")

    def file_of(self, content: ContentRef) -> Path:
        """Return the path of a file in the store."""
        [path] = (self.folder / "store" / "files").rglob(content.cid)
        return path


def put_weights(store: DirectoryStore, number: float) -> ContentRef:
    """Store weights of one number, and return their reference."""
    return store.put([encode_weights([np.full(2, number, np.float32)])])


def open_network(
    folder: Path, patch: pytest.MonkeyPatch, learners: int, **terms: Any
) -> LocalNetwork:
    """Create an experiment whose proposal of slot s in round r is the number 10 · r + s."""
    for name in ("COLEARN_NETWORK", "COLEARN_STORE", "COLEARN_KEY"):
        patch.delenv(name, raising=False)
    patch.setenv("COLEARN_HOME", str(folder / "home"))
    patch.setenv("COLEARN_PASSWORD", PASSWORD)
    (folder / "store").mkdir()
    store = DirectoryStore(folder / "store", owner="test")
    schema = WeightsSchema.of([np.zeros(2, np.float32)])
    made = PluralExperiment(
        learners,
        lambda round_index, slot: put_weights(store, 10 * round_index + slot),
        spec=ExperimentSpec("numbers", schema, "score", higher_is_better=True).put(store),
        initial=put_weights(store, 0.5),
        **terms,
    )
    for number, wallet in enumerate(made.wallets[:3]):
        Keystore(work=2).save(str(number), wallet, PASSWORD)
    Networks().save(
        EvmNetwork(
            "local-evm",
            "http://x",
            31337,
            store=f"folder:{folder / 'store'}",
            contracts=(CONTRACT,),
        )
    )

    def connect(_: EvmNetwork, __: str, wallet: Any, *, poll: float = 1.0) -> Ledger:
        return made.ledger.acting_for(wallet)

    patch.setattr(EvmNetwork, "connect", connect)
    patch.setattr(EvmNetwork, "view", lambda *_: made.ledger)
    return LocalNetwork(made, folder)
