"""The few HTTP calls that tell whether a node is healthy. No proxy, no redirect: loopback."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from colearn_localnet.errors import NodeFailed

__all__ = ["get", "json_rpc", "post"]


def post(url: str, body: bytes = b"", *, seconds: float = 10.0) -> bytes:
    """Post and return the answer's body.

    Raises:
        NodeFailed: no connection, no answer in time, or a status other than 200.
    """
    return _asked("POST", url, body, seconds)


def get(url: str, *, seconds: float = 10.0) -> bytes:
    """Get and return the answer's body.

    Raises:
        NodeFailed: as `post`.
    """
    return _asked("GET", url, None, seconds)


def _asked(method: str, url: str, body: bytes | None, seconds: float) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NodeFailed(f"{parts.netloc} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        said = content[:300].decode(errors="replace")
        raise NodeFailed(f"{parts.netloc} answered {answer.status}: {said}")
    return content


def json_rpc(url: str, method: str, *parameters: Any, seconds: float = 10.0) -> Any:
    """Make one JSON-RPC call and return its result.

    Raises:
        NodeFailed: the node does not answer, or answers with an error.
    """
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    content = post(url, json.dumps(call).encode(), seconds=seconds)
    try:
        answer = json.loads(content)
        if "error" in answer:
            raise NodeFailed(f"{method}: {answer['error'].get('message')}")
        return answer["result"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NodeFailed(f"{method}: not a JSON-RPC answer: {content[:200]!r}") from error
