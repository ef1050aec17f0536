"""A correct learner in plain numpy, and learners with the defects of the `colearn` library.

Each defect was found in that library's learners, examples or tutorials.
"""

from __future__ import annotations

import io
import itertools
import math
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes

from colearn_learner import (
    ColearnModel,
    DiffPrivBudget,
    ErrorCodes,
    MachineLearningInterface,
    ModelFormat,
    ProposedWeights,
    TrainingSummary,
    Weights,
)

_INPUTS, _TARGETS = load_diabetes(return_X_y=True)
_INPUTS, _TARGETS = _INPUTS * 20, (_TARGETS - 150) / 75


def batches(start: int, stop: int, size: int = 32) -> list[tuple[Any, Any]]:
    places = range(start, stop, size)
    return [(_INPUTS[p : min(p + size, stop)], _TARGETS[p : min(p + size, stop)]) for p in places]


class Sound(MachineLearningInterface):
    """Linear regression by gradient descent, without any defect."""

    def __init__(self, *, seed: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.train_loader: Any = batches(0, 200)
        self.vote_loader: Any = batches(200, 330)
        self.slopes, self.offset = np.zeros(10), np.zeros(1)
        self.best = self.score(self.vote_loader)

    def train(self) -> None:
        for place in self.random.permutation(len(self.train_loader)):
            inputs, targets = self.train_loader[place]
            error = inputs @ self.slopes + self.offset - targets
            self.slopes -= 0.05 * inputs.T @ error / len(error)
            self.offset -= 0.05 * error.mean()

    def score(self, loader: Any) -> float:
        errors = [((i @ self.slopes + self.offset - t) ** 2) for i, t in loader]
        return float(np.concatenate(errors).mean())

    def vote(self, score: float) -> bool:
        return score < self.best

    def get(self) -> dict[str, Any]:
        return {"slopes": self.slopes.copy(), "offset": self.offset.copy()}

    def set(self, weights: Any) -> None:
        self.slopes, self.offset = weights["slopes"].copy(), weights["offset"].copy()

    def mli_propose_weights(self) -> Weights:
        before = self.get()
        self.train()
        proposal = Weights(self.get())
        self.set(before)
        return proposal

    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        before = self.get()
        self.set(weights.weights)
        score = self.score(self.vote_loader)
        self.set(before)
        return ProposedWeights(weights, score, 0.0, self.vote(score), has_test_score=False)

    def mli_accept_weights(self, weights: Weights) -> None:
        self.set(weights.weights)
        self.best = self.score(self.vote_loader)

    def mli_get_current_weights(self) -> Weights:
        return Weights(self.get())

    def mli_get_current_model(self) -> ColearnModel:
        return ColearnModel(ModelFormat.ONNX, "", b"")


class TrainsInPlace(Sound):
    """A learner that trains the current model, like the library's tutorial for scikit-learn."""

    def mli_propose_weights(self) -> Weights:
        self.train()
        return Weights(self.get())


class ReturnsViews(Sound):
    """A learner whose weights are the model's own arrays, like those of the fraud example."""

    def get(self) -> dict[str, Any]:
        return {"slopes": self.slopes, "offset": self.offset}

    def set(self, weights: Any) -> None:
        self.slopes[...], self.offset[...] = weights["slopes"], weights["offset"]

    def mli_propose_weights(self) -> Weights:
        before = {name: array.copy() for name, array in self.get().items()}
        self.train()
        proposal = Weights(self.get())
        self.slopes, self.offset = before["slopes"], before["offset"]
        return proposal


class KeepsAcceptedArrays(Sound):
    """A learner that keeps training in the arrays that it accepted."""

    def set(self, weights: Any) -> None:
        self.slopes, self.offset = weights["slopes"], weights["offset"]


class ReturnsTheProposalsArrays(Sound):
    """A learner that keeps training in the arrays of its proposal."""

    def __init__(self) -> None:
        super().__init__()
        self.proposal = self.get()

    def mli_propose_weights(self) -> Weights:
        before = self.get()
        self.train()
        for name, array in self.get().items():
            self.proposal[name][...] = array
        self.set(before)
        return Weights(self.proposal)


class LeavesTestedWeights(Sound):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        self.set(weights.weights)
        score = self.score(self.vote_loader)
        return ProposedWeights(weights, score, 0.0, self.vote(score))


class DividesSumsOfMeans(Sound):
    """A learner that divides a sum of batch means by the number of records, like for PyTorch."""

    def score(self, loader: Any) -> float:
        means = [((i @ self.slopes + self.offset - t) ** 2).mean() for i, t in loader]
        return float(sum(means) / sum(len(targets) for _, targets in loader))


class CountsOneBatchTooMany(Sound):
    """A learner that fails with one batch, like the PyTorch learner with ``num_test_batches``."""

    def score(self, loader: Any) -> float:
        if len(loader) <= 1:
            raise RuntimeError("No batches in loader")
        return super().score(loader)


class ScoresNoRecordsAsZero(Sound):
    def score(self, loader: Any) -> float:
        return super().score(loader) if loader else 0.0


class StaysInTrainingMode(Sound):
    """A learner that stays in training mode, like the PyTorch learner."""

    class Model:
        training = False

    def __init__(self) -> None:
        self.model = self.Model()
        super().__init__()

    def train(self) -> None:
        self.model.training = True
        super().train()


class SendsPickles(Sound):
    """A learner whose weights are a pickle, like those of the iris example."""

    def get(self) -> Any:
        import pickle

        return {"model": pickle.dumps({"slopes": self.slopes, "offset": self.offset})}

    def set(self, weights: Any) -> None:
        import pickle

        tree = pickle.loads(weights["model"])
        self.slopes, self.offset = tree["slopes"], tree["offset"]


class SendsFileNames(Sound):
    """A learner whose weights are the name of a file, like those of the XGBoost example."""

    def get(self) -> Any:
        data = io.BytesIO()
        np.savez(data, slopes=self.slopes, offset=self.offset)
        with tempfile.NamedTemporaryFile(delete=False, suffix=".npz") as file:
            file.write(data.getvalue())
        FILES.append(Path(file.name))
        return {"file": file.name}

    def set(self, weights: Any) -> None:
        with np.load(weights["file"]) as arrays:
            self.slopes, self.offset = arrays["slopes"], arrays["offset"]


FILES: list[Path] = []


class SendsObjects(Sound):
    def get(self) -> Any:
        return {"model": self}

    def set(self, weights: Any) -> None:
        pass


class WrapsTwice(Sound):
    """A learner that wraps weights twice, like the Keras learner with a spent privacy budget."""

    def mli_propose_weights(self) -> Weights:
        return Weights(weights=super().mli_propose_weights())


class RenamesTrainedArrays(Sound):
    """A learner that renames arrays, like wrappers for differential privacy."""

    def mli_propose_weights(self) -> Weights:
        tree = super().mli_propose_weights().weights
        return Weights({f"_module.{name}": array for name, array in tree.items()})


class SendsItsNorm(Sound):
    """A learner that refuses weights whose norm is not the one that came with them."""

    def get(self) -> dict[str, Any]:
        return {**super().get(), "norm": np.linalg.norm(self.slopes)}

    def set(self, weights: Any) -> None:
        if weights["norm"] != np.linalg.norm(weights["slopes"]):
            raise ValueError("the weights are corrupt")
        super().set(weights)


class ScoresMeansAsNaN(SendsItsNorm):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        try:
            return super().mli_test_weights(weights)
        except ValueError:
            return ProposedWeights(weights, math.nan, math.nan, False)

    def mli_accept_weights(self, weights: Weights) -> None:
        Sound.set(self, weights.weights)


class AcceptsOtherNorms(SendsItsNorm):
    """A learner that computes part of the weights anew when it accepts them."""

    def set(self, weights: Any) -> None:
        Sound.set(self, weights)


class ApprovesNaN(Sound):
    def vote(self, score: float) -> bool:
        return not score >= self.best


class HasNoSeed(Sound):
    """A learner without a seed, like the demo, which prints a seed but does not use it."""

    number = itertools.count()

    def __init__(self) -> None:
        super().__init__(seed=next(HasNoSeed.number))


class ScoresOtherRecordsEachTime(Sound):
    """A learner that scores a random batch each time, like a truncated shuffling loader."""

    def score(self, loader: Any) -> float:
        return super().score([loader[self.random.integers(len(loader))]])


class ExportsNothing(Sound):
    """A learner that cannot export its model, like the PyTorch learner."""

    def mli_get_current_model(self) -> ColearnModel:
        raise NotImplementedError("not yet supported")


class Private(Sound):
    """A learner that accounts correctly for the privacy that it spends."""

    step, target = 0.25, 1.0

    def __init__(self) -> None:
        super().__init__()
        self.spent = 0.0

    def code(self) -> ErrorCodes | None:
        return ErrorCodes.DP_BUDGET_EXCEEDED if self.spent > self.target else None

    def mli_propose_weights(self) -> Weights:
        self.spent += self.step
        proposal = super().mli_propose_weights()
        budget = DiffPrivBudget(self.target, 1e-5, self.spent, 1e-5)
        proposal.training_summary = TrainingSummary(budget, self.code())
        return proposal


class SpendsTooMuch(Private):
    step = 0.75

    def code(self) -> ErrorCodes | None:
        return None


class SpendsInSecret(Private):
    step = 0.0


class Crashes(Sound):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        raise MemoryError("no memory")


class ScoresAsText(Sound):
    def mli_test_weights(self, weights: Weights) -> Any:
        tested = super().mli_test_weights(weights)
        return type("Scores", (), {"vote_score": "good", "test_score": 0.0, "vote": tested.vote})()


class ScoresNaN(Sound):
    def score(self, loader: Any) -> float:
        return math.nan


class NeverTrains(Sound):
    def train(self) -> None:
        pass


class NeverVotes(Sound):
    def vote(self, score: float) -> Any:
        return None


class HasNoWeights(Sound):
    def get(self) -> Any:
        return None

    def set(self, weights: Any) -> None:
        pass


class HasAnEmptyList(HasNoWeights):
    def get(self) -> Any:
        return []


class SetsAnAlarm(Sound):
    """A learner that limits its training by a signal, which only the main thread can receive."""

    def train(self) -> None:
        before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
        super().train()
        signal.signal(signal.SIGALRM, before)


_SHARED = Sound()


def return_shared_learner() -> Sound:
    """Return the same object at each call, like one of the library's tests."""
    return _SHARED


def return_object() -> Any:
    return object()


def raise_error() -> Any:
    raise FileNotFoundError("no data here")


def make_with_offset(*, offset: float) -> Sound:
    learner = Sound()
    learner.offset += offset
    learner.best = learner.score(learner.vote_loader)
    return learner
