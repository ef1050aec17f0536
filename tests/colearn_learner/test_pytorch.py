"""Rounds, scores and loaders of PyTorch learners, on handwritten digits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from colearn_learner.errors import InvalidData
from colearn_learner.learners.pytorch import categorical_accuracy
from tests.support.pytorch_digits import (
    INPUTS,
    TARGETS,
    encode,
    make_learner,
    make_loader,
    send,
)


class TestRounds:
    def test_proposing_and_testing_preserve_weights_statistics_and_modes(self):
        learner = make_learner()
        learner.model[3].eval()  # as if the author had disabled dropout
        before = encode(learner.mli_get_current_weights())
        modes = [module.training for module in learner.model.modules()]
        proposal = learner.mli_propose_weights()
        assert learner.mli_test_weights(proposal).vote is True
        assert encode(learner.mli_get_current_weights()) == before != encode(proposal)
        assert [module.training for module in learner.model.modules()] == modes

    def test_buffers_outside_the_state_dict_are_restored(self):
        class Counting(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(64, 10)
                self.register_buffer("calls", torch.zeros(()), persistent=False)

            def forward(self, inputs: Any) -> Any:
                self.calls += 1
                return self.layer(inputs)

        learner = make_learner(Counting())
        calls = learner.model.calls.clone()
        learner.mli_propose_weights()
        assert learner.model.calls == calls
        assert "calls" not in learner.mli_get_current_weights().weights

    def test_failed_training_changes_nothing(self):
        learner = make_learner(
            train_loader=[(INPUTS[:32], TARGETS[:32]), (INPUTS[:32, :5], TARGETS[:32])]
        )
        before, training = encode(learner.mli_get_current_weights()), learner.model.training
        with pytest.raises(RuntimeError):
            learner.mli_propose_weights()
        assert (encode(learner.mli_get_current_weights()), learner.model.training) == (
            before,
            training,
        )

    def test_returned_and_accepted_weights_are_copies(self):
        learner = make_learner()
        proposal = learner.mli_propose_weights()
        bytes_of_it = encode(proposal)
        learner.mli_accept_weights(proposal)
        learner.mli_accept_weights(learner.mli_propose_weights())
        assert encode(proposal) == bytes_of_it
        current = learner.mli_get_current_weights()
        before = encode(current)
        learner.mli_accept_weights(current)
        for array in current.weights.values():
            array[...] = 0
        assert encode(learner.mli_get_current_weights()) == before

    def test_accepted_weights_become_current_and_set_the_score_to_beat(self):
        learner = make_learner()
        start, proposal = learner.mli_get_current_weights(), learner.mli_propose_weights()
        learner.mli_accept_weights(proposal)
        assert encode(learner.mli_get_current_weights()) == encode(proposal)
        assert learner.mli_test_weights(start).vote is False

    def test_equal_score_is_rejected(self):
        learner = make_learner()
        assert learner.mli_test_weights(learner.mli_get_current_weights()).vote is False

    def test_rounds_produce_an_accurate_model(self):
        learners = [
            make_learner(train_loader=make_loader(n, n + 300, shuffle=True)) for n in (0, 300)
        ]
        for n in range(6):
            proposal = send(learners[n % 2].mli_propose_weights())
            if learners[(n + 1) % 2].mli_test_weights(proposal).vote:
                for learner in learners:
                    learner.mli_accept_weights(proposal)
        tested = make_learner(vote_criterion=categorical_accuracy, minimise_criterion=False)
        assert tested.mli_test_weights(learners[0].mli_get_current_weights()).test_score > 0.85

    def test_same_seed_trains_the_same_weights(self):
        assert encode(make_learner().mli_propose_weights()) == encode(
            make_learner().mli_propose_weights()
        )

    def test_scoring_on_the_cpu_does_not_seed_accelerators(self, monkeypatch: pytest.MonkeyPatch):
        learner, seeded = make_learner(), []
        monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
        learner.mli_test_weights(learner.mli_get_current_weights())
        assert seeded == []

    def test_scoring_preserves_the_random_state(self):
        learner = make_learner(vote_loader=make_loader(600, 900, shuffle=True))
        before = torch.get_rng_state()
        learner.mli_test_weights(learner.mli_get_current_weights())
        assert torch.equal(torch.get_rng_state(), before)

    def test_vote_and_test_loaders_are_optional(self):
        learner = make_learner(vote_loader=None, test_loader=None)
        tested = learner.mli_test_weights(learner.mli_propose_weights())
        assert (tested.vote, tested.test_score, tested.has_test_score) == (True, 0.0, False)


class TestOptimizers:
    def test_optimizer_state_is_reset_only_if_asked(self):
        fixed = {"train_loader": make_loader(0, 320)}
        model = nn.Linear(64, 10)
        fresh = make_learner(model, **fixed)
        assert encode(fresh.mli_propose_weights()) == encode(fresh.mli_propose_weights())
        lasting = make_learner(model, **fixed, need_reset_optimizer=False)
        assert encode(lasting.mli_propose_weights()) != encode(lasting.mli_propose_weights())

    def test_optimizer_that_evaluates_the_loss_again_works(self):
        model = nn.Linear(64, 10)
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
        learner = make_learner(model, optimizer=optimizer, train_loader=make_loader(0, 600, 600))
        assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True


class TestScores:
    @pytest.mark.parametrize("size", [1, 7, 32, 1000])
    def test_score_is_the_mean_over_records_for_any_batch_size(self, size: int):
        learner = make_learner(vote_loader=make_loader(600, 900, size))
        with torch.no_grad():
            learner.model.eval()
            expected = nn.functional.cross_entropy(learner.model(INPUTS[600:900]), TARGETS[600:900])
        assert learner.vote_score == pytest.approx(float(expected), rel=1e-5)

    @pytest.mark.parametrize("score", [torch.tensor(3), torch.tensor([3, 3]), 3])
    def test_criterion_may_return_integers(self, score: Any):
        learner = make_learner(criterion=lambda outputs, labels: score)
        assert learner.vote_score == 3.0

    @pytest.mark.parametrize("minimise", [True, False])
    def test_only_strictly_better_scores_are_approved(self, minimise: bool):
        learner = make_learner(minimise_criterion=minimise)
        score, better = learner.vote_score, -0.1 if minimise else 0.1
        votes = [learner.vote(value) for value in (score + better, score, score - better)]
        assert votes == [True, False, False]

    @pytest.mark.parametrize("reduction", ["sum", "none"])
    def test_criterion_without_mean_reduction_gives_the_same_score(self, reduction: str):
        learner = make_learner(criterion=nn.CrossEntropyLoss(reduction=reduction))
        assert learner.vote_score == pytest.approx(make_learner().vote_score, rel=1e-5)
        assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True

    def test_num_test_batches_limits_the_scored_batches(self):
        some = make_learner(vote_loader=make_loader(600, 900, 50), num_test_batches=2)
        assert some.vote_score == pytest.approx(
            make_learner(vote_loader=make_loader(600, 700)).vote_score, rel=1e-5
        )

    def test_shuffling_loader_scores_the_same_records_each_time(self):
        learner = make_learner(
            vote_loader=make_loader(600, 900, 10, shuffle=True), num_test_batches=3
        )
        current = learner.mli_get_current_weights()
        learner.mli_propose_weights()
        assert learner.mli_test_weights(current).vote_score == learner.vote_score

    def test_vote_criterion_gets_outputs_and_labels_of_all_batches(self):
        seen: list[tuple[Any, Any]] = []

        def criterion(outputs: Any, labels: Any) -> float:
            seen.append((outputs, labels))
            return 0.5

        learner = make_learner(vote_criterion=criterion)
        assert (learner.vote_score, len(seen)) == (0.5, 1)
        outputs, labels = seen[0]
        assert outputs.shape == (300, 10)
        assert torch.equal(labels, TARGETS[600:900])

    def test_minimise_criterion_decides_the_better_score(self):
        learner = make_learner(vote_criterion=categorical_accuracy, minimise_criterion=False)
        assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True
        worse = make_learner(vote_criterion=categorical_accuracy, minimise_criterion=True)
        assert worse.mli_test_weights(worse.mli_propose_weights()).vote is False

    @pytest.mark.parametrize("minimise", [True, False])
    def test_nan_weights_are_rejected_and_leave_no_trace(self, minimise: bool):
        learner = make_learner(minimise_criterion=minimise)
        bad, before = learner.mli_get_current_weights(), encode(learner.mli_get_current_weights())
        bad.weights["0.weight"][...] = math.nan
        tested = learner.mli_test_weights(bad)
        assert math.isnan(tested.vote_score)
        assert tested.vote is False
        assert encode(learner.mli_get_current_weights()) == before


class TestLoaders:
    def test_one_batch_is_enough(self):
        learner = make_learner(
            train_loader=make_loader(0, 600, 600), vote_loader=make_loader(600, 900, 300)
        )
        assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True

    def test_num_train_batches_limits_the_training(self):
        def train(**options: Any) -> bytes:
            return encode(make_learner(nn.Linear(64, 10), **options).mli_propose_weights())

        torch.manual_seed(3)
        some = train(train_loader=make_loader(0, 600, 20), num_train_batches=2)
        torch.manual_seed(3)
        assert some == train(train_loader=make_loader(0, 40, 20))

    def test_loaders_without_records_are_refused(self):
        with pytest.raises(InvalidData, match="train_loader has no batches"):
            make_learner(train_loader=make_loader(0, 0))
        with pytest.raises(InvalidData, match="no records"):
            make_learner(vote_loader=make_loader(0, 0))
        with pytest.raises(InvalidData, match="no records"):
            make_learner(vote_loader=[], vote_criterion=categorical_accuracy)
        learner = make_learner(train_loader=iter([]))
        with pytest.raises(InvalidData, match="no batches"):
            learner.mli_propose_weights()

    def test_loader_of_unknown_length_works(self):
        class Stream(IterableDataset[Any]):
            def __iter__(self) -> Iterator[Any]:
                return iter(TensorDataset(INPUTS[:64], TARGETS[:64]))

        learner = make_learner(train_loader=DataLoader(Stream(), 16))
        assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True

    def test_inputs_may_be_nested_tensors(self):
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(64, 10)

            def forward(self, parts: dict[str, Any]) -> Any:
                return self.layer(torch.cat([parts["left"], *parts["right"]], dim=1))

        def batch(a: int, b: int) -> Any:
            rows = INPUTS[a:b]
            return {"left": rows[:, :30], "right": (rows[:, 30:],)}, TARGETS[a:b]

        learner = make_learner(Two(), train_loader=[batch(0, 300)], vote_loader=[batch(300, 600)])
        learner.test_loader = None
        assert learner.mli_test_weights(learner.mli_propose_weights()).vote is True
