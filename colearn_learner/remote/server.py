"""Server that offers a learner's five methods to an agent on another machine."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from colearn_learner.remote import DEFAULT_MAX_BYTES
from colearn_learner.remote import learner_pb2 as pb
from colearn_learner.remote.addresses import Address, clean_token, format_target
from colearn_learner.remote.errors import BadMessage, CannotListen, TooLarge, Unprotected
from colearn_learner.remote.limits import CallLimits, TokenCheck
from colearn_learner.remote.messages import (
    FRAME_LIMITS,
    METHODS,
    SERVICE,
    VERSION,
    Frame,
    Message,
    check_size,
    frames,
    read_message,
)
from colearn_learner.remote.values import (
    answer_to_proto,
    model_to_bytes,
    weights_from_bytes,
    weights_to_bytes,
)
from colearn_ledger.text.urls import is_loopback

_log = logging.getLogger(__name__)

_THREADS = 8
_MAX_CALLS_PER_PEER = _THREADS // 2
_CHECK_INTERVAL = 0.5  # seconds between two checks that a waiting caller is still connected
_MAX_MESSAGE_LENGTH = 4_000  # characters of a learner's error
_OPTIONS = (
    *FRAME_LIMITS,
    ("grpc.so_reuseport", 0),  # else a second server on the port would get half of the calls
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Address, access rules and limits of a learner's server.

    Args:
        host: host to listen on.
        port: port to listen on; 0 chooses a free one.
        certificate: certificate chain of the key, as PEM; ``None``: no TLS.
        key: private key of the certificate, as PEM.
        token: token that callers must send; ``None``: no token.
        max_bytes: size of the largest file of weights or of a model, received or sent.
        first_message_timeout: seconds that a call may take to send its first message.

    Raises:
        Unprotected: other machines could read the weights or send their own, or only one of
            certificate and key is given.
        InvalidToken: the token is invalid.
    """

    host: str = "127.0.0.1"
    port: int = 9995
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    max_bytes: int = DEFAULT_MAX_BYTES
    first_message_timeout: float = 30.0

    def __post_init__(self) -> None:
        """Refuse incomplete TLS, and access from other machines without TLS and a token."""
        if (self.certificate is None) != (self.key is None):
            raise Unprotected("TLS needs both a certificate and its key; give both or neither")
        if not is_loopback(self.host) and (self.certificate is None or self.token is None):
            raise Unprotected(
                f"{self.host} can be reached from other machines: a learner is served there only "
                "with TLS and a token. Give a certificate with its key and a token, or listen on "
                "127.0.0.1"
            )
        if self.token is not None:
            object.__setattr__(self, "token", clean_token(self.token))


@dataclass(frozen=True, slots=True)
class ServedCall:
    """A call that reached the learner; ``failure`` is its error, or an empty string."""

    method: str
    seconds: float
    failure: str


