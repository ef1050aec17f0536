"""Training PyTorch models with differential privacy (DP-SGD), by Opacus."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from colearn_learner.errors import InvalidArgument, MissingPackage, UnsupportedModel
from colearn_learner.interface import DiffPrivConfig
from colearn_learner.learners.privacy.account import HOW_TO_INSTALL, warn_of_seed
from colearn_learner.learners.pytorch_helpers import moved

__all__ = ["PrivateSteps"]

Trained = tuple[torch.nn.Module, torch.optim.Optimizer, Callable[[Any, Any], Any]]
"""A model, the optimizer of its parameters and its loss."""


class PrivateSteps:
    """The steps of a training: Poisson sampling, clipping for each record, and noise.

    Each step takes every record of the loader's data set with probability ``sample_rate``, which
    is one over its number of batches; clips the gradient of each one taken to an L2 norm of
    ``max_grad_norm``; adds Gaussian noise of standard deviation ``noise_multiplier *
    max_grad_norm`` to their sum; and divides it by the expected number of records, for the
    optimizer to apply. The loss is taken of each record alone. Buffers stay as they are. That the
    model itself does not mix the records of a batch is checked of torch's own layers only.

    Args:
        trained: model, optimizer and loss; Opacus' hooks are on the model while it trains only.
        loader: a ``DataLoader`` of a data set with a length, in order or shuffled.
        most: number of steps; None, or more than batches: as many as batches.
        config: how gradients are clipped and blurred.
        noise_seed: of sampling and noise, for tests; None: both come from the system's entropy,
            whatever seeds were set.

    Raises:
        InvalidArgument: the records can not be sampled, or the optimizer evaluates the loss anew.
        MissingPackage: Opacus is not installed.
        UnsupportedModel: a layer does not go with differential privacy.
    """

    def __init__(
        self,
        trained: Trained,
        loader: Any,
        most: int | None,
        config: DiffPrivConfig,
        noise_seed: int | None,
    ) -> None:
        try:
            from opacus.data_loader import DPDataLoader
        except ImportError as error:
            raise MissingPackage(HOW_TO_INSTALL) from error
        self._model, self._optimizer, self._criterion = trained
        if isinstance(self._optimizer, torch.optim.LBFGS):
            raise InvalidArgument("L-BFGS looks at the records several times in a step; take SGD")
        _check_layers(self._model)
        _check_loader(loader)
        warn_of_seed(noise_seed)
        device = next(self._model.parameters()).device
        self._noise = _numbers(noise_seed, device)
        self._config = config
        self._loader = DPDataLoader.from_data_loader(loader, generator=_numbers(noise_seed))
        self.sample_rate = float(self._loader.sample_rate)
        self.number = min(len(self._loader), most or len(self._loader))

    def run(self) -> None:
        """Take the steps of one training; the model is in training mode."""
        with _buffers_kept(self._model), self._watched() as (model, optimizer):
            device = self._noise.device
            for inputs, labels in islice(self._loader, self.number):
                optimizer.zero_grad()
                outputs = model(moved(inputs, device))
                self._loss(outputs, moved(labels, device)).backward()
                optimizer.step()
            optimizer.zero_grad()

    def _loss(self, outputs: Any, labels: Any) -> Any:
        """Return the sum of the losses of each record alone, whatever the criterion does."""
        one_by_one = [
            self._criterion(outputs[n : n + 1], labels[n : n + 1]).mean()
            for n in range(len(outputs))
        ]
        return torch.stack(one_by_one).sum() if one_by_one else outputs.sum()

    @contextmanager
    def _watched(self) -> Iterator[tuple[Any, Any]]:
        """Let Opacus watch the model; its parameters have gradients for each record then."""
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
def _buffers_kept(model: torch.nn.Module) -> Iterator[None]:
    """Put buffers back: what a layer notes of the records is neither clipped nor blurred."""
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, old in kept:
            buffer.copy_(old)


def _numbers(seed: int | None, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(secrets.randbits(63) if seed is None else seed)


def _check_layers(model: torch.nn.Module) -> None:
    from opacus.validators import ModuleValidator

    for name, layer in model.named_modules():
        if isinstance(layer, _BatchNorm):
            raise UnsupportedModel(
                f"the layer {name!r}, a {type(layer).__name__}, mixes the records of a batch, which"
                " differential privacy forbids; take a GroupNorm or LayerNorm instead"
            )
        validate = ModuleValidator.VALIDATORS.get(type(layer))
        if validate and (errors := validate(layer)):
            raise UnsupportedModel(f"the layer {name!r}, a {type(layer).__name__}: {errors[0]}")


def _check_loader(loader: Any) -> None:
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        what = type(getattr(loader, "dataset", loader)).__name__
        raise InvalidArgument(
            f"with differential privacy train_loader must be a DataLoader of a data set with a "
            f"length, not of a {what}: records are drawn anew for each step, which takes all of "
            "them at hand"
        )
    if not isinstance(loader.sampler, RandomSampler | SequentialSampler):
        raise InvalidArgument(
            f"train_loader draws its records by a {type(loader.sampler).__name__}; with "
            "differential privacy each is drawn with the same probability, of the whole data set"
        )
