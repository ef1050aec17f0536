"""Limits on the threads, time and bytes that one caller may use on a learner's server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from colearn_learner.interface import ProposedWeights, Weights
from colearn_learner.remote.addresses import Address, format_target
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.errors import LearnerFailed, LearnerUnavailable, TooLarge
from colearn_learner.remote.messages import SERVICE
from tests.support.remote_servers import LONG, connect_learner, serve_learner
from tests.support.toyworld import TowardsTarget

TOKEN = "correct-horse-battery-staple"
LARGE = Weights([np.zeros(1_000)])


@contextmanager
def silent_call(address: Address, method: str) -> Iterator[Any]:
    """Open a call that never sends a message, and yield it once the server has begun it."""
    ends = threading.Event()

    def send_nothing() -> Iterator[bytes]:
        ends.wait(LONG)
        yield from ()

    direct = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(format_target(address.host, address.port), direct) as channel:
        call = channel.stream_stream(method)(send_nothing(), timeout=LONG)
        try:
            yield call
        finally:
            ends.set()
            call.cancel()


def read_status(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as ended:
        next(call)
    return ended.value.code()


@pytest.mark.parametrize(
    "method", [f"/{SERVICE}/Hello", f"/{SERVICE}/Test", "/grpc.health.v1.Health/Check"]
)
def test_call_without_a_first_message_is_ended(method: str):
    with (
        serve_learner(TowardsTarget(4), first_message_timeout=0.1) as address,
        silent_call(address, method) as call,
    ):
        assert read_status(call) == grpc.StatusCode.CANCELLED


def test_silent_calls_end_and_leave_room_for_the_next_call():
    with (
        serve_learner(TowardsTarget(4), first_message_timeout=0.1) as address,
        ExitStack() as stack,
    ):
        calls = [stack.enter_context(silent_call(address, f"/{SERVICE}/Hello")) for _ in range(20)]
        ends = {read_status(call) for call in calls}
        assert ends <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
        with connect_learner(address) as there:
            assert there.mli_propose_weights().weights[0][0] == 1.0


def test_one_peer_gets_at_most_half_of_the_threads():
    with (
        serve_learner(TowardsTarget(4), first_message_timeout=LONG) as address,
        ExitStack() as stack,
    ):
        calls = [stack.enter_context(silent_call(address, f"/{SERVICE}/Hello")) for _ in range(5)]
        refused = threading.Semaphore(0)
        for call in calls:
            if not call.add_callback(refused.release):  # the call has already ended
                refused.release()
        assert refused.acquire(timeout=LONG)  # the fifth call, whichever one the server began last
        assert not refused.acquire(blocking=False)
        learner = RemoteLearner(str(address), RemoteConfig(patience=0))
        with learner, pytest.raises(LearnerUnavailable, match="4 calls from this host are open"):
            learner.reach()


def test_caller_without_the_token_is_refused_before_it_sends_anything():
    with (
        serve_learner(TowardsTarget(4), token=TOKEN, first_message_timeout=LONG) as address,
        silent_call(address, f"/{SERVICE}/Hello") as call,
    ):
        assert read_status(call) == grpc.StatusCode.UNAUTHENTICATED


class Large(TowardsTarget):
    tested: Any = None

    def mli_propose_weights(self) -> Weights:
        return LARGE

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        self.tested = weights
        return ProposedWeights(weights=weights, vote_score=1.0, test_score=1.0)


def test_server_sends_no_more_than_max_bytes():
    with (
        serve_learner(Large(4), max_bytes=5_000) as address,
        connect_learner(address) as there,
        pytest.raises(LearnerFailed, match="bytes would be sent and 5000 are allowed"),
    ):
        there.mli_propose_weights()


def test_client_sends_no_more_than_max_bytes():
    learner = Large(4)
    with (
        serve_learner(learner) as address,
        connect_learner(address, max_bytes=5_000) as there,
        pytest.raises(TooLarge, match="bytes would be sent and 5000 are allowed"),
    ):
        there.mli_test_weights(LARGE)
    assert learner.tested is None
