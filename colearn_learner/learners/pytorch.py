"""A learner for PyTorch models, and the helpers that the `colearn` library has beside its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch
from numpy.typing import NDArray

from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel, WeightsMismatch
from colearn_learner.interface import ColearnModel, DiffPrivConfig, ModelFormat, Weights
from colearn_learner.learners.framework import FrameworkLearner, check_records_are_apart
from colearn_learner.learners.privacy.account import PrivacyAccount
from colearn_learner.learners.privacy.pytorch import PrivateSteps
from colearn_learner.learners.pytorch_helpers import (
    auc_from_logits,
    binary_accuracy_from_logits,
    categorical_accuracy,
    moved,
    prepare_data_split_list,
)

__all__ = [
    "PytorchLearner",
    "auc_from_logits",
    "binary_accuracy_from_logits",
    "categorical_accuracy",
    "prepare_data_split_list",
]

if "tensorflow" in sys.modules or not torch.cuda.is_available():
    # Triton, which makes code for GPUs, and TensorFlow each bring an LLVM: the process is aborted
    # when both are loaded. Torch does without Triton when it can not be imported.
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]

Criterion = Callable[[Any, Any], Any]

_SCORING_SEED = 0

_VIEWED: Mapping[torch.dtype, tuple[torch.dtype, Any]] = {
    torch.bfloat16: (torch.int16, ml_dtypes.bfloat16),
    torch.float8_e4m3fn: (torch.uint8, ml_dtypes.float8_e4m3fn),
    torch.float8_e5m2: (torch.uint8, ml_dtypes.float8_e5m2),
}
"""Types that numpy has no name for: the integers of their bits, and what ml_dtypes calls them."""


class PytorchLearner(FrameworkLearner):
    """A learner around a PyTorch model; its weights are the model's state dict as numpy arrays.

    The state dict has the buffers too, such as the running statistics of a batch normalisation.
    Proposing and testing leave the model as it was: its weights and buffers and the mode, training
    or evaluation, of each module. Scoring also leaves torch's random numbers as they were, and
    begins with the same ones each time, so that a loader that shuffles gives all weights the same
    records.

    Args:
        model: takes the inputs of a batch; it is moved to ``device``.
        optimizer: of the model's parameters.
        train_loader: yields batches: inputs and labels, as a ``DataLoader`` does.
        vote_loader: what it votes by; None: the records it trains on, which favours its own
            proposals and no one else's.
        test_loader: what it reports a test score on; None for no test score (shown as 0).
        need_reset_optimizer: start each training with an optimizer that has no state, so that
            none lasts from one round to the next.
        device: where the model is trained.
        criterion: the loss of (outputs, labels), for training, and for scores as well unless there
            is a ``vote_criterion``. The score is the mean over all records: the losses of batches
            weighted by their sizes.
        minimise_criterion: whether a smaller score is better.
        vote_criterion: the score, of the outputs and labels of all batches together.
        num_train_batches: of a training; None, or more than there are: one pass over the loader.
        num_test_batches: of a scoring, likewise.
        diff_priv_config: train with differential privacy (`privacy_pytorch`), and no more when
            another training would exceed the budget. ``train_loader`` is then a ``DataLoader``,
            fixed when the learner is made, and so is ``num_train_batches``; the vote and test
            records are others, as they are not protected.
        privacy_state: file that keeps what is spent of the budget over the end of the process.
        noise_seed: makes private training repeat itself, and therefore not private: for tests.

    Raises:
        InvalidArgument: there is no criterion, less than one batch is asked for, or the records
            can not be sampled.
        InvalidData: a loader has no records.
        UnsupportedModel: the state dict has something else than arrays, or a layer of the model
            rules out differential privacy.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        train_loader: Iterable[Any],
        vote_loader: Iterable[Any] | None = None,
        test_loader: Iterable[Any] | None = None,
        need_reset_optimizer: bool = True,
        device: str | torch.device = "cpu",
        criterion: Criterion | None = None,
        minimise_criterion: bool = True,
        vote_criterion: Criterion | None = None,
        num_train_batches: int | None = None,
        num_test_batches: int | None = None,
        diff_priv_config: DiffPrivConfig | None = None,
        *,
        privacy_state: str | Path | None = None,
        noise_seed: int | None = None,
    ) -> None:
        """Score the current weights on the vote records."""
        if criterion is None:
            raise InvalidArgument(
                "criterion is missing: give the loss to train by, torch.nn.CrossEntropyLoss() say"
            )
        for name, number in (("train", num_train_batches), ("test", num_test_batches)):
            if number is not None and number < 1:
                raise InvalidArgument(f"num_{name}_batches is {number}; give at least 1, or None")
        _check_not_empty(train_loader, "train_loader")
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.optimizer = optimizer
        self.train_loader = train_loader
        self.vote_loader = train_loader if vote_loader is None else vote_loader
        self.test_loader = test_loader
        self.need_reset_optimizer = need_reset_optimizer
        self.criterion = criterion
        self.minimise_criterion = minimise_criterion
        self.vote_criterion = vote_criterion
        self.num_train_batches = num_train_batches
        self.num_test_batches = num_test_batches
        self._private_steps: PrivateSteps | None = None
        if diff_priv_config is not None:
            check_records_are_apart(train_loader, vote_loader, test_loader)
            self._private_steps = PrivateSteps(
                (self.model, optimizer, criterion),
                *(train_loader, num_train_batches, diff_priv_config, noise_seed),
            )
            rate, number = self._private_steps.sample_rate, self._private_steps.number
            self.privacy = PrivacyAccount(diff_priv_config, rate, number, privacy_state)
        self.vote_score = self.test(self.vote_loader)
        self._current_arrays()  # whether they can travel

    def mli_get_current_model(self) -> ColearnModel:
        """Return the current model as ONNX; the number of records is free, other shapes are not.

        Raises:
            MissingPackage: the exporter is not installed.
            UnsupportedModel: torch can not export the model.
        """
        from colearn_learner.learners.onnx import convert_model_to_onnx

        inputs, _ = next(self._batches(self.vote_loader, 1))
        with self._left_as_it_was():
            proto = convert_model_to_onnx(self.model, example=inputs)
        return ColearnModel(ModelFormat.ONNX, "", proto)

    def train(self) -> None:
        """Train the model on batches of the training loader, a step of the optimizer on each.

        Raises:
            BudgetExceeded: its privacy budget does not allow it; the model is as it was.
            InvalidData: there are none.
        """
        if self.privacy is not None:
            self.privacy.spend()
        if self.need_reset_optimizer:
            self.reset_optimizer()
        self.model.train()
        if self._private_steps is not None:
            self._private_steps.run()
            return
        steps = 0
        for inputs, labels in self._batches(self.train_loader, self.num_train_batches):
            self._step(inputs, labels)
            steps += 1
        self.optimizer.zero_grad()
        if not steps:
            raise InvalidData("train_loader gave no batches; there is nothing to train on")

    def _step(self, inputs: Any, labels: Any) -> None:
        def loss() -> Any:
            self.optimizer.zero_grad()
            value = self.criterion(self.model(inputs), labels).mean()  # a no-op for one number
            value.backward()
            return value

        self.optimizer.step(loss)  # some, as L-BFGS, ask for it several times

    def test(self, loader: Iterable[Any]) -> float:
        """Return the score of the model on a loader's records.

        Raises:
            InvalidData: there are none.
        """
        with self._evaluating(), torch.no_grad():
            batches = (
                (self.model(inputs), labels)
                for inputs, labels in self._batches(loader, self.num_test_batches)
            )
            if self.vote_criterion is None:
                return _mean_loss(self.criterion, batches)
            answered = [(outputs.cpu(), labels.cpu()) for outputs, labels in batches]
            if not answered:
                raise _no_records()
            outputs, labels = (torch.cat(parts) for parts in zip(*answered, strict=True))
            return float(self.vote_criterion(outputs, labels))

    def set_weights(self, weights: Weights) -> None:
        """Set the model's state dict.

        Raises:
            WeightsMismatch: it does not fit, and which array does not; the model's stays as it was.
        """
        own, given = self.model.state_dict(), weights.weights
        if not isinstance(given, Mapping):
            raise WeightsMismatch(
                f"the weights are a {type(given).__name__}, not the state dict that begins with "
                f"{next(iter(own), 'nothing')}"
            )
        for name in given:
            if name not in own:
                raise WeightsMismatch(f"the model has no {name!r}")
        self.model.load_state_dict(
            {name: _fitting(name, given.get(name), tensor) for name, tensor in own.items()}
        )

    def reset_optimizer(self) -> None:
        """Let the optimizer forget its state; its settings stay."""
        self.optimizer.state.clear()

    # -------------------------------------------------------------- within

    def _current_arrays(self) -> dict[str, NDArray[Any]]:
        return {name: _array(name, value) for name, value in self.model.state_dict().items()}

    def _batches(self, loader: Iterable[Any], most: int | None) -> Iterator[tuple[Any, Any]]:
        for inputs, labels in islice(loader, most):
            yield moved(inputs, self.device), moved(labels, self.device)

    @contextmanager
    def _left_as_it_was(self) -> Iterator[None]:
        """Put back weights, buffers that are in no state dict, and each module's mode."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        kept = [tensor.detach().clone() for tensor in tensors]
        with _same_modes(self.model):
            try:
                yield
            finally:
                with torch.no_grad():
                    for tensor, old in zip(tensors, kept, strict=True):
                        tensor.copy_(old)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Score in evaluation mode and with random numbers that are the same every time."""
        cuda = [self.device] if self.device.type == "cuda" else []
        with _same_modes(self.model), torch.random.fork_rng(devices=cuda):
            torch.manual_seed(_SCORING_SEED)
            self.model.eval()
            yield


