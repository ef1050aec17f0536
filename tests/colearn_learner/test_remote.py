"""A learner behind a server, both in this process, over real connections."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import (
    ColearnModel,
    DiffPrivBudget,
    ErrorCodes,
    ModelFormat,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_learner.remote import server as server_module
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_learner.remote.errors import (
    CanNotListen,
    InvalidAddress,
    InvalidToken,
    LearnerFailed,
    LearnerRefused,
    LearnerUnavailable,
    TooLarge,
    Unprotected,
)
from colearn_learner.remote.server import LearnerServer, ServedCall, ServerConfig
from tests.colearn_learner.test_remote_messages import an_onnx_model
from tests.support.certificates import self_signed
from tests.support.defective_learners import Sound
from tests.support.remote_servers import LONG, Gate, TakesOne, connected, nobody, served  # noqa: F401
from tests.support.toyworld import TowardsTarget

TOKEN = "correct-horse-battery-staple"


def test_the_five_methods_do_over_a_line_what_they_do_here():
    here = Sound(seed=3)
    with served(Sound(seed=3)) as address, connected(address) as there:
        for _ in range(3):
            mine, theirs = here.mli_propose_weights(), there.mli_propose_weights()
            assert theirs == mine
            said, heard = here.mli_test_weights(mine), there.mli_test_weights(theirs)
            assert heard == said
            assert heard.weights is theirs
            here.mli_accept_weights(mine)
            there.mli_accept_weights(theirs)
            assert there.mli_get_current_weights() == here.mli_get_current_weights()


class Says(TowardsTarget):
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


def test_weights_of_many_parts_arrive_whole_both_ways():
    learner = Says(1)
    many = np.random.default_rng(1).standard_normal(700_001)  # 5.6 MB
    learner.proposal = Weights({"w": many})
    with served(learner) as address, connected(address) as there:
        assert there.mli_propose_weights() == learner.proposal
        there.mli_accept_weights(Weights([many]))
        assert there.mli_get_current_weights() == Weights([many])
    np.testing.assert_array_equal(learner.weights[0], many)


def test_the_training_summary_arrives_with_every_kind_of_weights():
    learner = Says(1)
    budget = DiffPrivBudget(1.0, 1e-5, 1.25, 1e-5)
    spent = TrainingSummary(budget, ErrorCodes.DP_BUDGET_EXCEEDED)
    learner.proposal = Weights([np.zeros(3)], spent)
    learner.mli_get_current_weights = lambda: learner.proposal
    learner.answer = ProposedWeights(learner.proposal, 1.0, 1.0, vote=True)
    with served(learner) as address, connected(address) as there:
        assert there.mli_propose_weights().training_summary == spent
        assert there.mli_get_current_weights().training_summary == spent
        there.mli_test_weights(Weights([np.zeros(3)], TrainingSummary(budget)))
    assert learner.tested.training_summary == TrainingSummary(budget)


@pytest.mark.parametrize("vote", [True, False, None])
def test_no_vote_no_score_and_no_test_records_arrive_as_such(vote: bool | None):
    learner = Says(1)
    nan = float("nan")
    learner.answer = ProposedWeights(Weights([1]), nan, 0.0, vote, has_test_score=False)
    with served(learner) as address, connected(address) as there:
        heard = there.mli_test_weights(Weights([np.zeros(3)]))
    assert heard.vote is vote
    assert np.isnan(heard.vote_score)
    assert heard.has_test_score is False


def test_a_model_is_fetched_as_onnx():
    learner = Says(1)
    learner.model = ColearnModel(ModelFormat.ONNX, None, an_onnx_model())
    with served(learner) as address, connected(address) as there:
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
    ("error", "said"),
    [
        (ZeroDivisionError("no records"), "ZeroDivisionError: no records"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("x" * 100_000), "ValueError: x"),
        (ValueError("\ud800\u0000"), "ValueError: "),
    ],
)
def test_an_error_of_the_learner_arrives_and_the_server_serves_on(error, said: str):
    learner = Fails(4)
    calls: list[ServedCall] = []
    server = LearnerServer(learner, ServerConfig(port=0), on_call=calls.append)
    address = server.start()
    with connected(address) as there:
        learner.error = error
        with pytest.raises(LearnerFailed, match=said) as failed:
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


def test_weights_that_can_not_travel_are_an_error_of_the_learner():
    learner = Says(1)
    learner.proposal = Weights([object()])
    with (
        served(learner) as address,
        connected(address) as there,
        pytest.raises(LearnerFailed, match="UnsupportedWeights"),
    ):
        there.mli_propose_weights()


def test_weights_that_the_learner_does_not_accept_are_not_pressed_on_it():
    learner = TakesOne(4)
    with served(learner) as address, connected(address) as there:
        with pytest.raises(LearnerFailed, match=r"too much \(Accept"):
            there.mli_accept_weights(Weights([np.full(3, 2.0)]))
        assert there.mli_propose_weights().weights[0][0] == 1.0
        there.mli_accept_weights(Weights([np.full(3, 1.0)]))
        assert there.mli_propose_weights().weights[0][0] == 1.75


# ------------------------------------------------------------------ limits


def test_neither_side_takes_more_than_its_limit():
    learner = Says(1)
    large = Weights([np.zeros(1_000)])
    learner.proposal = large
    learner.answer = ProposedWeights(large, 1.0, 1.0, vote=True)
    with served(learner, max_bytes=5_000) as address, connected(address) as there:
        with pytest.raises(LearnerRefused, match="bytes are announced and 5000 are allowed"):
            there.mli_test_weights(large)
        assert learner.tested is None
    with (
        served(learner) as address,
        connected(address, max_bytes=5_000) as there,
        pytest.raises(TooLarge, match="bytes are announced and 5000 are allowed"),
    ):
        there.mli_propose_weights()


def test_what_comes_too_late_is_given_up_and_the_next_call_waits_for_the_learner():
    learner = Gate(TowardsTarget(4))
    with served(learner) as address, connected(address) as there, ThreadPoolExecutor(1) as pool:
        learner.closed = True
        training = pool.submit(there.mli_propose_weights)
        assert learner.training.acquire(timeout=LONG)
        with (
            RemoteLearner(str(address), RemoteConfig(deadline=0.2)) as hasty,
            pytest.raises(LearnerUnavailable, match="no answer in time"),
        ):
            hasty.mli_propose_weights()
        with RemoteLearner(str(address), RemoteConfig(deadline=LONG)) as patient:
            learner.closed = False
            learner.go.release()
            assert patient.mli_propose_weights().weights[0][0] == 1.0
        assert training.result(LONG).weights[0][0] == 1.0


class CountsVisitors(TowardsTarget):
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


def test_a_learner_does_one_thing_at_a_time():
    learner = CountsVisitors()
    with (
        served(learner) as address,
        connected(address) as one,
        connected(address) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        calls = [pool.submit(client.mli_propose_weights) for client in (one, two)]
        assert [call.result(LONG).weights[0][0] for call in calls] == [1.0, 1.0]
    assert (learner.trainings, learner.most) == (2, 1)


# ------------------------------------------------------------------ permissions


def test_a_caller_without_the_token_is_refused(caplog):
    with caplog.at_level(logging.DEBUG), served(Sound(), token=TOKEN) as address:
        with connected(address, token=TOKEN) as there:
            assert there.mli_propose_weights()
        for token in (None, TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
            with pytest.raises(LearnerRefused, match="token is missing or is not"):
                RemoteLearner(str(address), RemoteConfig(token=token)).reach()
    assert "refused a caller" in caplog.text
    assert TOKEN not in caplog.text


def test_a_token_is_not_shown():
    server = ServerConfig(token=TOKEN, certificate=b"c", key=b"hunter2")
    for shown in (repr(server), repr(RemoteConfig(token=TOKEN))):
        assert TOKEN not in shown
        assert "hunter2" not in shown
    with pytest.raises(InvalidToken):
        ServerConfig(token="short")
    with pytest.raises(InvalidToken):
        RemoteConfig(token="short")


def reached(address: Any, **config: Any) -> Weights:
    with RemoteLearner(str(address), RemoteConfig(patience=0, **config)) as learner:
        learner.reach()
        return learner.mli_get_current_weights()


def test_tls_is_had_with_the_certificate_and_with_nothing_else():
    pair, other = self_signed("127.0.0.1"), self_signed("127.0.0.1")
    secret = {"certificate": pair.certificate, "key": pair.key, "token": TOKEN}
    with served(TowardsTarget(4), **secret) as address:
        assert address.tls
        assert reached(address, ca=pair.certificate, token=TOKEN) == Weights([np.zeros(3)])
        for ca in (other.certificate, None):
            with pytest.raises(LearnerRefused, match="certificate that is not to be believed"):
                reached(address, ca=ca, token=TOKEN)
        with pytest.raises(LearnerRefused, match="token is missing"):
            reached(address, ca=pair.certificate)
        with pytest.raises(LearnerUnavailable):  # plain text to a server that speaks TLS
            reached(replace(address, tls=False), token=TOKEN)


def test_a_certificate_for_another_name_is_refused_unless_the_name_is_given():
    pair = self_signed("gpu.example.org")
    with served(TowardsTarget(4), certificate=pair.certificate, key=pair.key) as address:
        with pytest.raises(LearnerRefused, match="certificate that is not to be believed"):
            reached(address, ca=pair.certificate)
        assert reached(address, ca=pair.certificate, server_name="gpu.example.org")


def test_who_wants_tls_never_talks_to_a_server_without():
    learner = Says(1)
    with served(learner) as address, pytest.raises(LearnerUnavailable, match="does not answer"):
        reached(replace(address, tls=True), token=TOKEN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gpu.example.org"])
def test_other_machines_are_served_only_with_tls_and_a_token(host: str):
    pair = {"certificate": b"c", "key": b"k"}
    for config in ({}, pair, {"token": TOKEN}):
        with pytest.raises(Unprotected, match="only with TLS and a token"):
            ServerConfig(host, **config)
    assert ServerConfig(host, token=TOKEN, **pair)
    for half in ({"certificate": b"c"}, {"key": b"k"}):
        with pytest.raises(Unprotected, match="both a certificate and its key"):
            ServerConfig(**half)


def test_other_machines_are_asked_only_with_tls():
    with pytest.raises(Unprotected, match=r"use grpcs://gpu\.example\.org:9995"):
        RemoteLearner("grpc://gpu.example.org:9995", RemoteConfig(token=TOKEN))
    with pytest.raises(InvalidArgument, match="without TLS"):
        RemoteLearner("grpc://127.0.0.1:9995", RemoteConfig(ca=b"x"))
    with pytest.raises(InvalidAddress):
        RemoteLearner("http://127.0.0.1:9995")


@pytest.mark.parametrize(
    "wrong",
    [
        *({"deadline": 0}, {"deadline": "soon"}, {"deadline": 1e300}, {"max_bytes": 0}),
        *({"patience": -1}, {"patience": True}, {"patience": float("nan")}),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any]):
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        RemoteConfig(**wrong)


# ------------------------------------------------------------------ missing servers


def test_a_server_that_is_not_there_is_told_with_what_to_do(nobody: str):  # noqa: F811
    with pytest.raises(LearnerUnavailable, match=r"refused.*see that it runs"):
        reached(nobody)


def test_a_server_is_waited_for(nobody: str):  # noqa: F811
    learner = RemoteLearner(nobody, RemoteConfig(patience=LONG))
    failing = threading.Event()
    forget = learner._forget_channel

    def forget_and_tell() -> None:
        failing.set()
        forget()

    learner._forget_channel = forget_and_tell
    with ThreadPoolExecutor(1) as pool:
        reaching = pool.submit(learner.mli_get_current_weights)
        assert failing.wait(LONG)
        with served(TowardsTarget(4)) as address:
            learner.address = address
            assert reaching.result() == Weights([np.zeros(3)])
            learner.close()


def test_another_release_of_the_protocol_is_refused(monkeypatch):
    monkeypatch.setattr(server_module, "VERSION", 2)
    with (
        served(TowardsTarget(4)) as address,
        pytest.raises(LearnerRefused, match="uses version 2"),
    ):
        reached(address)


def test_a_grpc_server_of_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(server_module, "METHODS", ())
    with (
        served(TowardsTarget(4)) as address,
        pytest.raises(LearnerRefused, match="there is no learner's server"),
    ):
        reached(address)


def test_a_taken_port_is_told():
    with (
        served(TowardsTarget(4)) as address,
        pytest.raises(CanNotListen, match="the port is taken"),
    ):
        LearnerServer(TowardsTarget(4), ServerConfig(port=address.port)).start()


def ask_until_refused(address: Any) -> None:
    """Return once a server accepts no more calls, not even those that need no learner."""
    with RemoteLearner(str(address), RemoteConfig(patience=0)) as learner:
        while True:
            try:
                learner._hello(0)
            except LearnerUnavailable:
                return


def test_a_server_that_ends_finishes_the_call_at_hand_and_takes_no_more():
    learner = Gate(TowardsTarget(4))
    server = LearnerServer(learner, ServerConfig(port=0))
    address = server.start()
    with connected(address, patience=0) as there, ThreadPoolExecutor(3) as pool:
        learner.closed = True
        training = pool.submit(there.mli_propose_weights)
        assert learner.training.acquire(timeout=LONG)
        ending = pool.submit(server.stop)
        ask_until_refused(address)
        learner.go.release()
        assert training.result(LONG).weights[0][0] == 1.0
        ending.result(LONG)
        with pytest.raises(LearnerUnavailable):
            there.mli_propose_weights()
    assert learner.trainings == 1
