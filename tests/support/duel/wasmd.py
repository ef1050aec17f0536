"""The contract on a real wasmd: signed transactions, blocks, and a clock that cannot be moved."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from colearn_ledger.chains.cosmos.wire import params_to_wire, scores_to_wire
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Receipt
from colearn_ledger.protocol import Event, ExperimentId, ExperimentParams, Scores
from colearn_localnet.rpc import json_rpc
from tests.support.duel.backends import AcceptedCall
from tests.support.duel.plans import PEOPLE, Parts

if TYPE_CHECKING:
    from tests.support.cosmos_place import Place

_PATIENCE = 3
"""Maximum wait for a deadline, in seconds; a later deadline is not waited for."""

_LOOK = 0.02


class WasmdBackend:
    """`CosmosLedger` with a new contract, on a chain that other tests also use."""

    is_slow = True
    is_live = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ledger = place.ledger(PEOPLE[0])
        self.domain = self._ledger.domain

    def now(self) -> int:
        return self._ledger.now()

    def earliest_time(self) -> int:
        """Return the time of the last block but one; answers are never evaluated earlier."""
        last = self._place.node.latest()[1]
        before = self._place.node.block(last.height - 1)
        assert before is not None
        return before.time

    def set_time(self, time_: int) -> None:
        if time_ - self.now() > _PATIENCE:
            return
        while self.earliest_time() < time_:
            time.sleep(_LOOK)

    def transact(self, wallet: Wallet, name: str, arguments: Sequence[Any]) -> AcceptedCall:
        view = self._ledger.acting_for(wallet)
        return self._accept(getattr(view, name)(*arguments).wait())

    def create_with(
        self, wallet: Wallet, params: ExperimentParams, content: Parts, *, initial: bool
    ) -> AcceptedCall:
        wire = params_to_wire(params) | {
            "initial" if initial else "spec": _content_to_wire(content)
        }
        return self._send(wallet, {"create": {"params": wire}})

    def propose_with(
        self, wallet: Wallet, experiment: ExperimentId, index: int, content: Parts
    ) -> AcceptedCall:
        place = {"experiment": str(experiment), "round": index}
        fields = {"content": _content_to_wire(content), **scores_to_wire(Scores())}
        return self._send(wallet, {"propose": place | fields})

    def ask(self, name: str, arguments: Sequence[Any]) -> Any:
        return getattr(self._ledger, name)(*arguments)

    def events(self, experiment: ExperimentId) -> list[tuple[int, Event]]:
        return [(r.time, r.event) for r in self._ledger.events(experiment)]

    def _send(self, wallet: Wallet, message: dict[str, Any]) -> AcceptedCall:
        return self._accept(self._ledger._channel.send(wallet, message, None).wait())

    def _accept(self, receipt: Receipt) -> AcceptedCall:
        return AcceptedCall(receipt.events, receipt.time, self._entropy(receipt.transaction))

    def _entropy(self, transaction: str) -> bytes:
        """Return a transaction's entropy, from CometBFT's data and the rule in docs/protocol.md."""
        rpc = self._place.chain.rpc
        name = base64.b64encode(bytes.fromhex(transaction)).decode()
        found = json_rpc(rpc, "tx", name, False)
        header = json_rpc(rpc, "block", found["height"])["block"]["header"]
        height, index = int(found["height"]), int(found["index"])
        numbers = ((height, 8), (_nanoseconds(header["time"]), 8), (index, 4))
        packed = b"".join(number.to_bytes(size, "big") for number, size in numbers)
        return hashlib.sha256(b"CollectiveLearning entropy" + packed).digest()


def _content_to_wire(content: Parts) -> dict[str, Any]:
    codec, digest, sha256, size = content
    return {
        "codec": codec,
        "digest": base64.b64encode(digest).decode(),
        "sha256": base64.b64encode(sha256).decode(),
        "size": str(size),
    }


def _nanoseconds(time_: str) -> int:
    """Return a time such as `2026-01-31T12:00:00.123456789Z` (CometBFT) in ns since the epoch."""
    whole, fraction = re.fullmatch(r"([^.Z]+)(?:\.(\d+))?Z", time_).groups()  # type: ignore[union-attr]
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))
