"""Broken connections, and servers that restart without their weights."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from colearn_learner.interface import Weights
from colearn_learner.remote import learner_pb2 as pb
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.errors import LearnerFailed, LearnerUnavailable
from colearn_ledger.weights.codec import encode_weights
from tests.support.remote_servers import (  # noqa: F401
    LONG,
    AcceptsAtMostOne,
    Gate,
    Line,
    connect_learner,
    serve_learner,
    unused_address,
)
from tests.support.toyworld import TowardsTarget


def test_call_is_repeated_after_its_connection_broke():
    learner = Gate(TowardsTarget(4))
    with Line() as line, serve_learner(learner) as address, ThreadPoolExecutor(1) as pool:
        line.lead(address)
        with connect_learner(line.address) as there:
            learner.closed = True
            training = pool.submit(there.mli_propose_weights)
            assert learner.training.acquire(timeout=LONG)
            learner.closed = False
            line.cut(for_good=False)
            learner.go.release()
            assert training.result(LONG).weights[0][0] == 1.0
    assert learner.trainings == 2


def test_training_lost_with_its_server_is_repeated_on_the_next_server():
    first, second = Gate(TowardsTarget(4)), TowardsTarget(8)
    with (
        Line() as line,
        serve_learner(first) as before,
        serve_learner(second) as afterwards,
        ThreadPoolExecutor(1) as pool,
    ):
        line.lead(before)
        with connect_learner(line.address) as there:
            there.mli_accept_weights(Weights([np.full(3, 2.0)]))
            first.closed = True
            training = pool.submit(there.mli_propose_weights)
            assert first.training.acquire(timeout=LONG)
            line.lead(afterwards)
            line.cut(for_good=False)
            assert training.result(LONG) == Weights([np.full(3, 3.5)])
        first.go.release()
    assert second.trainings == 1


def use_after_restart(
    learner: Any, use: Callable[[RemoteLearner], Any], *, accepted: float = 2.0
) -> Any:
    """Return the result of ``use`` after the server was replaced by a new one."""
    with Line() as line:
        with serve_learner(TowardsTarget(4)) as address:
            line.lead(address)
            client = RemoteLearner(str(line.address), RemoteConfig(patience=LONG))
            client.reach()
            client.mli_accept_weights(Weights([np.full(3, accepted)]))
        line.cut()
        with serve_learner(learner) as address, client:
            line.lead(address)
            return use(client)


def test_restarted_server_trains_from_the_accepted_weights(caplog):
    learner = TowardsTarget(4)
    proposal = use_after_restart(learner, lambda client: client.mli_propose_weights())
    assert proposal.weights[0].tolist() == [2.5] * 3
    assert learner.weights[0].tolist() == [2.0] * 3
    assert "was restarted" in caplog.text


@pytest.mark.parametrize(("value", "vote"), [(1.0, False), (3.0, True)])
def test_restarted_server_compares_proposals_with_the_accepted_weights(value: float, vote: bool):
    weights = Weights([np.full(3, value)])
    tested = use_after_restart(TowardsTarget(4), lambda client: client.mli_test_weights(weights))
    assert tested.vote is vote


def test_restarted_server_returns_the_accepted_weights():
    current = use_after_restart(TowardsTarget(4), lambda client: client.mli_get_current_weights())
    assert current == Weights([np.full(3, 2.0)])


def test_learner_that_refuses_the_accepted_weights_does_not_train():
    learner = AcceptsAtMostOne(4)

    def use(client: RemoteLearner) -> None:
        for _ in range(2):
            with pytest.raises(LearnerFailed, match=r"too much \(Accept"):
                client.mli_propose_weights()

    use_after_restart(learner, use)
    assert learner.trainings == 0


def test_weights_are_sent_again_after_another_agent_used_the_server():
    with (
        serve_learner(TowardsTarget(4)) as address,
        connect_learner(address) as one,
        connect_learner(address) as two,
    ):
        one.mli_accept_weights(Weights([np.full(3, 2.0)]))
        two.mli_accept_weights(Weights([np.full(3, 3.0)]))
        assert one.mli_propose_weights().weights[0][0] == 2.5


class FailsHalfway(TowardsTarget):
    def mli_accept_weights(self, weights: Weights) -> None:
        super().mli_accept_weights(weights)
        if weights.weights[0][0] > 2:
            raise ValueError("too much")


def test_weights_are_sent_again_after_a_learner_failed_while_accepting():
    learner = FailsHalfway(4)
    with (
        serve_learner(learner) as address,
        connect_learner(address) as one,
        connect_learner(address) as two,
    ):
        one.mli_accept_weights(Weights([np.full(3, 2.0)]))
        with pytest.raises(LearnerFailed):
            two.mli_accept_weights(Weights([np.full(3, 3.0)]))
        assert one.mli_propose_weights().weights[0][0] == 2.5


def test_server_restarted_between_two_calls_still_trains_from_the_accepted_weights(monkeypatch):
    learner = TowardsTarget(4)
    with serve_learner(learner) as address, connect_learner(address) as there:
        there.mli_accept_weights(Weights([np.full(3, 2.0)]))
        hello = there._hello(0)
        learner.mli_accept_weights(Weights([np.zeros(3)]))
        with connect_learner(address) as other:
            other.mli_accept_weights(Weights([np.zeros(3)]))  # the server now has other weights
        real, outdated = there._hello, [hello]
        monkeypatch.setattr(
            there, "_hello", lambda patience: outdated.pop() if outdated else real(patience)
        )
        assert there.mli_propose_weights().weights[0][0] == 2.5
    assert (outdated, learner.trainings) == ([], 1)


def test_accepting_is_postponed_while_the_server_does_not_answer(caplog):
    learner = TowardsTarget(4)
    with Line() as line, serve_learner(learner) as address:
        line.lead(address)
        with connect_learner(line.address, patience=LONG) as there:
            line.cut()
            there._config = replace(there._config, patience=0)
            there.mli_accept_weights(Weights([np.full(3, 2.0)]))
            assert "gets the accepted weights before its next use" in caplog.text
            with pytest.raises(LearnerUnavailable):
                there.mli_propose_weights()
            assert there.mli_get_current_weights() == Weights([np.full(3, 2.0)])
            assert learner.weights[0].tolist() == [0.0] * 3
            line.lead(address)
            assert there.mli_propose_weights().weights[0][0] == 2.5
    assert learner.trainings == 1


def test_last_known_weights_are_returned_while_the_server_is_down():
    with Line() as line, serve_learner(TowardsTarget(4)) as address:
        line.lead(address)
        with connect_learner(line.address, patience=LONG) as there:
            line.cut()
            there._config = replace(there._config, patience=0)
            assert there.mli_get_current_weights() == Weights([np.zeros(3)])


def test_learner_that_was_never_reached_has_no_weights(unused_address: str):  # noqa: F811
    learner = RemoteLearner(unused_address, RemoteConfig(patience=0))
    with pytest.raises(LearnerUnavailable):
        learner.mli_get_current_weights()


def test_weights_are_sent_as_safetensors_and_not_as_pickles(monkeypatch):
    sent: list[pb.Request] = []
    with serve_learner(TowardsTarget(4)) as address, connect_learner(address) as there:
        channel = there._open_channel()

        class Tapped:
            def stream_stream(self, path: str, **coders: Any) -> Any:
                def ask(frames: Any, **more: Any) -> Any:
                    kept = list(frames)
                    sent.extend(kept)
                    return channel.stream_stream(path, **coders)(iter(kept), **more)

                return ask

            def close(self) -> None:
                channel.close()

        there._channel = Tapped()
        there.mli_test_weights(Weights([np.ones(3)]))
    assert sent[-1].part == encode_weights([np.ones(3)])
    assert all(frame.WhichOneof("frame") == "head" for frame in sent[:-1])
