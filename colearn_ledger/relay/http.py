"""A relay over HTTP: ``POST /ballots`` with one signed ballot in JSON, ``GET /health``.

    {"experiment": 1, "round": 0, "proposals": "…64 digits…", "learner": "0x…", "approvals": 5,
     "scores": "…32 digits for each…", "signature": "…130 digits…"}

On a Cosmos chain the signature has 194 digits and the learner is ``wasm1…``. ``proposals`` is the
digest of the proposals that the ballot judges. ``approvals`` and ``scores`` are those of the
contracts: a bitmap of slots, and the vote score and test score of the current weights and of each
proposal. All digits are hexadecimal, in lower case.

202: accepted. 400: not a ballot. 409: the ledger would not count it, for example because the round
has other proposals, or another ballot of this learner on them is waiting. 413: too large. 429: no
room, or too many requests. 503: the ledger does not answer.
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
    MAX_PROPOSERS,
    NO_ROUND,
    Basis,
    ExperimentId,
    LedgerError,
    SignedBallot,
    Vote,
    decode_scores,
    encode_scores,
)
from colearn_ledger.relay.relay import BallotRefused, Relay, RelayFull
from colearn_ledger.serve import Limits, serve
from colearn_ledger.text.strict_json import InvalidJson, load

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_MAX_BYTES = 2_048  # limit on a request or an answer
_TIMEOUT = 10.0  # seconds for handing over a ballot
_ACCEPTED, _BAD_REQUEST, _CONFLICT, _TOO_MANY, _UNAVAILABLE = 202, 400, 409, 429, 503
_FIELDS = {"experiment", "round", "proposals", "learner", "approvals", "scores", "signature"}
_LIMITS = {"experiment": 2**64, "round": NO_ROUND, "approvals": 1 << MAX_PROPOSERS}
_DIGITS = {
    "proposals": (re.compile(r"[0-9a-f]{64}"), "64"),
    "scores": (re.compile(rf"([0-9a-f]{{32}}){{1,{1 + MAX_PROPOSERS}}}"), "32, 64 … 544"),
    "signature": (re.compile(r"[0-9a-f]{130}|[0-9a-f]{194}"), "130 (on a Cosmos chain 194)"),
}


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


def _parse_ballot(body: bytes) -> tuple[Basis, SignedBallot]:
    try:
        document = load(body)
    except InvalidJson as error:
        raise _InvalidBallot(f"not JSON: {error}") from error
    if not isinstance(document, dict) or set(document) != _FIELDS:
        raise _InvalidBallot(f"a ballot has the fields {', '.join(sorted(_FIELDS))}")
    experiment, round_index, approvals = (_parse_number(document, name) for name in _LIMITS)
    proposals, scores, signature = (_parse_digits(document, name) for name in _DIGITS)
    try:
        learner = account_address(str(document["learner"]))
    except InvalidReference as error:
        raise _InvalidBallot(str(error)) from error
    basis = Basis(ExperimentId(experiment), round_index, proposals)
    return basis, SignedBallot(learner, Vote(approvals, decode_scores(scores)), signature)


def _parse_number(document: dict[str, Any], name: str) -> int:
    value = document[name]
    if type(value) is not int or not 0 <= value < _LIMITS[name]:
        raise _InvalidBallot(f"{name} is a whole number less than {_LIMITS[name]}")
    return value


def _parse_digits(document: dict[str, Any], name: str) -> bytes:
    value, (pattern, number) = document[name], _DIGITS[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _InvalidBallot(f"{name} is text of {number} hexadecimal digits in lower case")
    return bytes.fromhex(value)


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

    def offer(self, basis: Basis, ballot: SignedBallot) -> None:
        """Hand over a ballot.

        Raises:
            BallotRefused: the relay will never submit the ballot; the message explains why.
            LedgerUnavailable: the relay cannot be reached, or cannot accept the ballot now.
        """
        body = {
            "experiment": basis.experiment,
            "round": basis.round,
            "proposals": basis.proposals.hex(),
            "learner": ballot.learner,
            "approvals": ballot.vote.approvals,
            "scores": encode_scores(ballot.vote.scores).hex(),
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


def _reason_in(answer: Answer) -> str:
    """Return the reason given in an answer, without control characters for a terminal."""
    try:
        reason = str(answer.json()["error"])
    except (NotJson, TypeError, KeyError, IndexError):
        reason = f"HTTP {answer.status}"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in reason)[:300]
