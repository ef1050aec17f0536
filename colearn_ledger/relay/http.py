"""A relay over HTTP: ``POST /ballots`` with one signed ballot in JSON, ``GET /health``.

    {"experiment": 1, "round": 0, "learner": "0x…", "approve": true,
     "vote_score": "3febf05a3c8d1e27", "test_score": null, "signature": "…130 digits…"}

On a Cosmos chain the signature has 194 digits and the learner is ``wasm1…``. Scores are the 16
hexadecimal digits of their binary64 bits.

202: accepted. 400: not a ballot. 409: the ledger would not count it, or another ballot of this
learner is waiting. 413: too large. 429: no room, or too many requests. 503: the ledger does not
answer.
"""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from colearn_ledger.http import Answer, HttpClient, HttpError, InvalidUrl, NotJson
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
from colearn_ledger.serve import Limits, serve
from colearn_ledger.text.strict_json import InvalidJson, load

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_MAX_BYTES = 2_048  # limit on a request or an answer
_TIMEOUT = 10.0  # seconds for handing over a ballot
_ACCEPTED, _BAD_REQUEST, _CONFLICT, _TOO_MANY, _UNAVAILABLE = 202, 400, 409, 429, 503
_BITS = re.compile(r"[0-9a-f]{16}")
_SIGNATURE = re.compile(r"[0-9a-f]{130}|[0-9a-f]{194}")
_FIELDS = {"experiment", "round", "learner", "approve", "vote_score", "test_score", "signature"}


class InvalidRelayUrl(LedgerError):
    """The text is not the URL of a relay."""


class _InvalidBallot(LedgerError):
    """The request is not a ballot."""


# --------------------------------------------------------------------------------- server


def serving(relay: Relay, host: str, port: int) -> AbstractContextManager[str]:
    """Accept ballots over HTTP until the end of the block, and yield the server's URL.

    Args:
        relay: receives the ballots.
        host: host name or address to listen on.
        port: port to listen on; 0 chooses a free one.

    Raises:
        AddressNotUsable: the port is in use, or the host is not an address of this machine.
        ServerNotInstalled: the server's packages are not installed.
    """
    return serve(lambda: _make_app(relay), host, port, limits=Limits(max_bytes=_MAX_BYTES))


def _make_app(relay: Relay) -> ASGIApp:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def accept(request: Request) -> JSONResponse:
        try:
            ballot = _parse_ballot(await request.body())
            await run_in_threadpool(relay.offer, *ballot)
        except LedgerError as error:
            return JSONResponse({"error": str(error)}, _status_for(error))
        return JSONResponse({"taken": True}, _ACCEPTED)

    def show_health(_: Request) -> JSONResponse:
        return JSONResponse({"waiting": relay.waiting, "carried": relay.carried})

    return Starlette(
        routes=[
            Route("/ballots", accept, methods=["POST"]),
            Route("/health", show_health, methods=["GET"]),
        ]
    )


def _status_for(error: LedgerError) -> int:
    statuses = {_InvalidBallot: _BAD_REQUEST, BallotRefused: _CONFLICT, RelayFull: _TOO_MANY}
    return statuses.get(type(error), _UNAVAILABLE)


def _parse_ballot(body: bytes) -> tuple[ExperimentId, int, SignedBallot]:
    try:
        document = load(body)
    except InvalidJson as error:
        raise _InvalidBallot(f"not JSON: {error}") from error
    if not isinstance(document, dict) or set(document) != _FIELDS:
        raise _InvalidBallot(f"a ballot has the fields {', '.join(sorted(_FIELDS))}")
    numbers = document["experiment"], document["round"]
    if any(type(number) is not int or not 0 <= number < 2**64 for number in numbers):
        raise _InvalidBallot("experiment and round are whole numbers")
    if type(document["approve"]) is not bool:
        raise _InvalidBallot("approve is true or false")
    scores = Scores(_parse_score(document["vote_score"]), _parse_score(document["test_score"]))
    signature = document["signature"]
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise _InvalidBallot(
            "the signature has 130 hexadecimal digits, or 194 on a Cosmos chain, in lower case"
        )
    try:
        learner = account_address(str(document["learner"]))
    except InvalidReference as error:
        raise _InvalidBallot(str(error)) from error
    ballot = SignedBallot(learner, Vote(document["approve"], scores), bytes.fromhex(signature))
    return ExperimentId(numbers[0]), numbers[1], ballot


def _parse_score(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _BITS.fullmatch(value):
        raise _InvalidBallot("a score is null, or 16 hexadecimal digits in lower case")
    return bits_to_score(int(value, 16))


# --------------------------------------------------------------------------------- client


class RelayClient:
    """Client of a relay over HTTP; implements `colearn_ledger.relay.relay.BallotTaker`.

    Args:
        url: ``http://host:port`` or ``https://host``.

    Raises:
        InvalidRelayUrl: the text is not such a URL.
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
        """Hand over a ballot.

        Raises:
            BallotRefused: the relay will never submit the ballot; the message explains why.
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
    """Return the reason given in an answer, without control characters for a terminal."""
    try:
        reason = str(answer.json()["error"])
    except (NotJson, TypeError, KeyError, IndexError):
        reason = f"HTTP {answer.status}"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in reason)[:300]
