"""Differential privacy: what a learner may spend, what its training has spent, and the file of it.

Each training step takes every record with the same probability and adds noise to the sum of the
clipped gradients: the Poisson subsampled Gaussian mechanism. Google's dp-accounting adds up the
steps by Rényi differential privacy, for data sets that differ in one record more or less.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from colearn_learner.errors import InvalidArgument, InvalidData, LearnerError, MissingPackage
from colearn_learner.interface import DiffPrivBudget, DiffPrivConfig, ErrorCodes, TrainingSummary
from colearn_ledger.home import HomeNotWritable, write_private

__all__ = [
    "HOW_TO_INSTALL",
    "BudgetExceeded",
    "Mechanism",
    "PrivacyAccount",
    "StateNotKept",
    "epsilon_of",
    "warn_of_seed",
]

_log = logging.getLogger(__name__)

HOW_TO_INSTALL = (
    "differential privacy needs packages that are not here: pip install 'colearn-ledger[privacy]'"
)


class BudgetExceeded(LearnerError):
    """Another training would spend more of the privacy than the budget has; none was begun."""


class StateNotKept(LearnerError):
    """The file of what is spent can not be written; without it nothing is trained."""


class Mechanism(NamedTuple):
    """One step of training, as far as privacy goes.

    Args:
        noise_multiplier: standard deviation of the noise, in units of the clipping norm.
        sample_rate: probability that a record is in the step, above 0 and at most 1.
    """

    noise_multiplier: float
    sample_rate: float


Spent = Mapping[Mechanism, int]
"""The steps taken, by what they were."""


def epsilon_of(spent: Spent, delta: float) -> float:
    """Return the epsilon that steps have spent, as dp-accounting has it.

    Args:
        spent: the numbers of steps taken.
        delta: bound of the probability that the privacy loss is greater.

    Raises:
        MissingPackage: dp-accounting is not installed.
    """
    taken = tuple(sorted((mechanism, steps) for mechanism, steps in spent.items() if steps))
    return _epsilon_of(taken, delta) if taken else 0.0


@lru_cache(maxsize=64)
def _epsilon_of(taken: tuple[tuple[Mechanism, int], ...], delta: float) -> float:
    try:
        import dp_accounting
        from dp_accounting import rdp
    except ImportError as error:
        raise MissingPackage(HOW_TO_INSTALL) from error
    with _orders_left_out_in_silence():
        accountant = rdp.RdpAccountant()
        for (noise_multiplier, sample_rate), steps in taken:
            noisy = dp_accounting.GaussianDpEvent(noise_multiplier)
            accountant.compose(dp_accounting.PoissonSampledDpEvent(sample_rate, noisy), steps)
        return float(accountant.get_epsilon(delta))


@contextmanager
def _orders_left_out_in_silence() -> Iterator[None]:
    """Let the accountant not warn of each order that it leaves out: epsilon holds without it."""

    def told(record: logging.LogRecord) -> bool:
        return "Excluding this order" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(told)
    try:
        yield
    finally:
        logger.removeFilter(told)


class PrivacyAccount:
    """What a learner has spent of its privacy budget; a training is paid for before it begins.

    The account is of one set of training records. What was spent stays spent: by proposals that
    others reject, by trainings that fail half-way, and, with a ``state`` file, by processes that
    were killed. The file is written, and on the disk, before the first step is taken.

    Args:
        config: the budget, and how gradients are clipped and blurred.
        sample_rate: probability that a record is in a step.
        steps: of one training.
        state: file that keeps what is spent; made when it is missing, in a folder that exists.
            None: it is forgotten with the process.

    Raises:
        InvalidArgument: a number of the config is out of its range.
        InvalidData: the file can not be read; nothing is known then of what was spent.
        MissingPackage: dp-accounting is not installed.
    """

    def __init__(
        self,
        config: DiffPrivConfig,
        sample_rate: float,
        steps: int,
        state: str | Path | None = None,
    ) -> None:
        _check(config)
        self.config = config
        self.mechanism = Mechanism(config.noise_multiplier, sample_rate)
        self.steps = steps
        self._state = None if state is None else Path(state)
        self._spent = {} if self._state is None else _read(self._state)
        epsilon_of(self._after_a_training(), config.target_delta)  # whether it can be told

    def spend(self) -> None:
        """Pay for one training.

        Raises:
            BudgetExceeded: the budget does not allow it; nothing was paid.
            StateNotKept: the file can not be written; nothing was paid.
        """
        with self._changing():
            after = self._after_a_training()
            epsilon = epsilon_of(after, self.config.target_delta)
            if not epsilon <= self.config.target_epsilon:
                raise BudgetExceeded(
                    f"the privacy budget is epsilon {self.config.target_epsilon:g}, "
                    f"{self.budget().consumed_epsilon:.4g} of it is spent, and the {self.steps} "
                    f"steps of another training would bring it to {epsilon:.4g}"
                )
            if self._state is not None:
                _write(self._state, after)
            self._spent = after

    def budget(self) -> DiffPrivBudget:
        """Return what may be spent, and what is."""
        target = self.config.target_delta
        return DiffPrivBudget(
            target_epsilon=self.config.target_epsilon,
            target_delta=target,
            consumed_epsilon=epsilon_of(self._spent, target),
            consumed_delta=target if self._spent else 0.0,
        )

    def summary(self, error_code: ErrorCodes | None = None) -> TrainingSummary:
        """Return the budget as weights carry it."""
        return TrainingSummary(dp_budget=self.budget(), error_code=error_code)

    def _after_a_training(self) -> dict[Mechanism, int]:
        before = self._spent.get(self.mechanism, 0)
        return {**self._spent, self.mechanism: before + self.steps}

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one at a time pay, who sees what others paid out of the same file."""
        if self._state is None:
            yield
            return
        try:
            lock = self._state.with_name(f"{self._state.name}.lock").open("ab")
        except OSError as error:
            raise StateNotKept(f"{self._state} can not be kept: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._spent = _read(self._state)
            yield


def _check(config: DiffPrivConfig) -> None:
    for name in ("target_epsilon", "max_grad_norm", "noise_multiplier"):
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            raise InvalidArgument(f"{name} is {value:g}; it must be above 0, and finite")
    if not 0 < config.target_delta < 1:
        raise InvalidArgument(
            f"target_delta is {config.target_delta:g}; it must be between 0 and 1, and far below "
            "one over the number of training records"
        )


def warn_of_seed(noise_seed: int | None) -> None:
    """Say that noise from a known seed hides nothing: who knows it can take the noise away."""
    if noise_seed is not None:
        _log.warning("noise_seed is given: for tests only, as nothing is private then")


# ------------------------------------------------------------------ the file


def _read(path: Path) -> dict[Mechanism, int]:
    try:
        document = json.loads(path.read_bytes())
        return dict(_entry(**entry) for entry in document["spent"])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidData(f"{path} can not be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidData(
            f"{path} does not say what was spent of the privacy: {error!r}. Put back its newest "
            "copy; without one, the records must count as spent"
        ) from error


def _entry(*, noise_multiplier: Any, sample_rate: Any, steps: Any) -> tuple[Mechanism, int]:
    noise, rate = float(noise_multiplier), float(sample_rate)
    if not (0 < noise < math.inf and 0 < rate <= 1 and type(steps) is int and steps > 0):
        raise InvalidData(f"noise {noise}, rate {rate} and steps {steps} are out of range")
    return Mechanism(noise, rate), steps


def _write(path: Path, spent: Spent) -> None:
    entries = [{**mechanism._asdict(), "steps": steps} for mechanism, steps in spent.items()]
    try:
        write_private(path, json.dumps({"spent": entries}, indent=1).encode())
    except HomeNotWritable as error:
        raise StateNotKept(str(error)) from error
