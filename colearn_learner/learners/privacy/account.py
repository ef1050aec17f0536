"""Account for differential privacy: a learner's budget, the spent part, and the file of it.

Each training step takes every record with the same probability and adds noise to the sum of the
clipped gradients: the Poisson subsampled Gaussian mechanism. Google's dp-accounting adds up the
steps, for data sets that differ by one added or removed record: by Rényi differential privacy
(``rdp``), or by privacy loss distributions (``pld``), whose bound is lower and takes longer.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from colearn_learner.errors import InvalidArgument, InvalidData, LearnerError, MissingPackage
from colearn_learner.interface import DiffPrivBudget, DiffPrivConfig, ErrorCodes, TrainingSummary
from colearn_ledger.home import HomeNotWritable, lock_file, write_private

_log = logging.getLogger(__name__)

HOW_TO_INSTALL = "differential privacy needs more packages: pip install 'colearn-ledger[privacy]'"


class BudgetExceeded(LearnerError):
    """Another training would exceed the privacy budget; it did not start."""


class StateNotKept(LearnerError):
    """The file of the spent budget cannot be written, so no training starts."""


class Mechanism(NamedTuple):
    """The properties of one training step that determine its privacy loss.

    Args:
        noise_multiplier: standard deviation of the noise, in units of the clipping norm.
        sample_rate: probability that a record is in the step, above 0 and at most 1.
    """

    noise_multiplier: float
    sample_rate: float


Spent = Mapping[Mechanism, int]
"""The number of steps taken with each mechanism."""


Accountant = Literal["rdp", "pld"]
"""How steps are added up: by Rényi differential privacy, or by privacy loss distributions."""


def epsilon_of(spent: Spent, delta: float, accountant: Accountant = "rdp") -> float:
    """Return the epsilon that steps have spent, according to dp-accounting.

    Args:
        spent: the number of steps taken with each mechanism.
        delta: upper bound of the probability that the privacy loss exceeds epsilon.
        accountant: how to add up the steps; both bounds hold.

    Raises:
        InvalidArgument: there is no such accountant.
        MissingPackage: dp-accounting is not installed.
    """
    taken = tuple(sorted((mechanism, steps) for mechanism, steps in spent.items() if steps))
    if accountant not in get_args(Accountant):
        raise InvalidArgument(f"accountant is {accountant!r}; choose rdp or pld")
    return _epsilon_of(taken, delta, accountant) if taken else 0.0


@lru_cache(maxsize=64)
def _epsilon_of(
    taken: tuple[tuple[Mechanism, int], ...], delta: float, accountant: Accountant
) -> float:
    try:
        import dp_accounting
        from dp_accounting import pld, rdp
    except ImportError as error:
        raise MissingPackage(HOW_TO_INSTALL) from error
    with _silence_rdp_order_warnings():
        account = pld.PLDAccountant() if accountant == "pld" else rdp.RdpAccountant()
        for (noise_multiplier, sample_rate), steps in taken:
            noisy = dp_accounting.GaussianDpEvent(noise_multiplier)
            account.compose(dp_accounting.PoissonSampledDpEvent(sample_rate, noisy), steps)
        return float(account.get_epsilon(delta))


@contextmanager
def _silence_rdp_order_warnings() -> Iterator[None]:
    """Suppress the accountant's warnings about excluded orders; epsilon is valid without them."""

    def is_other(record: logging.LogRecord) -> bool:
        return "Excluding this order" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


