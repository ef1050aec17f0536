"""Train PyTorch models with differential privacy (DP-SGD), using Opacus."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from colearn_learner.errors import InvalidArgument, MissingPackage, UnsupportedModel
from colearn_learner.interface import DiffPrivConfig
from colearn_learner.learners.privacy.account import HOW_TO_INSTALL, warn_of_seed
from colearn_learner.learners.pytorch_helpers import move_to


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model, the optimizer of its parameters, and its loss."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    criterion: Callable[[Any, Any], Any]


class PrivateSteps:
    """Take the steps of a training: Poisson sampling, clipping for each record, and noise.

    Each step takes every record of the loader's data set with probability ``sample_rate``, which
    is one over its number of batches; clips the gradient of each one taken to an L2 norm of
    ``max_grad_norm``; adds Gaussian noise of standard deviation ``noise_multiplier *
    max_grad_norm`` to their sum; and divides it by the expected number of records. The optimizer
    applies the result. The loss is computed for each record alone. Buffers do not change. Only
    torch's own layers are checked for mixing the records of a batch.

    Args:
        trained: model, optimizer and loss; Opacus' hooks are on the model only while it trains.
        loader: a ``DataLoader`` of a data set with a length, in order or shuffled.
        most: the number of steps; at most the number of batches, which is the default.
        config: the clipping norm and the noise.
        noise_seed: seed of sampling and noise, for tests; None: both use the system's entropy,
            whatever seeds were set.

    Raises:
        InvalidArgument: the records cannot be sampled, or the optimizer evaluates the loss again.
        MissingPackage: Opacus is not installed.
        UnsupportedModel: a layer does not support differential privacy.
    """

    def __init__(
        self,
        trained: TrainedModel,
        loader: Any,
        most: int | None,
        config: DiffPrivConfig,
        noise_seed: int | None,
    ) -> None:
        try:
            from opacus.data_loader import DPDataLoader
        except ImportError as error:
            raise MissingPackage(HOW_TO_INSTALL) from error
        self._model, self._optimizer = trained.model, trained.optimizer
        self._criterion = trained.criterion
        if isinstance(self._optimizer, torch.optim.LBFGS):
            raise InvalidArgument(
                "L-BFGS uses the records several times in a step; use SGD instead"
            )
        _check_layers(self._model)
        _check_loader(loader)
        warn_of_seed(noise_seed)
        device = next(self._model.parameters()).device
        self._noise = _generator(noise_seed, device)
        self._config = config
        self._loader = DPDataLoader.from_data_loader(loader, generator=_generator(noise_seed))
        self.sample_rate = float(self._loader.sample_rate)
        self.number = min(len(self._loader), most or len(self._loader))

    def run(self) -> None:
        """Take the steps of one training; the model is in training mode."""
        with _preserve_buffers(self._model), self._private_model() as (model, optimizer):
            device = self._noise.device
            for inputs, labels in islice(self._loader, self.number):
                optimizer.zero_grad()
                outputs = model(move_to(inputs, device))
                self._loss(outputs, move_to(labels, device)).backward()
                optimizer.step()
            optimizer.zero_grad()

    def _loss(self, outputs: Any, labels: Any) -> Any:
        """Return the sum of each record's own loss, even if the criterion mixes records."""
        losses = [
            self._criterion(outputs[n : n + 1], labels[n : n + 1]).mean()
            for n in range(len(outputs))
        ]
        return torch.stack(losses).sum() if losses else outputs.sum()

    @contextmanager
    def _private_model(self) -> Iterator[tuple[Any, Any]]:
        """Yield the model and optimizer wrapped by Opacus, with gradients for each record."""
        from opacus.grad_sample import GradSampleModule
        from opacus.optimizers import DPOptimizer

        optimizer = DPOptimizer(
            self._optimizer,
            noise_multiplier=self._config.noise_multiplier,
            max_grad_norm=self._config.max_grad_norm,
            expected_batch_size=self.sample_rate * len(self._loader.dataset),
            generator=self._noise,
        )
        model = GradSampleModule(self._model, loss_reduction="sum")
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Full backward hook is firing")
                yield model, optimizer
        finally:
            model.to_standard_module()


@contextmanager
def _preserve_buffers(model: torch.nn.Module) -> Iterator[None]:
    """Restore buffers afterwards, because what layers store there is not clipped or noised."""
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, old in kept:
            buffer.copy_(old)


def _generator(seed: int | None, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(secrets.randbits(63) if seed is None else seed)


def _check_layers(model: torch.nn.Module) -> None:
    from opacus.validators import ModuleValidator

    for name, layer in model.named_modules():
        if isinstance(layer, _BatchNorm):
            raise UnsupportedModel(
                f"the layer {name!r}, a {type(layer).__name__}, mixes the records of a batch, which"
                " differential privacy forbids; use a GroupNorm or LayerNorm instead"
            )
        validate = ModuleValidator.VALIDATORS.get(type(layer))
        if validate and (errors := validate(layer)):
            raise UnsupportedModel(f"the layer {name!r}, a {type(layer).__name__}: {errors[0]}")


def _check_loader(loader: Any) -> None:
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        what = type(getattr(loader, "dataset", loader)).__name__
        raise InvalidArgument(
            f"with differential privacy train_loader must be a DataLoader of a data set with a "
            f"length, not of a {what}: each step draws its records from the whole data set"
        )
    if not isinstance(loader.sampler, RandomSampler | SequentialSampler):
        raise InvalidArgument(
            f"train_loader draws its records with a {type(loader.sampler).__name__}; with "
            "differential privacy each record of the data set must have the same probability, so "
            "give no sampler"
        )
