"""Ways of learning, and the cells of `bench/learning.py`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.flower_environment import FlowerJob, run_flower
from bench.places import Place, describe_clients, mean_of, train_alone, train_and_average
from colearn_learner import simulation
from colearn_learner.interface import Weights
from colearn_ledger.history import History
from colearn_ledger.protocol import MAX_PROPOSERS

Kind = Literal["votes", "flower", "alone", "together", "mean"]


class CellFailed(Exception):
    """A cell could not be measured; the message explains why."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of learning.

    Args:
        name: its name in tables.
        kind: rounds with votes, a strategy of Flower's, the mean of all that is proposed, or
            training without others' weights: each learner alone, or one learner that has all
            records.
        proposers: number of proposers; 0 for all learners, up to 16.
        threshold: share of the voters that must approve.
        rule: the vote rule.
        strategy: Flower's strategy.
        options: its options.
    """

    name: str
    kind: Kind
    proposers: int = 0
    threshold: float = 0.0
    rule: str = ""
    strategy: str = ""
    options: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement."""

    place: Place
    way: Way
    rounds: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a cell.

    Args:
        accuracy: accuracy on the common test set at the start and after each round; of learners
            that train alone, their mean.
        round_seconds: seconds of a round; 0 if the way has no rounds.
        accepted: number of accepted proposals.
        proposals: number of all proposals.
    """

    accuracy: tuple[float, ...]
    round_seconds: float
    accepted: int
    proposals: int


def choose_batch(cell: Cell) -> int | None:
    """Return what cells of one of Flower's simulations have in common; None for other cells."""
    return cell.place.learners if cell.way.kind == "flower" else None


def measure(batch: Sequence[Cell]) -> list[Measured]:
    """Measure a batch of cells.

    Raises:
        CellFailed: the weights of some rounds were not seen.
        InstallFailed: Flower cannot be installed, or its run failed.
    """
    if batch[0].way.kind == "flower":
        return run_strategies(batch)
    return [_measure_here(cell) for cell in batch]


def _measure_here(cell: Cell) -> Measured:
    place, rounds = cell.place, cell.rounds
    round_seconds, accepted, proposals = 0.0, 0, 0
    if cell.way.kind == "votes":
        accuracy, round_seconds, accepted, proposals = run_votes(cell)
    elif cell.way.kind == "mean":
        accuracy = train_and_average(place, rounds, min(place.learners, MAX_PROPOSERS))
    elif cell.way.kind == "together":
        accuracy = train_alone(place.make_joint_learner(), rounds, place.examine)
    else:
        lone = place.make_lone_learners()
        accuracy = mean_of([train_alone(learner, rounds, place.examine) for learner in lone])
    return Measured(tuple(accuracy), round_seconds, accepted, proposals)


# ------------------------------------------------------------------ rounds with votes


class Recorder:
    """A learner that records the weights that it accepts, and when."""

    def __init__(self, learner: Any) -> None:
        self._learner = learner
        self.moments: list[tuple[float, Any]] = []

    def mli_accept_weights(self, weights: Weights) -> None:
        """Record the weights and accept them."""
        self.moments.append((time.monotonic(), weights.weights))
        self._learner.mli_accept_weights(weights)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)


def run_votes(cell: Cell) -> tuple[list[float], float, int, int]:
    """Run real agents on `LocalLedger`."""
    place, way = cell.place, cell.way
    learners = place.make_learners()
    learners[0] = Recorder(learners[0])
    result = simulation.run(
        learners,
        cell.rounds,
        vote_threshold=way.threshold,
        config=simulation.SimulationConfig(
            score_name="log loss",
            higher_is_better=False,
            n_proposers=way.proposers or min(len(learners), MAX_PROPOSERS),
            vote_rule=way.rule,
        ),
    )
    moments = learners[0].moments
    round_seconds = (time.monotonic() - moments[0][0]) / cell.rounds
    changed = find_changes(result.history)
    if len(moments) != 1 + sum(changed):
        raise CellFailed(
            f"{len(moments)} weights were accepted in {sum(changed)} rounds and before"
        )
    scores = iter(place.examine(weights) for _, weights in moments)
    accuracy = [next(scores)]
    for has_changed in changed:
        accuracy.append(next(scores) if has_changed else accuracy[-1])
    slots = [slot for record in result.history.rounds for slot in record.round.slots]
    return accuracy, round_seconds, sum(slot.accepted for slot in slots), len(slots)


def find_changes(history: History) -> list[bool]:
    """Return for each round whether a proposal was accepted."""
    return [any(slot.accepted for slot in record.round.slots) for record in history.rounds]


# ------------------------------------------------------------------ Flower


def run_strategies(batch: Sequence[Cell]) -> list[Measured]:
    """Run strategies of Flower's in one simulation.

    The first round, in which Ray's processes load the data, does not count for a round's seconds.
    """
    jobs = [
        FlowerJob(
            strategy=cell.way.strategy,
            options=dict(cell.way.options),
            rounds=cell.rounds,
            **describe_clients(cell.place),
        )
        for cell in batch
    ]
    measured = []
    for result in run_flower(jobs, lambda line: None):
        after_first = result.seconds[1:]
        round_seconds = (after_first[-1] - after_first[0]) / max(1, len(after_first) - 1)
        measured.append(Measured(result.accuracy, round_seconds, 0, 0))
    return measured


def rounds_to_reach(accuracies: Sequence[float], goal: float) -> int | None:
    """Return the first round after which an accuracy is reached; None if never."""
    return next((i for i, accuracy in enumerate(accuracies) if accuracy >= goal), None)