class PrivacyAccount:
    """Keep account of a learner's privacy budget; each training is paid for before it starts.

    An account belongs to one set of training records. Spent budget is never refunded: not for
    rejected proposals, not for failed trainings and, with a ``state`` file, not for killed
    processes. The file is on disk before the first step.

    Args:
        config: the budget, the clipping norm and the noise.
        sample_rate: probability that a record is in a step.
        steps: the number of steps of one training.
        state: file that stores the spent budget; it is created if missing, in an existing folder.
            None: the account ends with the process, and a warning is logged.
        accountant: how to add up the steps. The file does not depend on it.

    Raises:
        InvalidArgument: a number of the config is out of its range, or there is no such accountant.
        InvalidData: the file cannot be read, so what was spent is unknown.
        MissingPackage: dp-accounting is not installed.
    """

    def __init__(
        self,
        config: DiffPrivConfig,
        sample_rate: float,
        steps: int,
        state: str | Path | None = None,
        accountant: Accountant = "rdp",
    ) -> None:
        _check(config)
        if state is None:
            _log.warning(
                "without privacy_state, the privacy budget starts at zero again whenever this "
                "program does; name a file that stores what was spent"
            )
        self.config = config
        self.mechanism = Mechanism(config.noise_multiplier, sample_rate)
        self.steps = steps
        self._state = None if state is None else Path(state)
        self._spent = {} if self._state is None else _read(self._state)
        self._accountant = accountant
        self._epsilon_of(self._after_a_training())  # raises MissingPackage now rather than later

    def spend(self) -> None:
        """Pay for one training.

        Raises:
            BudgetExceeded: the budget does not allow it; nothing was spent.
            StateNotKept: the file cannot be written; nothing was spent.
        """
        with self._lock_state():
            after = self._after_a_training()
            epsilon = self._epsilon_of(after)
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
        """Return the target and the spent part of it."""
        target = self.config.target_delta
        return DiffPrivBudget(
            target_epsilon=self.config.target_epsilon,
            target_delta=target,
            consumed_epsilon=self._epsilon_of(self._spent),
            consumed_delta=target if self._spent else 0.0,
        )

    def summary(self, error_code: ErrorCodes | None = None) -> TrainingSummary:
        """Return the budget as the summary of weights."""
        return TrainingSummary(dp_budget=self.budget(), error_code=error_code)

    def _epsilon_of(self, spent: Spent) -> float:
        return epsilon_of(spent, self.config.target_delta, self._accountant)

    def _after_a_training(self) -> dict[Mechanism, int]:
        before = self._spent.get(self.mechanism, 0)
        return {**self._spent, self.mechanism: before + self.steps}

    @contextmanager
    def _lock_state(self) -> Iterator[None]:
        """Lock the state file and read it, so that learners can share it."""
        if self._state is None:
            yield
            return
        with ExitStack() as locks:
            try:
                locks.enter_context(lock_file(self._state.with_name(f"{self._state.name}.lock")))
            except OSError as error:
                raise StateNotKept(f"cannot lock {self._state}: {error.strerror}") from error
            self._spent = _read(self._state)
            yield


def _check(config: DiffPrivConfig) -> None:
    for name in ("target_epsilon", "max_grad_norm", "noise_multiplier"):
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            raise InvalidArgument(f"{name} is {value:g}; give a finite number above 0")
    if not 0 < config.target_delta < 1:
        raise InvalidArgument(
            f"target_delta is {config.target_delta:g}; give a number between 0 and 1, far below "
            "one over the number of training records"
        )


def warn_of_seed(noise_seed: int | None) -> None:
    """Warn that noise from a known seed hides nothing, because it can be subtracted."""
    if noise_seed is not None:
        _log.warning("noise_seed is set, so nothing is private; use it in tests only")


def check_records_are_separate(train_loader: Any, vote_loader: Any, test_loader: Any) -> None:
    """Refuse to publish scores of the training records, which would bypass the noise.

    Raises:
        InvalidArgument: ``vote_loader`` is missing, or a loader to score on is ``train_loader``.
    """
    if vote_loader is None or train_loader is vote_loader or train_loader is test_loader:
        raise InvalidArgument(
            "with differential privacy vote_loader must be given, and vote_loader and test_loader "
            "must have other records than train_loader: scores and votes are published without "
            "noise"
        )


# ------------------------------------------------------------------ the state file


def _read(path: Path) -> dict[Mechanism, int]:
    try:
        document = json.loads(path.read_bytes())
        return dict(_entry(**entry) for entry in document["spent"])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidData(
            f"{path} is not a valid record of spent privacy: {error!r}. Restore its newest copy; "
            "without one, consider the budget of these records spent"
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
