"""Learners cast ballots through a relay, or through the first of several that accepts them."""

from __future__ import annotations

from typing import Any

import pytest

from colearn_ledger.ledger import LedgerUnavailable, Pending
from colearn_ledger.protocol import (
    LedgerError,
    Outcome,
    WrongPhase,
    WrongProposals,
)
from colearn_ledger.relay.relay import (
    BallotRefused,
    Relay,
    RelayCarrier,
    RelayFull,
    RelayList,
)
from tests.support.relay_place import LEARNERS, ChangingLedger, Place, relay_of
from tests.support.waiting import LIMIT


@pytest.fixture
def place() -> Place:
    return Place()


class AnsweringRelay:
    """A relay that answers each offer with an error, or accepts it."""

    def __init__(self, error: LedgerError | None = None) -> None:
        self.error = error
        self.offers = 0

    def offer(self, *_: object) -> None:
        self.offers += 1
        if self.error is not None:
            raise self.error


class TestRelayList:
    @pytest.mark.parametrize(
        "error", [LedgerUnavailable("down"), RelayFull("full"), BallotRefused("not this one")]
    )
    def test_next_relay_is_tried_when_one_fails(self, place, error: LedgerError):
        relays = [AnsweringRelay(error), AnsweringRelay(), AnsweringRelay()]
        RelayList(relays).offer(place.basis, place.ballot(1))
        assert [relay.offers for relay in relays] == [1, 1, 0]

    def test_ballot_that_all_relays_refuse_is_refused(self, place):
        relays = RelayList([AnsweringRelay(BallotRefused("a")), AnsweringRelay(BallotRefused("b"))])
        with pytest.raises(BallotRefused, match="a; b"):
            relays.offer(place.basis, place.ballot(1))

    def test_ballot_that_a_relay_may_accept_later_is_not_refused(self, place):
        relays = RelayList(
            [AnsweringRelay(BallotRefused("a")), AnsweringRelay(LedgerUnavailable("b"))]
        )
        with pytest.raises(LedgerUnavailable, match="a; b"):
            relays.offer(place.basis, place.ballot(1))


def cast_through(relay: Relay, view: Any, place: Place) -> Pending:
    """Cast the second learner's ballot, which approves the proposal, through a relay."""
    carrier = RelayCarrier(view, LEARNERS[1], relay, poll=0.0)
    return carrier.vote(place.id, 0, place.basis.proposals, place.vote())


class TestCarrier:
    def test_carrier_waits_until_the_ballot_is_counted(self, place):
        relay = relay_of(place, wait=0.0)
        pending = cast_through(relay, place.ledger, place)
        with pytest.raises(LedgerUnavailable, match="did not submit"):
            pending.wait(0.0)
        relay.carry_due()
        assert pending.wait(0.0).cost == 0

    def test_round_that_closed_without_the_ballot_is_reported(self, place):
        pending = cast_through(relay_of(place), place.ledger, place)
        place.close_round()
        with pytest.raises(WrongPhase):
            pending.wait(LIMIT)

    def test_proposals_that_changed_meanwhile_are_reported(self, place):
        view = ChangingLedger(place.ledger)
        pending = cast_through(relay_of(place), view, place)
        view.ledger = Place(domain=place.ledger.domain, weights=4).ledger
        with pytest.raises(WrongProposals):
            pending.wait(LIMIT)

    def test_carrier_waits_for_proposals_that_a_reorg_removed(self, place):
        view = ChangingLedger(place.ledger)
        pending = cast_through(relay_of(place, wait=0.0), view, place)
        view.ledger = Place(domain=place.ledger.domain, proposed=None).ledger
        with pytest.raises(LedgerUnavailable):
            pending.wait(0.0)

    def test_ballot_that_closes_the_round_between_two_queries_is_counted(self, place):
        relay = relay_of(place)
        for i in (2, 3, 4):
            relay.offer(place.basis, place.ballot(i))
        view = CountsAfterFirstQuery(place.ledger, relay)
        pending = cast_through(relay, view, place)
        view.armed = True
        assert pending.wait(LIMIT).cost == 0
        assert place.ledger.round(place.id, 0).outcome == Outcome.ACCEPTED


class CountsAfterFirstQuery:
    """A view of a ledger that changes right after the first query."""

    def __init__(self, ledger: Any, relay: Relay) -> None:
        self.ledger, self.relay, self.armed = ledger, relay, False

    def __getattr__(self, name: str) -> Any:
        if name not in ("ballot", "round"):
            return getattr(self.ledger, name)

        def ask(*arguments: object) -> object:
            answer = getattr(self.ledger, name)(*arguments)
            if self.armed:
                self.armed = False
                self.relay.carry_due()
            return answer

        return ask
