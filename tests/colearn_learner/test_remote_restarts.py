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
from tests.support.remote_servers import LONG, Gate, Line, TakesOne, connected, nobody, served  # noqa: F401
from tests.support.toyworld import TowardsTarget


def test_a_call_whose_line_broke_is_done_again_after_the_lost_one():
    learner = Gate(TowardsTarget(4))
    with Line() as line, served(learner) as address, ThreadPoolExecutor(1) as pool:
        line.lead(address)
        with connected(line.address) as there:
            learner.closed = True
            training = pool.submit(there.mli_propose_weights)
            assert learner.training.acquire(timeout=LONG)
            learner.closed = False
            line.cut(for_good=False)
            learner.go.release()
            assert training.result(LONG).weights[0][0] == 1.0
    assert learner.trainings == 2


def test_a_training_that_died_with_its_server_is_done_again_by_the_next_one():
    first, second = Gate(TowardsTarget(4)), TowardsTarget(8)
    with (
        Line() as line,
        served(first) as before,
        served(second) as afterwards,
        ThreadPoolExecutor(1) as pool,
    ):
        line.lead(before)
        with connected(line.address) as there:
            there.mli_accept_weights(Weights([np.full(3, 2.0)]))
            first.closed = True
            training = pool.submit(there.mli_propose_weights)
            assert first.training.acquire(timeout=LONG)
            line.lead(afterwards)
            line.cut(for_good=False)
            assert training.result(LONG) == Weights([np.full(3, 3.5)])
        first.go.release()
    assert second.trainings == 1


def after(learner: Any, use: Callable[[RemoteLearner], Any], *, accepted: float = 2.0) -> Any:
    """Return the result of a use after the server was replaced by one without weights."""
    with Line() as line:
        with served(TowardsTarget(4)) as address:
            line.lead(address)
            client = RemoteLearner(str(line.address), RemoteConfig(patience=LONG))
            client.reach()
            client.mli_accept_weights(Weights([np.full(3, accepted)]))
        line.cut()
        with served(learner) as address, client:
            line.lead(address)
            return use(client)


def test_a_server_that_came_back_is_given_the_accepted_weights_before_it_trains(caplog):
    learner = TowardsTarget(4)
    proposal = after(learner, lambda client: client.mli_propose_weights())
    assert proposal.weights[0].tolist() == [2.5] * 3
    assert learner.weights[0].tolist() == [2.0] * 3
    assert "was restarted" in caplog.text


@pytest.mark.parametrize(("value", "vote"), [(1.0, False), (3.0, True)])
def test_a_server_that_came_back_votes_against_the_accepted_weights(value: float, vote: bool):
    weights = Weights([np.full(3, value)])
    heard = after(TowardsTarget(4), lambda client: client.mli_test_weights(weights))
    assert heard.vote is vote


def test_a_server_that_came_back_says_the_accepted_weights():
    current = after(TowardsTarget(4), lambda client: client.mli_get_current_weights())
    assert current == Weights([np.full(3, 2.0)])


def test_a_learner_that_can_not_take_the_accepted_weights_again_does_nothing_else():
    learner = TakesOne(4)

    def use(client: RemoteLearner) -> None:
        for _ in range(2):
            with pytest.raises(LearnerFailed, match=r"too much \(Accept"):
                client.mli_propose_weights()

    after(learner, use)
    assert learner.trainings == 0


def test_a_server_that_another_agent_used_is_given_the_own_weights_again():
    with served(TowardsTarget(4)) as address, connected(address) as one, connected(address) as two:
        one.mli_accept_weights(Weights([np.full(3, 2.0)]))
        two.mli_accept_weights(Weights([np.full(3, 3.0)]))
        assert one.mli_propose_weights().weights[0][0] == 2.5


class FailsHalfway(TowardsTarget):
    def mli_accept_weights(self, weights: Weights) -> None:
        super().mli_accept_weights(weights)
        if weights.weights[0][0] > 2:
            raise ValueError("too much")


def test_a_learner_that_failed_halfway_is_given_the_own_weights_again():
    learner = FailsHalfway(4)
    with served(learner) as address, connected(address) as one, connected(address) as two:
        one.mli_accept_weights(Weights([np.full(3, 2.0)]))
        with pytest.raises(LearnerFailed):
            two.mli_accept_weights(Weights([np.full(3, 3.0)]))
        assert one.mli_propose_weights().weights[0][0] == 2.5


def test_a_server_restarted_between_two_calls_does_not_train_from_nothing(monkeypatch):
    learner = TowardsTarget(4)
    with served(learner) as address, connected(address) as there:
        there.mli_accept_weights(Weights([np.full(3, 2.0)]))
        hello = there._hello(0)
        learner.mli_accept_weights(Weights([np.zeros(3)]))
        with connected(address) as other:
            other.mli_accept_weights(Weights([np.zeros(3)]))  # replaces the first's weights
        real, lies = there._hello, [hello]
        monkeypatch.setattr(
            there, "_hello", lambda patience: lies.pop() if lies else real(patience)
        )
        assert there.mli_propose_weights().weights[0][0] == 2.5
    assert (lies, learner.trainings) == ([], 1)


def test_accepting_is_put_off_while_nobody_answers(caplog):
    learner = TowardsTarget(4)
    with Line() as line, served(learner) as address:
        line.lead(address)
        with connected(line.address, patience=LONG) as there:
            line.cut()
            there._config = replace(there._config, patience=0)
            there.mli_accept_weights(Weights([np.full(3, 2.0)]))
            assert "gets the accepted weights before it is used again" in caplog.text
            with pytest.raises(LearnerUnavailable):
                there.mli_propose_weights()
            assert there.mli_get_current_weights() == Weights([np.full(3, 2.0)])
            assert learner.weights[0].tolist() == [0.0] * 3
            line.lead(address)
            assert there.mli_propose_weights().weights[0][0] == 2.5
    assert learner.trainings == 1


def test_the_weights_of_a_learner_that_was_reached_are_known_while_it_is_away():
    with Line() as line, served(TowardsTarget(4)) as address:
        line.lead(address)
        with connected(line.address, patience=LONG) as there:
            line.cut()
            there._config = replace(there._config, patience=0)
            assert there.mli_get_current_weights() == Weights([np.zeros(3)])


def test_a_learner_never_reached_has_no_weights(nobody: str):  # noqa: F811
    learner = RemoteLearner(nobody, RemoteConfig(patience=0))
    with pytest.raises(LearnerUnavailable):
        learner.mli_get_current_weights()


def test_weights_are_sent_as_files_of_weights_and_never_as_pickles(monkeypatch):
    sent: list[pb.Request] = []
    with served(TowardsTarget(4)) as address, connected(address) as there:
        channel = there._opened_channel()

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
