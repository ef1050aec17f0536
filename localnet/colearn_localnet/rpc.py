"""HTTP requests for checking and controlling the nodes of a local network."""

from __future__ import annotations

import json
from typing import Any

from colearn_ledger.http import HttpClient, HttpError, InvalidUrl
from colearn_ledger.text import strict_json
from colearn_localnet.errors import NodeFailed

_OK = 200
_MAX_BYTES = 256_000_000
"""Largest answer in bytes; the dump of a chain's state is the longest."""


def post(url: str, body: bytes = b"", *, seconds: float = 10.0) -> bytes:
    """Send a POST request and return the answer's body.

    Raises:
        NodeFailed: connecting failed, the answer was not complete in time, or its status is not
            200.
    """
    return _request("POST", url, body, seconds)


def get(url: str, *, seconds: float = 10.0) -> bytes:
    """Send a GET request and return the answer's body.

    Raises:
        NodeFailed: under the same conditions as in `post`.
    """
    return _request("GET", url, None, seconds)


def post_json(url: str, *, seconds: float = 10.0) -> Any:
    """Send a POST request without a body and return the answer, which is JSON.

    Raises:
        NodeFailed: as `post`, or the answer is not JSON.
    """
    return _parse(post(url, seconds=seconds), url)


def get_json(url: str) -> Any:
    """Send a GET request and return the answer, which is JSON.

    Raises:
        NodeFailed: as `get`, or the answer is not JSON.
    """
    return _parse(get(url), url)


def _parse(content: bytes, url: str) -> Any:
    try:
        return strict_json.load(content)
    except strict_json.InvalidJson as error:
        raise NodeFailed(f"{url} did not answer with JSON: {content[:200]!r}") from error


def _request(method: str, url: str, body: bytes | None, seconds: float) -> bytes:
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        answer = HttpClient(url).request(
            method, body=body, headers=headers, timeout=seconds, max_bytes=_MAX_BYTES
        )
    except (HttpError, InvalidUrl) as error:
        raise NodeFailed(str(error)) from error
    if answer.status != _OK:
        text = answer.content[:300].decode(errors="replace")
        raise NodeFailed(f"{answer.name} answered {answer.status}: {text}")
    return answer.content


def json_rpc(url: str, method: str, *parameters: Any, seconds: float = 10.0) -> Any:
    """Make one JSON-RPC call and return its result.

    Raises:
        NodeFailed: the node does not answer, or answers with an error.
    """
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    content = post(url, json.dumps(call).encode(), seconds=seconds)
    try:
        answer = strict_json.load(content)
        if "error" in answer:
            raise NodeFailed(f"{method}: {answer['error'].get('message')}")
        return answer["result"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NodeFailed(f"{method}: not a JSON-RPC answer: {content[:200]!r}") from error
