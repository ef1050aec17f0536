"""gRPC's standard health service, as its two messages of one field each are on the wire.

With it `grpc_health_probe`, Kubernetes and load balancers can ask whether a server is there. It
needs no token and tells nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any

import grpc

from colearn_learner.remote.messages import HEALTH

__all__ = ["Health"]

_SERVICE_FIELD = 0x0A  # field 1, a string
_SERVING = b"\x08\x01"  # field 1 is 1
_NOT_SERVING = b"\x08\x02"


class Health(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers ``Check``.

    Args:
        services: the names that may be asked for, besides the empty one for the whole server.
        stopping: set when nothing is served any longer.
    """

    def __init__(self, services: Sequence[str], stopping: Event) -> None:
        self._requests = {b"", *(_request(name) for name in services), _request("")}
        self._stopping = stopping
        self._check = grpc.unary_unary_rpc_method_handler(self._answer)

    def service(self, handler_call_details: Any) -> Any:
        """Return what answers a call, ``None`` when nothing does."""
        return self._check if handler_call_details.method == f"/{HEALTH}/Check" else None

    def _answer(self, request: bytes, context: Any) -> bytes:
        if request not in self._requests:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return _NOT_SERVING if self._stopping.is_set() else _SERVING


def _request(service: str) -> bytes:
    name = service.encode()
    return bytes((_SERVICE_FIELD, len(name))) + name
