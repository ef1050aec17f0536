"""A learner behind a server, both in this process, over real connections."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from colearn_learner.interface import (
    ColearnModel,
    DiffPrivBudget,
    ErrorCodes,
    ModelFormat,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.errors import (
    LearnerFailed,
    LearnerRefused,
    LearnerUnavailable,
    TooLarge,
)
from colearn_learner.remote.server import LearnerServer, ServedCall, ServerConfig
from tests.colearn_learner.test_remote_messages import make_onnx_model
from tests.support.defective_learners import Sound
from tests.support.remote_servers import (
    LONG,
    AcceptsAtMostOne,
    Gate,
    connect_learner,
    serve_learner,
)
from tests.support.toyworld import TowardsTarget


def test_remote_learner_returns_the_same_results_as_a_local_one():
    here = Sound(seed=3)
    with serve_learner(Sound(seed=3)) as address, connect_learner(address) as there:
        for _ in range(3):
            mine, theirs = here.mli_propose_weights(), there.mli_propose_weights()
            assert theirs == mine
            mine_tested, theirs_tested = here.mli_test_weights(mine), there.mli_test_weights(theirs)
            assert theirs_tested == mine_tested
            assert theirs_tested.weights is theirs
            here.mli_accept_weights(mine)
            there.mli_accept_weights(theirs)
            assert there.mli_get_current_weights() == here.mli_get_current_weights()


class Scripted(TowardsTarget):
    """A learner that returns its configured attributes."""

    proposal: Any = None
    answer: Any = None
    model: Any = None
    tested: Any = None

    def mli_propose_weights(self) -> Weights:
        return self.proposal

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        self.tested = weights
        return self.answer

    def mli_get_current_model(self) -> Any:
        return self.model


def test_large_weights_survive_transfer_in_both_directions():
    learner = Scripted(1)
    many = np.random.default_rng(1).standard_normal(700_001)  # 5.6 MB
    learner.proposal = Weights({"w": many})
    with serve_learner(learner) as address, connect_learner(address) as there:
        assert there.mli_propose_weights() == learner.proposal
        there.mli_accept_weights(Weights([many]))
        assert there.mli_get_current_weights() == Weights([many])
    np.testing.assert_array_equal(learner.weights[0], many)


def test_training_summary_is_transferred_with_weights():
    learner = Scripted(1)
    budget = DiffPrivBudget(1.0, 1e-5, 1.25, 1e-5)
    spent = TrainingSummary(budget, ErrorCodes.DP_BUDGET_EXCEEDED)
    learner.proposal = Weights([np.zeros(3)], spent)
    learner.mli_get_current_weights = lambda: learner.proposal
    learner.answer = ProposedWeights(learner.proposal, 1.0, 1.0, vote=True)
    with serve_learner(learner) as address, connect_learner(address) as there:
        assert there.mli_propose_weights().training_summary == spent
        assert there.mli_get_current_weights().training_summary == spent
        there.mli_test_weights(Weights([np.zeros(3)], TrainingSummary(budget)))
    assert learner.tested.training_summary == TrainingSummary(budget)


@pytest.mark.parametrize("vote", [True, False, None])
def test_missing_vote_score_and_test_records_are_preserved(vote: bool | None):
    learner = Scripted(1)
    nan = float("nan")
    learner.answer = ProposedWeights(Weights([1]), nan, 0.0, vote, has_test_score=False)
    with serve_learner(learner) as address, connect_learner(address) as there:
        tested = there.mli_test_weights(Weights([np.zeros(3)]))
    assert tested.vote is vote
    assert np.isnan(tested.vote_score)
    assert tested.has_test_score is False


def test_only_onnx_models_can_be_fetched():
    learner = Scripted(1)
    learner.model = ColearnModel(ModelFormat.ONNX, None, make_onnx_model())
    with serve_learner(learner) as address, connect_learner(address) as there:
        assert there.mli_get_current_model() == learner.model
        learner.model = ColearnModel(ModelFormat.PICKLE_WEIGHTS_ONLY, None, [1])
        with pytest.raises(LearnerFailed, match="only a model in ONNX"):
            there.mli_get_current_model()


# ------------------------------------------------------------------ errors of the learner


class Fails(TowardsTarget):
    error: BaseException | None = None

    def mli_propose_weights(self) -> Weights:
        if self.error is not None:
            raise self.error
        return super().mli_propose_weights()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("no records"), "ZeroDivisionError: no records"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("x" * 100_000), "ValueError: x"),
        (ValueError("\ud800\u0000"), "ValueError: "),
    ],
)
def test_learner_error_reaches_the_caller_and_the_server_keeps_running(error, message: str):
    learner = Fails(4)
    calls: list[ServedCall] = []
    server = LearnerServer(learner, ServerConfig(port=0), on_call=calls.append)
    address = server.start()
    with connect_learner(address) as there:
        learner.error = error
        with pytest.raises(LearnerFailed, match=message) as failed:
            there.mli_propose_weights()
        assert str(address) in str(failed.value)
        learner.error = None
        assert there.mli_propose_weights().weights[0][0] == 1.0
    server.stop()
    assert [(c.method, bool(c.failure)) for c in calls] == [
        ("CurrentWeights", False),
        ("Propose", True),
        ("Propose", False),
    ]


def test_weights_that_cannot_be_encoded_are_a_learner_error():
    learner = Scripted(1)
    learner.proposal = Weights([object()])
    with (
        serve_learner(learner) as address,
        connect_learner(address) as there,
        pytest.raises(LearnerFailed, match="UnsupportedWeights"),
    ):
        there.mli_propose_weights()


def test_refused_weights_are_not_sent_to_the_learner_again():
    learner = AcceptsAtMostOne(4)
    with serve_learner(learner) as address, connect_learner(address) as there:
        with pytest.raises(LearnerFailed, match=r"too much \(Accept"):
            there.mli_accept_weights(Weights([np.full(3, 2.0)]))
        assert there.mli_propose_weights().weights[0][0] == 1.0
        there.mli_accept_weights(Weights([np.full(3, 1.0)]))
        assert there.mli_propose_weights().weights[0][0] == 1.75


# ------------------------------------------------------------------ limits


def test_neither_side_receives_more_than_max_bytes():
    learner = Scripted(1)
    large = Weights([np.zeros(1_000)])
    learner.proposal = large
    learner.answer = ProposedWeights(large, 1.0, 1.0, vote=True)
    with serve_learner(learner, max_bytes=5_000) as address, connect_learner(address) as there:
        with pytest.raises(LearnerRefused, match="bytes are announced and 5000 are allowed"):
            there.mli_test_weights(large)
        assert learner.tested is None
    with (
        serve_learner(learner) as address,
        connect_learner(address, max_bytes=5_000) as there,
        pytest.raises(TooLarge, match="bytes are announced and 5000 are allowed"),
    ):
        there.mli_propose_weights()


def test_call_after_a_timeout_waits_until_the_learner_is_free():
    learner = Gate(TowardsTarget(4))
    with (
        serve_learner(learner) as address,
        connect_learner(address) as there,
        ThreadPoolExecutor(1) as pool,
    ):
        learner.closed = True
        training = pool.submit(there.mli_propose_weights)
        assert learner.training.acquire(timeout=LONG)
        with (
            RemoteLearner(str(address), RemoteConfig(deadline=0.2)) as hasty,
            pytest.raises(LearnerUnavailable, match="did not answer in time"),
        ):
            hasty.mli_propose_weights()
        with RemoteLearner(str(address), RemoteConfig(deadline=LONG)) as patient:
            learner.closed = False
            learner.go.release()
            assert patient.mli_propose_weights().weights[0][0] == 1.0
        assert training.result(LONG).weights[0][0] == 1.0


class CountsConcurrentCalls(TowardsTarget):
    """A learner that records how many calls run in it at once."""

    def __init__(self) -> None:
        super().__init__(4)
        self.counting, self.two = threading.Lock(), threading.Event()
        self.inside = self.most = 0

    def mli_propose_weights(self) -> Weights:
        with self.counting:
            self.inside += 1
            self.most = max(self.most, self.inside)
        if self.most > 1:
            self.two.set()
        self.two.wait(0.2)
        with self.counting:
            self.inside -= 1
        return super().mli_propose_weights()


def test_learner_handles_one_call_at_a_time():
    learner = CountsConcurrentCalls()
    with (
        serve_learner(learner) as address,
        connect_learner(address) as one,
        connect_learner(address) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        calls = [pool.submit(client.mli_propose_weights) for client in (one, two)]
        assert [call.result(LONG).weights[0][0] for call in calls] == [1.0, 1.0]
    assert (learner.trainings, learner.most) == (2, 1)
