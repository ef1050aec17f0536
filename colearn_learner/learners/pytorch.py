"""A learner for PyTorch models, and the helper functions of the `colearn` library for PyTorch."""

from __future__ import annotations

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
from colearn_learner.interface import DiffPrivConfig, Weights
from colearn_learner.learners.base import ScoredLearner
from colearn_learner.learners.privacy.account import (
    Accountant,
    PrivacyAccount,
    check_records_are_separate,
)
from colearn_learner.learners.privacy.pytorch import PrivateSteps, TrainedModel
from colearn_learner.learners.pytorch_helpers import (
    auc_from_logits,
    binary_accuracy_from_logits,
    categorical_accuracy,
    move_to,
    prepare_data_split_list,
)

__all__ = [
    "PytorchLearner",
    "auc_from_logits",
    "binary_accuracy_from_logits",
    "categorical_accuracy",
    "prepare_data_split_list",
]

Criterion = Callable[[Any, Any], Any]

_SCORING_SEED = 0

_VIEWED: Mapping[torch.dtype, tuple[torch.dtype, Any]] = {
    torch.bfloat16: (torch.int16, ml_dtypes.bfloat16),
    torch.float8_e4m3fn: (torch.uint8, ml_dtypes.float8_e4m3fn),
    torch.float8_e5m2: (torch.uint8, ml_dtypes.float8_e5m2),
}
"""Types that numpy lacks, with the integer type of their bits and the type of ml_dtypes."""


