"""An experiment in the vote on the proposals of its first round, for tests of relays."""

from __future__ import annotations

from typing import Any

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    BallotState,
    Basis,
    ContentRef,
    ExperimentParams,
    Scores,
    SignedBallot,
    SigningDomain,
    Vote,
)
from colearn_ledger.reference import LocalLedger
from colearn_ledger.relay.relay import Relay

PAYER = Wallet.from_key(b"\x77" * 32)
LEARNERS = [Wallet.from_key(bytes([i + 1]) * 32) for i in range(5)]
SCORES = Scores(0.25, None)


def content(n: int) -> ContentRef:
    digest = bytes([n]) * 32
    return ContentRef.from_digest(0x55, digest, digest.hex(), 10)


class Place:
    """An experiment of five learners; the first of them propose, in this order.

    Args:
        domain: the ledger's signing domain, by default a new one.
        proposed: number of slots with a proposal; the other ones decline. ``None`` leaves all open.
        weights: the first proposal; other ones make other digests.
        terms: parameters of the experiment.
    """

    def __init__(
        self,
        *,
        domain: SigningDomain | None = None,
        proposed: int | None = 1,
        weights: int = 3,
        **terms: Any,
    ) -> None:
        self.seconds = 1_000.0
        self.ledger = LocalLedger.new(PAYER, clock=lambda: self.seconds, domain=domain)
        params = ExperimentParams(
            name="relay",
            spec=content(1),
            initial=content(2),
            **{"rounds": 3, "min_learners": 5, "max_learners": 5, **terms},
        )
        self.id = self.ledger.create(params).wait().experiment
        experiment_hash = self.ledger.experiment(self.id).hash
        for wallet in LEARNERS:
            self.ledger.acting_for(wallet).join(self.id, experiment_hash).wait()
        if proposed is not None:
            self._propose(proposed, weights)

    def _propose(self, proposed: int, weights: int) -> None:
        for slot in range(len(self.ledger.round(self.id, 0).slots)):
            proposer = self.ledger.acting_for(LEARNERS[slot])
            if slot < proposed:
                proposer.propose(self.id, 0, content(weights + slot), Scores()).wait()
            else:
                proposer.decline(self.id, 0).wait()

    @property
    def basis(self) -> Basis:
        """Return what ballots of round 0 judge."""
        return Basis(self.id, 0, self.ledger.round(self.id, 0).proposals or bytes(32))

    def vote(self, approvals: int = 1) -> Vote:
        """Return a vote with as many scores as the round needs."""
        return Vote(approvals, (SCORES,) * (1 + len(self.ledger.round(self.id, 0).contents)))

    def ballot(self, i: int, approvals: int = 1, *, basis: Basis | None = None) -> SignedBallot:
        """Return a learner's signed ballot, by default on the proposals of round 0."""
        return self.sign(i, self.vote(approvals), basis=basis)

    def sign(self, i: int, vote: Vote, *, basis: Basis | None = None) -> SignedBallot:
        return sign_ballot(LEARNERS[i], self.ledger.domain, basis or self.basis, vote)

    def state(self, i: int) -> BallotState:
        return self.ledger.ballot(self.id, 0, LEARNERS[i].address).state

    def close_round(self) -> None:
        """Close the vote at its deadline."""
        self.seconds += 10_000
        self.ledger.advance(self.id).wait()


class ChangingLedger:
    """A ledger that a test can replace by another, as a reorg does."""

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


def relay_of(place: Place, **config: Any) -> Relay:
    return Relay(place.ledger, **{"wait": 1_000.0, **config})
