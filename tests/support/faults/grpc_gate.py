"""A gRPC proxy that can stop a request or its answer, or answer in place of the node."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self
from urllib.parse import urlsplit

import grpc

from tests.support.faults.gate import Hold, Holds

_SECONDS = 20.0
"""Maximum time for the node to answer, in seconds."""


class GrpcFault:
    """Fault of the next requests of a method.

    Args:
        method: name of the method, without the service's name.
        code: status that the requests end with; ``None`` for a malformed answer.
        late: whether the node receives the requests nevertheless; default no.
        times: number of requests; default 1.
    """

    def __init__(
        self, method: str, code: grpc.StatusCode | None, *, late: bool = False, times: int = 1
    ) -> None:
        self.method = method
        self.code = code
        self.late = late
        self.left = times


class GrpcGate(grpc.GenericRpcHandler):
    """The proxy; as a context manager it listens on entry.

    Args:
        target: URL of the node's gRPC.
    """

    def __init__(self, target: str) -> None:
        self._channel = grpc.insecure_channel(urlsplit(target).netloc)
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self])
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._lock = threading.Lock()
        self._holds = Holds()
        self._faults: list[GrpcFault] = []
        self._frozen: dict[str, bytes | None] = {}
        self._lies: dict[str, Callable[[bytes], bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def hold(self, method: str, *, answer: bool = False) -> Hold:
        """Stop the next request of a method, or its answer."""
        return self._holds.add(method, answer=answer)

    def fail(self, *faults: GrpcFault) -> None:
        """Make requests fail from now on, one fault after another."""
        with self._lock:
            self._faults += faults

    def freeze(self, method: str) -> None:
        """Answer all further requests of a method as the next one."""
        with self._lock:
            self._frozen[method] = None

    def lie(self, method: str, change: Callable[[bytes], bytes]) -> None:
        """Change all further answers of a method."""
        with self._lock:
            self._lies[method] = change

    def forward_to(self, target: str) -> None:
        """Forward all further requests to another node."""
        with self._lock:
            self._channel, replaced = grpc.insecure_channel(urlsplit(target).netloc), self._channel
        replaced.close()

    @property
    def faults_left(self) -> int:
        with self._lock:
            return len(self._faults)

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        forward = self._channel.unary_unary(details.method)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._handle(method, forward, request, context)
        )

    def _handle(
        self, method: str, forward: Callable[..., Any], request: bytes, context: Any
    ) -> bytes:
        hold, fault = self._holds.take(method), self._take_fault(method)
        if fault is not None and not fault.late:
            return self._break(fault, context)
        if hold is not None and not hold.answer and not hold.wait_for_decision():
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        answer = self._keep_frozen(method, self._forward(forward, request, context))
        answer = self._lies.get(method, bytes)(answer)
        if hold is not None and hold.answer and not hold.wait_for_decision():
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        return answer if fault is None else self._break(fault, context)

    def _keep_frozen(self, method: str, answer: bytes) -> bytes:
        """Return the answer to the first request since a method was frozen, if it was."""
        with self._lock:
            if method in self._frozen:
                answer = self._frozen[method] = self._frozen[method] or answer
            return answer

    def _take_fault(self, method: str) -> GrpcFault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.method == method), None)
            if fault is not None:
                fault.left -= 1
                self._faults = [fault for fault in self._faults if fault.left]
            return fault

    def _break(self, fault: GrpcFault, context: Any) -> bytes:
        if fault.code is not None:
            context.abort(fault.code, "a fault of the test")
        return b"\x0a\xff\xff"

    def _forward(self, forward: Any, request: bytes, context: Any) -> bytes:
        try:
            answer, call = forward.with_call(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        metadata = [item for item in call.initial_metadata() if item[0].startswith("x-cosmos-")]
        context.send_initial_metadata(metadata)
        return bytes(answer)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._holds.drop_all()
        self._server.stop(None).wait()
        self._channel.close()