class PytorchLearner(ScoredLearner):
    """A learner around a PyTorch model; its weights are the model's state dict as numpy arrays.

    The state dict includes the buffers, such as the running statistics of a batch normalisation.
    Its count of batches is always zero in the weights, because it reveals the number of records;
    with ``momentum=None``, where the statistics depend on it, it is kept.
    Proposing and testing restore the model: its weights, its buffers, and the mode of each module
    (training or evaluation). Scoring also restores torch's random numbers. It always starts with
    the same ones, so that a loader that shuffles gives all weights the same records.

    Args:
        model: takes the inputs of a batch; it is moved to ``device``.
        optimizer: the optimizer of the model's parameters.
        train_loader: yields batches of inputs and labels, as a ``DataLoader`` does.
        vote_loader: the records it votes by; None for those it trains on, which favours its own
            proposals over those of others.
        test_loader: the records of its test score; None for no test score (shown as 0).
        need_reset_optimizer: start each training with an optimizer without state, so that no
            state lasts from one round to the next.
        device: where the model is trained.
        criterion: the loss of (outputs, labels), for training, and also for scores unless there
            is a ``vote_criterion``. The score is the mean over all records: the losses of batches
            weighted by their sizes.
        minimise_criterion: whether a smaller score is better.
        vote_criterion: the score, of the outputs and labels of all batches together.
        num_train_batches: number of batches of a training; one pass over the loader if None or
            too large.
        num_test_batches: number of batches of a scoring; one pass over the loader if None or too
            large.
        diff_priv_config: train with differential privacy (`privacy.pytorch`), until another
            training would exceed the budget. ``train_loader`` is then a ``DataLoader``; it and
            ``num_train_batches`` are fixed from then on. The vote and test records are not
            protected, so they must be different records.
        privacy_state: file that stores the spent budget beyond the end of the process.
        accountant: ``rdp``, or ``pld`` for a lower bound of the spent budget, which takes longer.
        noise_seed: for tests; makes private training reproducible, and therefore not private.

    Raises:
        InvalidArgument: there is no criterion, a number of batches is below 1, or the records
            cannot be sampled.
        InvalidData: a loader has no records.
        UnsupportedModel: the state dict has a value that is not a tensor, or a layer of the model
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
        accountant: Accountant = "rdp",
        noise_seed: int | None = None,
    ) -> None:
        """Score the current weights on the vote records."""
        if criterion is None:
            raise InvalidArgument(
                "criterion is missing; give the loss to train by, such as "
                "torch.nn.CrossEntropyLoss()"
            )
        for name, number in (("train", num_train_batches), ("test", num_test_batches)):
            if number is not None and number < 1:
                raise InvalidArgument(f"num_{name}_batches is {number}; give at least 1, or None")
        _check_not_empty(train_loader, "train_loader")
        super().__init__(
            vote_loader=train_loader if vote_loader is None else vote_loader,
            test_loader=test_loader,
            minimise_criterion=minimise_criterion,
        )
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.optimizer = optimizer
        self.train_loader = train_loader
        self.need_reset_optimizer = need_reset_optimizer
        self.criterion = criterion
        self.vote_criterion = vote_criterion
        self.num_train_batches = num_train_batches
        self.num_test_batches = num_test_batches
        self._private_steps: PrivateSteps | None = None
        if diff_priv_config is not None:
            check_records_are_separate(train_loader, vote_loader, test_loader)
            self._private_steps = PrivateSteps(
                TrainedModel(self.model, optimizer, criterion),
                train_loader,
                num_train_batches,
                diff_priv_config,
                noise_seed,
            )
            rate, number = self._private_steps.sample_rate, self._private_steps.number
            self.privacy = PrivacyAccount(diff_priv_config, rate, number, privacy_state, accountant)
        self.vote_score = self.test(self.vote_loader)
        self._copy_weights()  # raises if something in the state dict is not a tensor

    def train(self) -> None:
        """Train the model on batches of the training loader, with one optimizer step on each.

        Raises:
            BudgetExceeded: the privacy budget does not allow it; the model did not change.
            InvalidData: there are no batches.
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
            raise InvalidData("train_loader has no batches; there is nothing to train on")

    def _step(self, inputs: Any, labels: Any) -> None:
        def loss() -> Any:
            self.optimizer.zero_grad()
            value = self.criterion(self.model(inputs), labels)
            value = value.mean() if value.ndim else value
            value.backward()
            return value

        self.optimizer.step(loss)  # L-BFGS and similar optimizers call the loss several times

    def test(self, loader: Iterable[Any]) -> float:
        """Return the score of the model on a loader's records.

        Raises:
            InvalidData: there are no records.
        """
        with self._evaluation(), torch.no_grad():
            batches = (
                (self.model(inputs), labels)
                for inputs, labels in self._batches(loader, self.num_test_batches)
            )
            if self.vote_criterion is None:
                return _mean_loss(self.criterion, batches)
            pairs = [(outputs.cpu(), labels.cpu()) for outputs, labels in batches]
            if not pairs:
                raise _no_records()
            outputs, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
            return float(self.vote_criterion(outputs, labels))

    def set_weights(self, weights: Weights) -> None:
        """Set the model's state dict.

        Raises:
            WeightsMismatch: an array does not fit; the message names it. The model did not change.
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
            {
                name: _to_fitting_tensor(name, given.get(name), tensor)
                for name, tensor in own.items()
            }
        )

    def reset_optimizer(self) -> None:
        """Clear the optimizer's state and keep its settings."""
        self.optimizer.state.clear()

    def _export(self) -> Any:
        from colearn_learner.learners.onnx import convert_model_to_onnx

        inputs, _ = next(self._batches(self.vote_loader, 1))
        with self._preserve_model():
            return convert_model_to_onnx(self.model, example=inputs)

    def _copy_weights(self) -> dict[str, NDArray[Any]]:
        arrays = {name: _to_array(name, value) for name, value in self.model.state_dict().items()}
        for name, module in self.model.named_modules():
            counter = f"{name}.num_batches_tracked".removeprefix(".")
            if counter in arrays and getattr(module, "momentum", None) is not None:
                arrays[counter] = np.zeros_like(arrays[counter])
        return arrays

    def _batches(self, loader: Iterable[Any], most: int | None) -> Iterator[tuple[Any, Any]]:
        for inputs, labels in islice(loader, most):
            yield move_to(inputs, self.device), move_to(labels, self.device)

    @contextmanager
    def _preserve_model(self) -> Iterator[None]:
        """Restore weights, buffers outside the state dict, and each module's mode."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        kept = [tensor.detach().clone() for tensor in tensors]
        with _preserve_modes(self.model):
            try:
                yield
            finally:
                with torch.no_grad():
                    for tensor, old in zip(tensors, kept, strict=True):
                        tensor.copy_(old)

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        """Score in evaluation mode, with the same random numbers every time."""
        cuda = [self.device] if self.device.type == "cuda" else []
        with _preserve_modes(self.model), torch.random.fork_rng(devices=cuda):
            if self.device.type == "cpu":
                # for each kind of absent accelerator, torch.manual_seed formats a stack trace
                torch.default_generator.manual_seed(_SCORING_SEED)
            else:
                torch.manual_seed(_SCORING_SEED)
            self.model.eval()
            yield


@contextmanager
def _preserve_modes(model: torch.nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _mean_loss(criterion: Criterion, batches: Iterable[tuple[Any, Any]]) -> float:
    """Return the mean over all records, for batches of any sizes."""
    sums = getattr(criterion, "reduction", "mean") == "sum"
    total, count = 0.0, 0
    for outputs, labels in batches:
        loss = float(torch.as_tensor(criterion(outputs, labels)).double().mean())
        total += loss if sums else loss * len(labels)
        count += len(labels)
    if not count:
        raise _no_records()
    return total / count


def _no_records() -> InvalidData:
    return InvalidData("the loader to score on has no records; give it at least one batch")


def _check_not_empty(loader: Iterable[Any], name: str) -> None:
    try:
        empty = isinstance(loader, Sized) and len(loader) == 0
    except TypeError:  # a DataLoader of a data set of unknown length
        return
    if empty:
        raise InvalidData(f"{name} has no batches; there is nothing to train on")


# ------------------------------------------------------------------ tensors and arrays


def _to_array(name: str, value: Any) -> NDArray[Any]:
    """Return a copy of a tensor's values, as a type of ml_dtypes if numpy lacks the type."""
    if not isinstance(value, torch.Tensor):
        raise UnsupportedModel(
            f"{name!r} in the model's state dict is a {type(value).__name__}; only tensors can be "
            "published, so keep it out of the state dict"
        )
    try:
        tensor = value.detach().to("cpu", copy=True).contiguous()
        if tensor.dtype not in _VIEWED:
            return tensor.numpy()
        bits, kind = _VIEWED[tensor.dtype]
        return tensor.view(bits).numpy().view(kind)
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise UnsupportedModel(
            f"{name!r} of the model, {value.dtype}, cannot be converted to an array: {error}"
        ) from error


def _to_tensor(array: NDArray[Any]) -> torch.Tensor:
    array = np.array(array, order="C")  # a copy, as arrays may be read-only
    for kind, (bits, numpys) in _VIEWED.items():
        if array.dtype == numpys:
            return torch.from_numpy(array.view(f"i{array.itemsize}")).view(bits).view(kind)
    return torch.from_numpy(array)


def _to_fitting_tensor(name: str, given: Any, own: torch.Tensor) -> torch.Tensor:
    """Return a given array as a tensor, after checking that it has the type and shape of ours."""
    if given is None:
        raise WeightsMismatch(f"{name} is missing")
    try:
        tensor = given if isinstance(given, torch.Tensor) else _to_tensor(given)
    except TypeError as error:
        raise WeightsMismatch(f"{name} is not an array of numbers: {error}") from error
    if (tensor.dtype, tensor.shape) != (own.dtype, own.shape):
        raise WeightsMismatch(
            f"{name} is {tensor.dtype} {list(tensor.shape)}, the model's is "
            f"{own.dtype} {list(own.shape)}"
        )
    return tensor
