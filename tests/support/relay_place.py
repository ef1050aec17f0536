"""An experiment in the vote on its first proposal, for tests of relays."""

from __future__ import annotations

from typing import Any

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    BallotState,
    ContentRef,
    ExperimentParams,
    Scores,
    SignedBallot,
    Vote,
)
from colearn_ledger.reference import LocalLedger
from colearn_ledger.relay.relay import Relay

PAYER = Wallet.from_key(b"\x77" * 32)
LEARNERS = [Wallet.from_key(bytes([i + 1]) * 32) for i in range(5)]


def content(n: int) -> ContentRef:
    digest = bytes([n]) * 32
    return ContentRef.from_digest(0x55, digest, digest.hex(), 10)


class Place:
    """An experiment of five learners in the vote on its first proposal."""

    def __init__(self, ledger: Any, *, propose: bool = True, **terms: Any) -> None:
        self.ledger = ledger
        params = ExperimentParams(
            name="relay",
            spec=content(1),
            initial=content(2),
            **{"rounds": 3, "min_learners": 5, "max_learners": 5, **terms},
        )
        self.id = ledger.create(params).wait().experiment
        for wallet in LEARNERS:
            ledger.acting_for(wallet).join(self.id).wait()
        if propose:
            ledger.acting_for(LEARNERS[0]).propose(self.id, 0, content(3), Scores()).wait()

    def ballot(self, i: int, approve: bool = True, at: int = 0) -> SignedBallot:
        vote = Vote(approve, Scores(0.25, None))
        return sign_ballot(LEARNERS[i], self.ledger.domain, self.id, at, vote)

    def state(self, i: int) -> BallotState:
        return self.ledger.ballot(self.id, 0, LEARNERS[i].address).state


def new_place(**params: Any) -> Place:
    return Place(LocalLedger.new(PAYER, clock=lambda: 1_000.0), **params)


def relay_of(place: Place, **config: Any) -> Relay:
    return Relay(place.ledger, **{"wait": 1_000.0, **config})
