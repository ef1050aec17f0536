"""Client of a `LearnerServer`: a learner whose five methods run on another machine."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import grpc

from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import (
    ColearnModel,
    MachineLearningInterface,
    ProposedWeights,
    Weights,
)
from colearn_learner.remote import DEFAULT_MAX_BYTES
from colearn_learner.remote import learner_pb2 as pb
from colearn_learner.remote.addresses import Address, clean_token, format_target
from colearn_learner.remote.errors import (
    LearnerFailed,
    LearnerRefused,
    LearnerUnavailable,
    Unprotected,
)
from colearn_learner.remote.messages import (
    FRAME_LIMITS,
    SERVICE,
    VERSION,
    Message,
    check_size,
    frames,
    read_message,
)
from colearn_learner.remote.values import (
    answer_from_proto,
    model_from_bytes,
    weights_from_bytes,
    weights_to_bytes,
)
from colearn_ledger.text.urls import is_loopback

_log = logging.getLogger(__name__)

_OPTIONS = (
    *FRAME_LIMITS,
    ("grpc.keepalive_time_ms", 30_000),  # else a lost machine would go unnoticed
    ("grpc.keepalive_timeout_ms", 60_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel inherits the failed one's backoff
    ("grpc.enable_retries", 0),
)
_HELLO_TIMEOUT = 60.0  # seconds; Hello needs only the server, not the learner
_FIRST_PAUSE = 0.25  # seconds; doubles up to eight times this value
_CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification", "not in peer certificate")


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Configuration of the connection to a learner's server; times are in seconds.

    Args:
        token: token that the server requires.
        ca: CA certificates to trust, as PEM; ``None``: those bundled with gRPC.
        server_name: name in the server's certificate, if it is not the host.
        deadline: timeout of one call; longer than training takes.
        patience: how long to retry when the server does not answer.
        max_bytes: size of the largest file of weights or of a model, received or sent.

    Raises:
        InvalidToken: the token is invalid.
        InvalidArgument: a number is not one or is out of its range.
    """

    token: str | None = field(default=None, repr=False)
    ca: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    deadline: float = 3_600.0
    patience: float = 30.0
    max_bytes: int = DEFAULT_MAX_BYTES

    def __post_init__(self) -> None:
        """Check the token and the numbers."""
        if self.token is not None:
            object.__setattr__(self, "token", clean_token(self.token))
        for name, least in (("deadline", 0.001), ("patience", 0), ("max_bytes", 1)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not least <= value < threading.TIMEOUT_MAX:
                raise InvalidArgument(
                    f"{name} is {value!r}; set it to a finite number of at least {least}"
                )


class RemoteLearner(MachineLearningInterface):
    """A learner that runs behind a server. Only one thread at a time may use it.

    A restarted server has lost the accepted weights, so it gets them again before it trains or
    tests. While the server is unreachable, accepting is postponed, and the current weights are
    those accepted last.

    Args:
        address: ``grpc://host:port`` on this machine, ``grpcs://host:port`` anywhere.
        config: configuration of the connection; by default `RemoteConfig()`.

    Raises:
        InvalidAddress: the text is not an address.
        Unprotected: the weights would travel unencrypted to another machine.
        InvalidArgument: a CA is given for an address without TLS.
    """

    def __init__(self, address: str, config: RemoteConfig | None = None) -> None:
        self.address = Address.parse(address)
        self._config = config or RemoteConfig()
        if not self.address.tls and not is_loopback(self.address.host):
            target = format_target(self.address.host, self.address.port)
            raise Unprotected(
                f"{self.address} is on another machine, and without TLS others could read the "
                f"weights and the token; use grpcs://{target} "
                "with the server's certificate, or a tunnel to 127.0.0.1"
            )
        if self.address.tls is False and self._config.ca is not None:
            raise InvalidArgument(
                f"a CA is given, but {self.address} does not use TLS; use grpcs://"
            )
        self._channel: Any = None
        self._closed = threading.Event()
        self._forget_weights()

    def reach(self) -> None:
        """Check that the server answers now and has weights.

        Raises:
            LearnerUnavailable: the server does not answer. The other methods first retry for
                `RemoteConfig.patience`.
            LearnerRefused: the server uses another version or token, or its certificate is not
                trusted.
            LearnerFailed: the learner cannot return its weights.
        """
        self._make_ready(patience=0)
        self._current = _make_request(self._call("CurrentWeights").body)
        weights_from_bytes(self._current.body)

    def close(self) -> None:
        """Close the connection to the server, and stop retrying."""
        self._closed.set()
        self._close_channel()

    def __enter__(self) -> RemoteLearner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ the five methods

    def mli_propose_weights(self) -> Weights:
        """Have the learner train, and return its weights with the training summary.

        Raises:
            LearnerUnavailable, LearnerRefused: see `reach`; this training is lost.
            LearnerFailed: the learner raised an error.
        """
        return weights_from_bytes(self._call("Propose").body)

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        """Have the learner score weights and vote on them.

        Raises:
            LearnerUnavailable, LearnerRefused: see `reach`.
            LearnerFailed: the learner raised an error.
        """
        answer = self._call("Test", weights_to_bytes(weights))
        return answer_from_proto(answer.head, weights)

    def mli_accept_weights(self, weights: Weights) -> None:
        """Make these the learner's weights, now or as soon as its server answers.

        Raises:
            LearnerFailed: the learner raised an error.
        """
        self._current, self._accepted = _make_request(weights_to_bytes(weights)), True
        try:
            self._make_ready(patience=0)
        except (LearnerUnavailable, LearnerRefused) as error:
            _log.warning("the learner gets the accepted weights before its next use: %s", error)
        except LearnerFailed:
            self._current, self._accepted = _make_request(), False  # its weights are unknown now
            raise

    def mli_get_current_weights(self) -> Weights:
        """Return the learner's weights, or the last known ones if its server does not answer.

        Raises:
            LearnerUnavailable: see `reach`; only while no weights are known.
            LearnerRefused: see `reach`.
            LearnerFailed: the learner raised an error.
        """
        try:
            return weights_from_bytes(self._call("CurrentWeights").body)
        except LearnerUnavailable:
            if self._current.body is None:
                raise
            return weights_from_bytes(self._current.body)

    def mli_get_current_model(self) -> ColearnModel:
        """Return the model, exported to ONNX by the learner.

        Raises:
            LearnerUnavailable, LearnerRefused: see `reach`.
            LearnerFailed: the learner raised an error, or cannot export its model to ONNX.
            MissingPackage: onnx is not installed here.
        """
        return model_from_bytes(self._call("CurrentModel").body)

    # ------------------------------------------------------------------ calls

    def _forget_weights(self) -> None:
        """Expect another learner, whose weights are not known yet."""
        self._instance: str | None = None
        self._current = _make_request()  # the learner's weights, as last known
        self._accepted = False  # if so, a restarted server gets them again

    def _call(self, method: str, body: bytes | None = None) -> Message[pb.ResponseHead]:
        """Call a method of the learner, on its accepted weights; retry once if that may succeed."""
        ends = time.monotonic() + self._config.deadline
        try:
            return self._call_once(method, body, ends)
        except LearnerUnavailable as error:
            if not error.again:
                raise
            _log.warning("%s; trying again", error)
            return self._call_once(method, body, ends)

    def _call_once(self, method: str, body: bytes | None, ends: float) -> Message[pb.ResponseHead]:
        self._make_ready(patience=self._config.patience)
        holds = self._current.digest if self._accepted else None
        answer = self._exchange(method, _make_request(body, holds), ends - time.monotonic())
        if answer.head.stale:
            raise LearnerUnavailable(
                f"the learner's server at {self.address} was restarted", again=True
            )
        return answer

    def _make_ready(self, *, patience: float) -> None:
        """Connect to the server, and send it the accepted weights unless it has them."""
        hello = self._hello(patience)
        if hello.version != VERSION:
            raise LearnerRefused(
                f"the learner's server at {self.address} uses version {hello.version} of the "
                f"protocol and this program version {VERSION}; install the same release on both "
                "sides"
            )
        if self._instance not in (None, hello.instance):
            _log.warning("the learner's server at %s was restarted", self.address)
        self._instance = hello.instance
        if self._accepted and hello.holds != self._current.digest:
            self._exchange("Accept", self._current, self._config.deadline)

    def _hello(self, patience: float) -> pb.ResponseHead:
        ends, pause = time.monotonic() + patience, _FIRST_PAUSE
        while True:
            try:
                return self._exchange("Hello", _make_request(), _HELLO_TIMEOUT).head
            except LearnerUnavailable as error:
                left = ends - time.monotonic()
                if left <= 0 or self._closed.wait(min(pause, left)):
                    raise LearnerUnavailable(str(error)) from error
                pause = min(2 * pause, 8 * _FIRST_PAUSE)

    def _exchange(
        self, method: str, request: Message[pb.RequestHead], timeout: float
    ) -> Message[pb.ResponseHead]:
        config, call = self._config, None
        check_size(request, config.max_bytes)
        metadata = [] if config.token is None else [("authorization", f"Bearer {config.token}")]
        try:
            ask = self._open_channel().stream_stream(
                f"/{SERVICE}/{method}",
                request_serializer=pb.Request.SerializeToString,
                response_deserializer=pb.Response.FromString,
            )
            call = ask(frames(request), timeout=max(0.001, timeout), metadata=metadata)
            answer: Message[pb.ResponseHead] = read_message(call, max_bytes=config.max_bytes)
        except grpc.RpcError as error:
            raise self._translate_error(error) from error
        finally:
            if call is not None:
                call.cancel()
        if answer.head.failure:
            raise LearnerFailed(f"{answer.head.failure} ({method} at {self.address})")
        return answer

    def _open_channel(self) -> Any:
        if self._channel is None:
            address, config = self.address, self._config
            target = format_target(address.host, address.port)
            if address.tls:
                name = config.server_name
                options = (("grpc.ssl_target_name_override", name),) if name else ()
                credentials = grpc.ssl_channel_credentials(config.ca)
                self._channel = grpc.secure_channel(target, credentials, (*_OPTIONS, *options))
            else:
                direct = ("grpc.enable_http_proxy", 0)
                self._channel = grpc.insecure_channel(target, (*_OPTIONS, direct))
        return self._channel

    def _close_channel(self) -> None:
        """Close the channel, so that the next call reconnects at once."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _translate_error(self, error: Any) -> LearnerUnavailable | LearnerRefused:
        code, details = error.code(), error.details() or error.code().name
        where = f"the learner's server at {self.address}"
        if code == grpc.StatusCode.UNAUTHENTICATED:
            return LearnerRefused(
                f"{where} refused the call: {details}; give both sides the same token"
            )
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return LearnerRefused(
                f"{self.address} is not a learner's server: {details}; check the address"
            )
        if code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT):
            return LearnerRefused(f"{where} refused the call: {details}")
        self._close_channel()
        if any(mark in details for mark in _CERTIFICATE):
            return LearnerRefused(
                f"{where} has a certificate that is not trusted ({details}); set ca to the CA that "
                "signed it, and use the name in the certificate as the host or as server_name"
            )
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return LearnerUnavailable(
                f"{where} did not answer in time; raise deadline, or look for errors in its log"
            )
        return LearnerUnavailable(
            f"{where} does not answer ({details}); check that it runs, with TLS if the address is "
            "grpcs://, and that the port is open",
            again=True,
        )


def _make_request(
    body: bytes | bytearray | None = None, holds: bytes | None = None
) -> Message[pb.RequestHead]:
    return Message(pb.RequestHead(holds=holds), body)
