"""The relay: takes what the ledger would count, carries it once, in batches, and over HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any

import pytest

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import (
    BallotState,
    ContentRef,
    ExperimentParams,
    Outcome,
    Scores,
    SignedBallot,
    Vote,
    VoteCast,
    WrongPhase,
)
from colearn_ledger.reference import LocalLedger
from colearn_ledger.relay.http import InvalidRelayUrl, RelayClient, serving
from colearn_ledger.relay.relay import BallotRefused, Relay, RelayCarrier, RelayFull
from tests.support.waiting import LIMIT

PAYER = Wallet.from_key(b"\x77" * 32)
LEARNERS = [Wallet.from_key(bytes([i + 1]) * 32) for i in range(5)]


def content(n: int) -> ContentRef:
    digest = bytes([n]) * 32
    return ContentRef.from_digest(0x55, digest, digest.hex(), 10)


class Place:
    """An experiment of five learners whose first proposal is being voted on."""

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


@pytest.fixture
def place() -> Place:
    return Place(LocalLedger.new(PAYER, clock=lambda: 1_000.0))


def relay_of(place: Place, **config: Any) -> Relay:
    return Relay(place.ledger, **{"wait": 1_000.0, **config})


class TestTaking:
    def test_ballots_wait_until_all_have_come_and_go_in_one_transaction(self, place):
        relay = relay_of(place)
        for i in (1, 2, 3):
            relay.offer(place.id, 0, place.ballot(i))
        relay.carry_due()
        assert place.state(1) == BallotState.NONE
        relay.offer(place.id, 0, place.ballot(4, approve=False))
        relay.carry_due()
        held = place.ledger.round(place.id, 0)
        assert (held.approvals, held.rejections, held.outcome) == (3, 1, Outcome.ACCEPTED)
        assert (relay.carried, relay.waiting) == (4, 0)
        transactions = {
            e.transaction for e in place.ledger.events(place.id) if isinstance(e.event, VoteCast)
        }
        assert len(transactions) == 1

    def test_a_full_batch_goes_out_at_once_and_the_rest_waits(self, place):
        relay = relay_of(place, batch=2)
        for i in (1, 2, 3):
            relay.offer(place.id, 0, place.ballot(i))
        relay.carry_due()
        states = [place.state(i) for i in (1, 2, 3)]
        assert states == [BallotState.APPROVED, BallotState.APPROVED, BallotState.NONE]
        assert relay.waiting == 1

    def test_an_old_ballot_goes_out_alone(self, place):
        relay = relay_of(place, wait=0.0)
        relay.offer(place.id, 0, place.ballot(1))
        relay.carry_due()
        assert place.state(1) == BallotState.APPROVED

    def test_offering_again_changes_nothing(self, place):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        relay.offer(place.id, 0, place.ballot(1, approve=False))
        assert relay.waiting == 1
        relay.carry_due(all_of_them=True)
        assert place.state(1) == BallotState.APPROVED

    def test_what_waits_is_carried_when_the_relay_ends(self, place):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        stop = threading.Event()
        stop.set()
        relay.run(stop)
        assert place.state(1) == BallotState.APPROVED

    def test_a_round_that_closed_meanwhile_is_let_go(self, place):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        place.ledger.cancel(place.id).wait()
        relay.carry_due(all_of_them=True)
        assert (relay.waiting, relay.carried) == (0, 0)

    def test_a_ledger_that_does_not_answer_loses_nothing(self, place, monkeypatch):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))

        def down(*_: object) -> None:
            raise LedgerUnavailable("down")

        with monkeypatch.context() as broken:
            broken.setattr(place.ledger, "vote_signed", down)
            relay.carry_due(all_of_them=True)
        assert relay.waiting == 1
        relay.carry_due(all_of_them=True)
        assert place.state(1) == BallotState.APPROVED


class TestRefusing:
    def refused(self, relay: Relay, place: Place, ballot: SignedBallot, at: int = 0) -> str:
        with pytest.raises(BallotRefused) as caught:
            relay.offer(place.id, at, ballot)
        assert relay.waiting == 0
        return str(caught.value)

    def test_a_ballot_that_its_learner_did_not_sign(self, place):
        forged = place.ballot(1)
        forged = SignedBallot(LEARNERS[2].address, forged.vote, forged.signature)
        assert "not signed" in self.refused(relay_of(place), place, forged)

    def test_a_ballot_signed_for_another_round(self, place):
        assert "not signed" in self.refused(relay_of(place), place, place.ballot(1, at=1))
        assert "would not count" in self.refused(relay_of(place), place, place.ballot(1, at=1), 1)

    def test_the_proposers_and_a_strangers(self, place):
        assert "would not count" in self.refused(relay_of(place), place, place.ballot(0))
        vote = Vote(True)
        stranger = sign_ballot(PAYER, place.ledger.domain, place.id, 0, vote)
        assert "would not count" in self.refused(relay_of(place), place, stranger)

    def test_a_second_ballot(self, place):
        place.ledger.acting_for(LEARNERS[1]).vote(place.id, 0, Vote(True)).wait()
        assert "would not count" in self.refused(relay_of(place), place, place.ballot(1))

    def test_secret_ballots_and_rounds_without_a_proposal(self):
        ledger = LocalLedger.new(PAYER, clock=lambda: 1_000.0)
        secret = Place(ledger, reveal_window=100)
        self.refused(relay_of(secret), secret, secret.ballot(1))
        early = Place(ledger, propose=False)
        self.refused(relay_of(early), early, early.ballot(1))

    def test_other_experiments(self, place):
        relay = relay_of(place, experiments=[place.id + 1])
        assert "does not carry" in self.refused(relay, place, place.ballot(1))

    def test_more_than_it_can_hold(self, place, monkeypatch):
        monkeypatch.setattr("colearn_ledger.relay.relay._MOST_HELD", 1)
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        with pytest.raises(RelayFull):
            relay.offer(place.id, 0, place.ballot(2))


class TestOverHttp:
    def post(self, url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT)
        connection.request("POST", "/ballots", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def test_a_ballot_arrives_as_it_was_signed(self, place):
        relay = relay_of(place, wait=0.0)
        with serving(relay, "127.0.0.1", 0) as url:
            RelayClient(url).offer(place.id, 0, place.ballot(1))
        relay.carry_due()
        assert place.state(1) == BallotState.APPROVED
        cast = [e.event for e in place.ledger.events(place.id) if isinstance(e.event, VoteCast)]
        assert cast[0].vote.scores == Scores(0.25, None)

    def test_a_refusal_says_why(self, place):
        with (
            serving(relay_of(place), "127.0.0.1", 0) as url,
            pytest.raises(BallotRefused, match="would not count"),
        ):
            RelayClient(url).offer(place.id, 0, place.ballot(0))

    def test_no_room_is_no_refusal(self, place, monkeypatch):
        monkeypatch.setattr("colearn_ledger.relay.relay._MOST_HELD", 0)
        with (
            serving(relay_of(place), "127.0.0.1", 0) as url,
            pytest.raises(LedgerUnavailable, match="wait already"),
        ):
            RelayClient(url).offer(place.id, 0, place.ballot(1))

    def test_a_relay_that_is_not_there(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            client = RelayClient(url)
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            client.offer(place.id, 0, place.ballot(1))

    @pytest.mark.parametrize("url", ["", "relay:8650", "ftp://relay", "http://", "http://a:b"])
    def test_what_is_no_url(self, url: str):
        with pytest.raises(InvalidRelayUrl):
            RelayClient(url)

    def test_health_tells_what_waits(self, place):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        with serving(relay, "127.0.0.1", 0) as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT)
            connection.request("GET", "/health")
            assert json.loads(connection.getresponse().read()) == {"waiting": 1, "carried": 0}

    @pytest.mark.parametrize(
        "change",
        [
            {"approve": 1},
            {"approve": None},
            {"experiment": "1"},
            {"experiment": True},
            {"round": -1},
            {"round": 2**64},
            {"learner": "alice"},
            {"learner": None},
            {"vote_score": 0.5},
            {"vote_score": "3FE0000000000000"},
            {"signature": "00"},
            {"signature": None},
            {"more": 1},
        ],
        ids=str,
    )
    def test_what_is_no_ballot(self, place, change):
        ballot = place.ballot(1)
        good = {
            "experiment": place.id,
            "round": 0,
            "learner": ballot.learner,
            "approve": True,
            "vote_score": "3fd0000000000000",
            "test_score": None,
            "signature": ballot.signature.hex(),
        }
        relay = relay_of(place)
        with serving(relay, "127.0.0.1", 0) as url:
            status, said = self.post(url, json.dumps({**good, **change}).encode())
            assert (status, relay.waiting) == (400, 0)
            assert said["error"]
            assert self.post(url, json.dumps(good).encode())[0] == 202

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 2_000, b"1" * 3_000])
    def test_bytes_that_are_nothing(self, place, body: bytes):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            assert self.post(url, body)[0] == 400

    def test_other_paths(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT)
            connection.request("GET", "/")
            assert connection.getresponse().status == 404


class TestCarrier:
    def test_it_waits_until_the_ballot_is_counted(self, place):
        relay = relay_of(place, wait=0.0)
        view = place.ledger.acting_for(LEARNERS[1])
        pending = RelayCarrier(view, LEARNERS[1], relay, poll=0.0).vote(place.id, 0, Vote(True))
        with pytest.raises(LedgerUnavailable, match="did not carry"):
            pending.wait(0.0)
        relay.carry_due()
        assert pending.wait(0.0).cost == 0

    def test_a_round_that_closed_without_it(self, place):
        view = place.ledger.acting_for(LEARNERS[1])
        carrier = RelayCarrier(view, LEARNERS[1], relay_of(place), poll=0.0)
        pending = carrier.vote(place.id, 0, Vote(True))
        place.ledger.cancel(place.id).wait()
        with pytest.raises(WrongPhase):
            pending.wait(LIMIT)

    def test_a_ballot_that_is_counted_and_closes_the_round_between_two_looks(self, place):
        relay = relay_of(place)
        for i in (2, 3, 4):
            relay.offer(place.id, 0, place.ballot(i))
        view = CarriesAfterFirstLook(place.ledger.acting_for(LEARNERS[1]), relay)
        pending = RelayCarrier(view, LEARNERS[1], relay, poll=0.0).vote(place.id, 0, Vote(True))
        view.armed = True
        assert pending.wait(LIMIT).cost == 0
        assert place.ledger.round(place.id, 0).outcome == Outcome.ACCEPTED


class CarriesAfterFirstLook:
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
