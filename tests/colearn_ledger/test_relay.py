"""The relay accepts the ballots that the ledger would count, and submits each once, in batches."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any

import pytest

from colearn_ledger.backoff import Backoff
from colearn_ledger.chains.errors import BadAnswer, EmptyWallet, NodeRefused, TransactionFailed
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import (
    Account,
    BallotState,
    LedgerError,
    Outcome,
    Scores,
    SignedBallot,
    Vote,
    VoteCast,
)
from colearn_ledger.reference import LocalLedger
from colearn_ledger.relay.http import InvalidRelayUrl, RelayClient, serving
from colearn_ledger.relay.relay import (
    BallotRefused,
    Relay,
    RelayFull,
)
from tests.support.relay_place import LEARNERS, PAYER, Place, new_place, relay_of
from tests.support.waiting import LIMIT, Clock

ERRORS = [
    LedgerUnavailable("down"),
    NodeRefused("limit exceeded"),
    BadAnswer("nonsense"),
    EmptyWallet(Account("0x" + "11" * 20), balance=0, needed=1),
    TransactionFailed("reverted"),
]


@pytest.fixture
def place() -> Place:
    return new_place()


class TestSubmission:
    def test_ballots_wait_until_all_arrived_and_are_sent_in_one_transaction(self, place):
        relay = relay_of(place)
        for i in (1, 2, 3):
            relay.offer(place.id, 0, place.ballot(i))
        relay.carry_due()
        assert place.state(1) == BallotState.NONE
        relay.offer(place.id, 0, place.ballot(4, approve=False))
        relay.carry_due()
        round_ = place.ledger.round(place.id, 0)
        assert (round_.approvals, round_.rejections, round_.outcome) == (3, 1, Outcome.ACCEPTED)
        assert (relay.carried, relay.waiting) == (4, 0)
        transactions = {
            e.transaction for e in place.ledger.events(place.id) if isinstance(e.event, VoteCast)
        }
        assert len(transactions) == 1

    def test_full_batch_is_submitted_at_once(self, place):
        relay = relay_of(place, batch=2)
        for i in (1, 2, 3):
            relay.offer(place.id, 0, place.ballot(i))
        relay.carry_due()
        states = [place.state(i) for i in (1, 2, 3)]
        assert states == [BallotState.APPROVED, BallotState.APPROVED, BallotState.NONE]
        assert relay.waiting == 1

    def test_old_ballot_is_submitted_alone(self, place):
        relay = relay_of(place, wait=0.0)
        relay.offer(place.id, 0, place.ballot(1))
        relay.carry_due()
        assert place.state(1) == BallotState.APPROVED

    def test_offering_again_changes_nothing(self, place):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        relay.offer(place.id, 0, place.ballot(1))
        assert relay.waiting == 1
        relay.carry_due(all_of_them=True)
        assert place.state(1) == BallotState.APPROVED

    def test_waiting_ballots_are_submitted_when_the_relay_ends(self, place):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        stop = threading.Event()
        stop.set()
        relay.run(stop)
        assert place.state(1) == BallotState.APPROVED

    def test_ballots_of_a_closed_round_are_dropped(self, place):
        relay = relay_of(place)
        relay.offer(place.id, 0, place.ballot(1))
        place.ledger.cancel(place.id).wait()
        relay.carry_due(all_of_them=True)
        assert (relay.waiting, relay.carried) == (0, 0)

    @pytest.mark.parametrize("query", ["vote_signed", "round", "experiment"])
    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_no_error_of_the_ledger_loses_a_ballot_or_ends_the_relay(
        self, place, monkeypatch, error: LedgerError, query: str
    ):
        relay = relay_of(place, wait=0.0)
        relay.offer(place.id, 0, place.ballot(1))
        stop = threading.Event()

        def fail(*_: object) -> None:
            stop.set()
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(place.ledger, query, fail)
            relay.run(stop)
        assert relay.waiting == 1
        relay.carry_due(all_of_them=True)
        assert place.state(1) == BallotState.APPROVED

    def test_pauses_grow_after_each_failure_and_end_with_success(self, place, monkeypatch):
        clock = Clock()
        monkeypatch.setattr("colearn_ledger.relay.relay.time", clock)
        monkeypatch.setattr(
            "colearn_ledger.relay.relay._BACKOFF", Backoff(1.0, 60.0, fraction=lambda: 0.0)
        )
        relay, attempts = relay_of(place, wait=0.0), []
        relay.offer(place.id, 0, place.ballot(1))
        start = clock.time()

        def fail(*_: object) -> None:
            attempts.append(clock.time() - start)
            raise NodeRefused("limit exceeded")

        with monkeypatch.context() as broken:
            broken.setattr(place.ledger, "vote_signed", fail)
            for _ in range(8):
                relay.carry_due()
                clock.sleep(1.0)
        assert attempts == [0.0, 1.0, 3.0, 7.0]
        clock.sleep(8.0)
        relay.carry_due()
        assert place.state(1) == BallotState.APPROVED


class TestRefusals:
    def refuse(self, relay: Relay, place: Place, ballot: SignedBallot, at: int = 0) -> str:
        with pytest.raises(BallotRefused) as caught:
            relay.offer(place.id, at, ballot)
        assert relay.waiting == 0
        return str(caught.value)

    def test_ballot_with_a_forged_signature_is_refused(self, place):
        forged = place.ballot(1)
        forged = SignedBallot(LEARNERS[2].address, forged.vote, forged.signature)
        assert "not signed" in self.refuse(relay_of(place), place, forged)

    def test_ballot_for_another_round_is_refused(self, place):
        assert "not signed" in self.refuse(relay_of(place), place, place.ballot(1, at=1))
        assert "would not count" in self.refuse(relay_of(place), place, place.ballot(1, at=1), 1)

    def test_ballots_of_the_proposer_and_of_strangers_are_refused(self, place):
        assert "would not count" in self.refuse(relay_of(place), place, place.ballot(0))
        vote = Vote(True)
        stranger = sign_ballot(PAYER, place.ledger.domain, place.id, 0, vote)
        assert "would not count" in self.refuse(relay_of(place), place, stranger)

    def test_ballot_after_a_counted_one_is_refused(self, place):
        place.ledger.acting_for(LEARNERS[1]).vote(place.id, 0, Vote(True)).wait()
        assert "would not count" in self.refuse(relay_of(place), place, place.ballot(1))

    def test_ballots_of_secret_rounds_and_before_a_proposal_are_refused(self):
        ledger = LocalLedger.new(PAYER, clock=lambda: 1_000.0)
        secret = Place(ledger, reveal_window=100)
        self.refuse(relay_of(secret), secret, secret.ballot(1))
        early = Place(ledger, propose=False)
        self.refuse(relay_of(early), early, early.ballot(1))

    def test_ballots_of_other_experiments_are_refused(self, place):
        relay = relay_of(place, experiments=[place.id + 1])
        assert "does not carry" in self.refuse(relay, place, place.ballot(1))

    def test_full_relay_accepts_no_ballot(self, place, monkeypatch):
        monkeypatch.setattr("colearn_ledger.relay.relay._MOST_WAITING", 1)
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

    def test_ballot_arrives_as_it_was_signed(self, place):
        relay = relay_of(place, wait=0.0)
        with serving(relay, "127.0.0.1", 0) as url:
            RelayClient(url).offer(place.id, 0, place.ballot(1))
        relay.carry_due()
        assert place.state(1) == BallotState.APPROVED
        cast = [e.event for e in place.ledger.events(place.id) if isinstance(e.event, VoteCast)]
        assert cast[0].vote.scores == Scores(0.25, None)

    def test_second_and_different_ballot_gets_409(self, place):
        relay = relay_of(place)
        with serving(relay, "127.0.0.1", 0) as url:
            client = RelayClient(url)
            client.offer(place.id, 0, place.ballot(1))
            client.offer(place.id, 0, place.ballot(1))  # the same ballot again
            with pytest.raises(BallotRefused, match="another ballot"):
                client.offer(place.id, 0, place.ballot(1, approve=False))
        assert relay.waiting == 1

    def test_request_that_is_too_large_gets_413(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            assert self.post(url, b"1" * 3_000)[0] == 413

    def test_refusal_has_a_reason(self, place):
        with (
            serving(relay_of(place), "127.0.0.1", 0) as url,
            pytest.raises(BallotRefused, match="would not count"),
        ):
            RelayClient(url).offer(place.id, 0, place.ballot(0))

    def test_full_relay_may_accept_the_ballot_later(self, place, monkeypatch):
        monkeypatch.setattr("colearn_ledger.relay.relay._MOST_WAITING", 0)
        with (
            serving(relay_of(place), "127.0.0.1", 0) as url,
            pytest.raises(LedgerUnavailable, match="already waiting"),
        ):
            RelayClient(url).offer(place.id, 0, place.ballot(1))

    def test_closed_port_is_unavailable(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            client = RelayClient(url)
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            client.offer(place.id, 0, place.ballot(1))

    @pytest.mark.parametrize("url", ["", "relay:8650", "ftp://relay", "http://", "http://a:b"])
    def test_malformed_url_is_refused(self, url: str):
        with pytest.raises(InvalidRelayUrl):
            RelayClient(url)

    def test_health_reports_the_number_of_waiting_ballots(self, place):
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
    def test_malformed_ballot_is_refused(self, place, change):
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
            status, answer = self.post(url, json.dumps({**good, **change}).encode())
            assert (status, relay.waiting) == (400, 0)
            assert answer["error"]
            assert self.post(url, json.dumps(good).encode())[0] == 202

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 2_000])
    def test_bytes_that_are_not_a_ballot_are_refused(self, place, body: bytes):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            assert self.post(url, body)[0] == 400

    def test_other_paths_are_not_found(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT)
            connection.request("GET", "/")
            assert connection.getresponse().status == 404
