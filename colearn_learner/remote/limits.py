"""gRPC interceptors that check the token and limit the open calls of each host."""

from __future__ import annotations

import hmac
import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

_log = logging.getLogger(__name__)


class TokenCheck(grpc.ServerInterceptor):  # type: ignore[misc]
    """Interceptor that refuses callers without the token before reading their messages.

    Args:
        token: token that callers must send as ``authorization: Bearer TOKEN``.
        service: name of the service that requires the token; all others are open.
    """

    def __init__(self, token: str, service: str) -> None:
        self._expected = f"Bearer {token}".encode()
        self._protected = f"/{service}/"

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Return the handler of a call, or one that refuses it."""
        if not details.method.startswith(self._protected):
            return continuation(details)
        sent = dict(details.invocation_metadata).get("authorization", "")
        given = sent if isinstance(sent, bytes) else str(sent).encode()
        if hmac.compare_digest(given, self._expected):
            return continuation(details)
        return grpc.stream_stream_rpc_method_handler(_refuse_caller)


class CallLimits(grpc.ServerInterceptor):  # type: ignore[misc]
    """Interceptor that keeps one host from occupying all threads of the server.

    Every call occupies a thread from its first byte on, even while its caller sends nothing.

    Args:
        first_message_timeout: seconds that a call may take to send its first message.
        max_calls_per_peer: number of open calls allowed per host; more are refused.
    """

    def __init__(self, *, first_message_timeout: float, max_calls_per_peer: int) -> None:
        self._timeout = first_message_timeout
        self._max_calls = max_calls_per_peer
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Return the handler of a call, wrapped in both limits."""
        handler = continuation(details)
        if handler is None:
            return None

        def handle(requests: Iterator[Any], context: Any) -> Iterator[Any]:
            with self._count(context):
                first = self._read_first(requests, context)
                yield from _respond(handler, first, requests, context)

        # on the wire, a stream of one message and a single message are the same
        return grpc.stream_stream_rpc_method_handler(
            handle, handler.request_deserializer, handler.response_serializer
        )

    @contextmanager
    def _count(self, context: Any) -> Iterator[None]:
        host = context.peer().rpartition(":")[0]
        with self._lock:
            self._open[host] += 1
            too_many = self._open[host] > self._max_calls
        try:
            if too_many:
                _log.warning(
                    "refused a call from %s, which already has %d open calls", host, self._max_calls
                )
                context.abort(
                    grpc.StatusCode.UNAVAILABLE,
                    f"{self._max_calls} calls from this host are open, which is the maximum; "
                    "try again later",
                )
            yield
        finally:
            with self._lock:
                self._open[host] -= 1
                if not self._open[host]:
                    del self._open[host]

    def _read_first(self, requests: Iterator[Any], context: Any) -> list[Any]:
        """Return a list of the first message, or an empty list if the caller sends none."""
        watchdog = threading.Timer(self._timeout, context.cancel)
        watchdog.start()
        try:
            return list(itertools.islice(requests, 1))
        except grpc.RpcError:  # cancelled by the caller or by the watchdog
            return []
        finally:
            watchdog.cancel()


def _respond(handler: Any, first: list[Any], rest: Iterator[Any], context: Any) -> Iterator[Any]:
    if not context.is_active():
        return
    if handler.stream_stream is not None:
        yield from handler.stream_stream(itertools.chain(first, rest), context)
    elif not first:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call ended without a message")
    elif handler.unary_unary is not None:
        yield handler.unary_unary(first[0], context)
    else:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server does not offer the method")


def _refuse_caller(_: Iterator[bytes], context: Any) -> Iterator[bytes]:
    _log.warning("refused a caller without the right token: %s", context.peer())
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or is not the server's")
    yield from ()