class LearnerServer:
    """Server for one learner, which handles one call at a time.

    Use it as a context manager, or call `start` and `stop`.

    Args:
        learner: an object with the five methods of `MachineLearningInterface`.
        config: address, access rules and limits; by default `ServerConfig()`.
        on_call: called after each call to the learner, in the thread of that call.
        more_handlers: handlers of further services; the token does not protect them.
    """

    def __init__(
        self,
        learner: Any,
        config: ServerConfig | None = None,
        *,
        on_call: Callable[[ServedCall], None] | None = None,
        more_handlers: Sequence[grpc.GenericRpcHandler] = (),
    ) -> None:
        self._config = config or ServerConfig()
        self._learner = learner
        self._on_call = on_call or (lambda _: None)
        self._turn = threading.Lock()  # guards the learner
        self._stopping = threading.Event()
        self._holds: bytes | None = None  # digest of the weights that the learner accepted last
        self.instance = secrets.token_hex(8)
        self._grpc = grpc.server(
            ThreadPoolExecutor(_THREADS, "learner"),
            interceptors=self._interceptors(),
            options=_OPTIONS,
        )
        self._grpc.add_generic_rpc_handlers((self._handlers(), *more_handlers))
        self._health = health.HealthServicer()
        self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)

    def start(self) -> Address:
        """Start listening, and return the server's address.

        Raises:
            CannotListen: the port is taken or not allowed, or the host is not this machine's.
        """
        config, target = self._config, format_target(self._config.host, self._config.port)
        try:
            if config.certificate is None:
                port = self._grpc.add_insecure_port(target)
            else:
                pair = grpc.ssl_server_credentials([(config.key, config.certificate)])
                port = self._grpc.add_secure_port(target, pair)
        except RuntimeError as error:
            raise CannotListen(
                f"cannot listen on {target}: the port is taken or not allowed, or the host is not "
                "this machine's; choose another --port or --host"
            ) from error
        self._grpc.start()
        return Address(config.host, port, config.certificate is not None)

    def stop(self) -> None:
        """Refuse new calls, and return when the current one is over."""
        self._stopping.set()
        self._health.enter_graceful_shutdown()
        self._grpc.stop(grace=threading.TIMEOUT_MAX).wait()

    def replace_learner(self, learner: Any) -> None:
        """Serve another learner from the next call on. To clients it is a restarted server."""
        with self._turn:
            self._learner, self._holds = learner, None
            self.instance = secrets.token_hex(8)

    def __enter__(self) -> LearnerServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ------------------------------------------------------------------ one call

    def _interceptors(self) -> tuple[grpc.ServerInterceptor, ...]:
        config = self._config
        limits = CallLimits(
            first_message_timeout=config.first_message_timeout,
            max_calls_per_peer=_MAX_CALLS_PER_PEER,
        )
        return (limits,) if config.token is None else (TokenCheck(config.token, SERVICE), limits)

    def _handlers(self) -> grpc.GenericRpcHandler:
        handlers = {
            method: grpc.stream_stream_rpc_method_handler(
                lambda requests, context, method=method: self._answer_call(
                    method, requests, context
                ),
                request_deserializer=pb.Request.FromString,
                response_serializer=pb.Response.SerializeToString,
            )
            for method in METHODS
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _answer_call(
        self, method: str, requests: Iterator[pb.Request], context: Any
    ) -> Iterator[Frame]:
        try:
            request: Message[pb.RequestHead] = read_message(
                requests, max_bytes=self._config.max_bytes
            )
            answer = self._answer(method, request, context)
        except TooLarge as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except BadMessage as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except grpc.RpcError:  # the caller disconnected
            return
        if answer is not None:
            yield from frames(answer)

    def _answer(
        self, method: str, request: Message[pb.RequestHead], context: Any
    ) -> Message[pb.ResponseHead] | None:
        if method == "Hello":
            return self._message(version=VERSION, max_bytes=self._config.max_bytes)
        body = weights_from_bytes(request.body) if method in ("Test", "Accept") else None
        with self._wait_for_turn(context) as is_ours:
            if not is_ours:
                return None
            if request.head.HasField("holds") and request.head.holds != self._holds:
                return self._message(stale=True)
            began = time.monotonic()
            try:
                answer, failure = self._call_learner(method, request, body), ""
                check_size(answer, self._config.max_bytes)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a learner may raise anything
                _log.exception("the learner failed in %s", method)
                failure = describe_error(error)
                answer = self._message(failure=failure)
        self._on_call(ServedCall(method, time.monotonic() - began, failure))
        return answer

    def _call_learner(
        self, method: str, request: Message[pb.RequestHead], weights: Any
    ) -> Message[pb.ResponseHead]:
        """Call the learner, and encode its result before the next call can change it."""
        learner = self._learner
        if method == "Propose":
            return self._message(body=weights_to_bytes(learner.mli_propose_weights()))
        if method == "CurrentWeights":
            return self._message(body=weights_to_bytes(learner.mli_get_current_weights()))
        if method == "CurrentModel":
            return self._message(body=model_to_bytes(learner.mli_get_current_model()))
        if method == "Test":
            return self._message(tested=answer_to_proto(learner.mli_test_weights(weights)))
        self._holds = None  # unknown if accepting fails halfway
        learner.mli_accept_weights(weights)
        self._holds = request.digest
        return self._message()

    def _message(self, body: bytes | None = None, **fields: Any) -> Message[pb.ResponseHead]:
        return Message(pb.ResponseHead(instance=self.instance, holds=self._holds, **fields), body)

    @contextmanager
    def _wait_for_turn(self, context: Any) -> Iterator[bool]:
        """Wait for the learner; yield False if the caller disconnected first."""
        while not self._turn.acquire(timeout=_CHECK_INTERVAL):
            if not context.is_active():
                yield False
                return
        try:
            if self._stopping.is_set():
                context.abort(grpc.StatusCode.UNAVAILABLE, "the learner's server is shutting down")
            yield context.is_active()
        finally:
            self._turn.release()


def describe_error(error: BaseException) -> str:
    """Return the type and the text of an error, shortened, for the other side."""
    text = f"{type(error).__name__}: {error}"[:_MAX_MESSAGE_LENGTH]
    return text.encode("utf-8", "replace").decode()  # protobuf rejects lone surrogates
