"""Ballots reach a relay over HTTP, and what is not a ballot is refused."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import Scores, Vote, VoteCast
from colearn_ledger.relay.http import InvalidRelayUrl, RelayClient, serving
from colearn_ledger.relay.relay import BallotRefused
from tests.support.relay_place import LEARNERS, Place, relay_of
from tests.support.waiting import LIMIT


@pytest.fixture
def place() -> Place:
    return Place()


class TestOverHttp:
    def post(self, url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT)
        connection.request("POST", "/ballots", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def test_ballot_arrives_as_it_was_signed(self):
        place = Place(proposers=16, proposed=5)
        scores = [Scores(0.25, None), Scores(None, -0.0), Scores(float("inf"), 1e-300)]
        vote = Vote(0b11101, (*scores, *scores))
        relay = relay_of(place, wait=0.0)
        with serving(relay, "127.0.0.1", 0) as url:
            RelayClient(url).offer(place.basis, place.sign(1, vote))
        relay.carry_due()
        cast = [e.event for e in place.ledger.events(place.id) if isinstance(e.event, VoteCast)]
        assert [event.vote for event in cast] == [vote]

    def test_second_and_different_ballot_gets_409(self, place):
        relay = relay_of(place)
        with serving(relay, "127.0.0.1", 0) as url:
            client = RelayClient(url)
            client.offer(place.basis, place.ballot(1))
            client.offer(place.basis, place.ballot(1))  # the same ballot again
            with pytest.raises(BallotRefused, match="another ballot"):
                client.offer(place.basis, place.ballot(1, approvals=0))
        assert relay.waiting == 1

    def test_ballot_on_other_proposals_gets_409_with_a_reason(self, place):
        other = Place(domain=place.ledger.domain, weights=4)
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            status, answer = self.post(url, json.dumps(document_of(other)).encode())
        assert status == 409
        assert place.basis.proposals.hex() in answer["error"]

    def test_request_that_is_too_large_gets_413(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            assert self.post(url, b"1" * 3_000)[0] == 413

    def test_refusal_has_a_reason(self, place):
        with (
            serving(relay_of(place), "127.0.0.1", 0) as url,
            pytest.raises(BallotRefused, match="would not count"),
        ):
            RelayClient(url).offer(place.basis, place.ballot(0))

    def test_full_relay_may_accept_the_ballot_later(self, place, monkeypatch):
        monkeypatch.setattr("colearn_ledger.relay.relay._MOST_WAITING", 0)
        with (
            serving(relay_of(place), "127.0.0.1", 0) as url,
            pytest.raises(LedgerUnavailable, match="already waiting"),
        ):
            RelayClient(url).offer(place.basis, place.ballot(1))

    def test_closed_port_is_unavailable(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            client = RelayClient(url)
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            client.offer(place.basis, place.ballot(1))

    @pytest.mark.parametrize("url", ["", "relay:8650", "ftp://relay", "http://", "http://a:b"])
    def test_malformed_url_is_refused(self, url: str):
        with pytest.raises(InvalidRelayUrl):
            RelayClient(url)

    def test_health_reports_the_number_of_waiting_ballots(self, place):
        relay = relay_of(place)
        relay.offer(place.basis, place.ballot(1))
        with serving(relay, "127.0.0.1", 0) as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT)
            connection.request("GET", "/health")
            assert json.loads(connection.getresponse().read()) == {"waiting": 1, "carried": 0}

    @pytest.mark.parametrize(
        "change",
        [
            {"approvals": True},
            {"approvals": None},
            {"approvals": -1},
            {"approvals": 2**16},
            {"experiment": "1"},
            {"experiment": True},
            {"experiment": 2**64},
            {"round": -1},
            {"round": 2**32},
            {"proposals": "00" * 31},
            {"proposals": None},
            {"learner": "alice"},
            {"learner": None},
            {"scores": ""},
            {"scores": "3fe0000000000000"},
            {"scores": "3FE0000000000000" * 4},
            {"scores": "3fe0000000000000" * 36},
            {"scores": [0.5, None]},
            {"signature": "00"},
            {"signature": None},
            {"more": 1},
        ],
        ids=str,
    )
    def test_malformed_ballot_is_refused(self, place, change):
        good = document_of(place)
        relay = relay_of(place)
        with serving(relay, "127.0.0.1", 0) as url:
            status, answer = self.post(url, json.dumps({**good, **change}).encode())
            assert (status, relay.waiting) == (400, 0)
            assert answer["error"]
            assert self.post(url, json.dumps(good).encode())[0] == 202

    def test_learner_of_another_kind_of_chain_is_refused(self, place):
        document = {**document_of(place), "learner": LEARNERS[1].cosmos_address("wasm")}
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            assert self.post(url, json.dumps(document).encode())[0] == 409

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 2_000])
    def test_bytes_that_are_not_a_ballot_are_refused(self, place, body: bytes):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            assert self.post(url, body)[0] == 400

    def test_other_paths_are_not_found(self, place):
        with serving(relay_of(place), "127.0.0.1", 0) as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=LIMIT)
            connection.request("GET", "/")
            assert connection.getresponse().status == 404


def document_of(place: Place) -> dict[str, Any]:
    """Return a valid ballot as the JSON document that a relay takes."""
    ballot = place.ballot(1)
    return {
        "experiment": place.id,
        "round": 0,
        "proposals": place.basis.proposals.hex(),
        "learner": ballot.learner,
        "approvals": 1,
        "scores": ("3fd0000000000000" + "7ff8000000000000") * 2,
        "signature": ballot.signature.hex(),
    }