@contextmanager
def _same_modes(model: torch.nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _mean_loss(criterion: Criterion, batches: Iterable[tuple[Any, Any]]) -> float:
    """Return the mean over the records, whatever the sizes of the batches."""
    sums = getattr(criterion, "reduction", "mean") == "sum"
    total, count = 0.0, 0
    for outputs, labels in batches:
        loss = float(criterion(outputs, labels).mean())
        total += loss if sums else loss * len(labels)
        count += len(labels)
    if not count:
        raise _no_records()
    return total / count


def _no_records() -> InvalidData:
    return InvalidData("the loader to score on gave no records")


def _check_not_empty(loader: Iterable[Any], name: str) -> None:
    try:
        empty = isinstance(loader, Sized) and len(loader) == 0
    except TypeError:  # a DataLoader of a set of unknown length
        return
    if empty:
        raise InvalidData(f"{name} has no batches")


# ------------------------------------------------------------------ tensors and arrays


def _array(name: str, value: Any) -> NDArray[Any]:
    """Return a copy of a tensor's values; its bits where numpy lacks the type."""
    if not isinstance(value, torch.Tensor):
        raise UnsupportedModel(
            f"the model's state dict has {name!r}, a {type(value).__name__}: only tensors travel"
        )
    try:
        tensor = value.detach().to("cpu", copy=True).contiguous()
        if tensor.dtype not in _VIEWED:
            return tensor.numpy()
        bits, kind = _VIEWED[tensor.dtype]
        return tensor.view(bits).numpy().view(kind)
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise UnsupportedModel(
            f"{name!r} of the model, {value.dtype}, can not become an array: {error}"
        ) from error


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    array = np.array(array, order="C")  # also read-only ones
    for kind, (bits, numpys) in _VIEWED.items():
        if array.dtype == numpys:
            return torch.from_numpy(array.view(f"i{array.itemsize}")).view(bits).view(kind)
    return torch.from_numpy(array)


def _fitting(name: str, given: Any, own: torch.Tensor) -> torch.Tensor:
    """Return what was given for one of the model's tensors, if it is of its type and shape."""
    if given is None:
        raise WeightsMismatch(f"{name} is missing")
    try:
        tensor = given if isinstance(given, torch.Tensor) else _tensor(given)
    except TypeError as error:
        raise WeightsMismatch(f"{name} is no array of numbers: {error}") from error
    if (tensor.dtype, tensor.shape) != (own.dtype, own.shape):
        raise WeightsMismatch(
            f"{name} is {tensor.dtype} {list(tensor.shape)}, the model's is "
            f"{own.dtype} {list(own.shape)}"
        )
    return tensor
