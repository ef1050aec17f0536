"""A relay over HTTP: ``POST /ballots`` with one signed ballot in JSON, ``GET /health``.

    {"experiment": 1, "round": 0, "learner": "0x…", "approve": true,
     "vote_score": "3febf05a3c8d1e27", "test_score": null, "signature": "…130 digits…"}

On a Cosmos chain the signature has 194 digits and the learner is ``wasm1…``.
Scores are the 16 hexadecimal digits of their binary64 bits. 202: taken. 400: no ballot. 409: the
ledger would not count it. 429: no room. 503: the ledger can not be asked now.
"""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from typing import Any

from colearn_ledger.http import Answer, HttpClient, HttpError, InvalidUrl, NotJson
from colearn_ledger.http_serving import Answering, answering
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.networks.references import InvalidReference, account_address
from colearn_ledger.protocol import (
    ExperimentId,
    LedgerError,
    Scores,
    SignedBallot,
    Vote,
    bits_to_score,
    score_to_bits,
)
from colearn_ledger.relay.relay import BallotRefused, Relay, RelayFull
from colearn_ledger.text.strict_json import InvalidJson, load

__all__ = ["InvalidRelayUrl", "RelayClient", "serving"]

_MAX_BYTES = 2_048  # of a request or an answer
_TIMEOUT = 10.0  # seconds for handing a ballot over
_ACCEPTED, _BAD_REQUEST, _CONFLICT = 202, 400, 409
_BITS = re.compile(r"[0-9a-f]{16}")
_SIGNATURE = re.compile(r"[0-9a-f]{130}|[0-9a-f]{194}")
_FIELDS = {"experiment", "round", "learner", "approve", "vote_score", "test_score", "signature"}


class InvalidRelayUrl(LedgerError):
    """The text is not the URL of a relay."""


class _NoBallot(LedgerError):
    """What came is no ballot."""


# --------------------------------------------------------------------------------- server


def serving(relay: Relay, host: str, port: int) -> AbstractContextManager[str]:
    """Take ballots at an address until the end of the block; gives the URL.

    Args:
        relay: takes them.
        host: to listen on.
        port: to listen on; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    return answering(_Handler, relay, host, port)


class _Handler(Answering):
    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        if self.path != "/health":
            self._answer(404, {"error": "there is /health and /ballots"})
            return
        relay = self.server.subject
        self._answer(200, {"waiting": relay.waiting, "carried": relay.carried})

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        if self.path != "/ballots":
            self._answer(404, {"error": "there is /health and /ballots"})
            return
        try:
            self.server.subject.offer(*_ballot_in(self._body()))
        except _NoBallot as error:
            self._answer(400, {"error": str(error)})
        except BallotRefused as error:
            self._answer(409, {"error": str(error)})
        except RelayFull as error:
            self._answer(429, {"error": str(error)})
        except LedgerError as error:
            self._answer(503, {"error": str(error)})
        else:
            self._answer(202, {"taken": True})

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_BYTES:
            raise _NoBallot(f"a ballot has a Content-Length of up to {_MAX_BYTES} bytes")
        return self.rfile.read(int(length))

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        self.answer(status, "application/json", json.dumps(document).encode())


def _ballot_in(body: bytes) -> tuple[ExperimentId, int, SignedBallot]:
    try:
        document = load(body)
    except InvalidJson as error:
        raise _NoBallot(f"not JSON: {error}") from error
    if not isinstance(document, dict) or set(document) != _FIELDS:
        raise _NoBallot(f"a ballot has the fields {', '.join(sorted(_FIELDS))}")
    numbers = document["experiment"], document["round"]
    if any(type(number) is not int or not 0 <= number < 2**64 for number in numbers):
        raise _NoBallot("experiment and round are whole numbers")
    if type(document["approve"]) is not bool:
        raise _NoBallot("approve is true or false")
    scores = Scores(_score_in(document["vote_score"]), _score_in(document["test_score"]))
    signature = document["signature"]
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise _NoBallot(
            "the signature has 130 hexadecimal digits, or 194 on a Cosmos chain, in lower case"
        )
    try:
        learner = account_address(str(document["learner"]))
    except InvalidReference as error:
        raise _NoBallot(str(error)) from error
    ballot = SignedBallot(learner, Vote(document["approve"], scores), bytes.fromhex(signature))
    return ExperimentId(numbers[0]), numbers[1], ballot


def _score_in(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _BITS.fullmatch(value):
        raise _NoBallot("a score is null, or 16 hexadecimal digits in lower case")
    return bits_to_score(int(value, 16))


# --------------------------------------------------------------------------------- client


class RelayClient:
    """A relay behind HTTP; implements `colearn_ledger.relay.relay.BallotTaker`.

    Args:
        url: ``http://host:port`` or ``https://host``.

    Raises:
        InvalidRelayUrl: it is not such a URL.
    """

    def __init__(self, url: str) -> None:
        try:
            self._client = HttpClient(url)
        except InvalidUrl as error:
            raise InvalidRelayUrl(
                f"{error}; a relay's URL looks like http://relay.example:8650"
            ) from error
        self._name = f"the relay {self._client.name}"

    def offer(self, experiment: ExperimentId, round_index: int, ballot: SignedBallot) -> None:
        """Hand a ballot over.

        Raises:
            BallotRefused: the relay will never carry it; the message has the reason.
            LedgerUnavailable: the relay cannot be reached, or cannot accept the ballot now.
        """
        scores = ballot.vote.scores
        body = {
            "experiment": experiment,
            "round": round_index,
            "learner": ballot.learner,
            "approve": ballot.vote.approve,
            "vote_score": _encode_score(scores.vote_score),
            "test_score": _encode_score(scores.test_score),
            "signature": ballot.signature.hex(),
        }
        try:
            answer = self._client.request(
                "POST",
                "/ballots",
                body=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                timeout=_TIMEOUT,
                max_bytes=_MAX_BYTES,
            )
        except HttpError as error:
            raise LedgerUnavailable(f"{self._name} {error.why}") from error
        if answer.status == _ACCEPTED:
            return
        reason = _reason_in(answer)
        if answer.status in (_BAD_REQUEST, _CONFLICT):
            raise BallotRefused(f"{self._name} refused the ballot: {reason}")
        raise LedgerUnavailable(f"{self._name} cannot accept ballots now: {reason}")


def _encode_score(score: float | None) -> str | None:
    return None if score is None else f"{score_to_bits(score):016x}"


def _reason_in(answer: Answer) -> str:
    """Return the reason in an answer, without characters that would steer a terminal."""
    try:
        reason = str(answer.json()["error"])
    except (NotJson, TypeError, KeyError, IndexError):
        reason = f"HTTP {answer.status}"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in reason)[:300]
