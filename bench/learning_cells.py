"""Ways of learning, the cells of `bench/learning.py`, and the file of finished cells."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.flower_environment import FlowerJob, run_flower
from bench.places import Place, describe_clients, mean_of, train_alone
from colearn_learner import simulation
from colearn_learner.interface import Weights
from colearn_ledger.history import History
from colearn_ledger.protocol import MAX_PROPOSERS

Kind = Literal["votes", "flower", "alone", "together"]


class CellFailed(Exception):
    """A cell could not be measured; the message explains why."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of learning.

    Args:
        name: its name in tables.
        kind: rounds with votes, a strategy of Flower's, or training without others' weights: each
            learner alone, or one learner that has all records.
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

    @property
    def key(self) -> str:
        """Return a text that only equal cells share."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a cell.

    Args:
        accuracy: accuracy on the common test set at the start and after each round; of learners
            that train alone, their mean.
        round_seconds: seconds of a round; 0 if the way has no rounds.
        accepted: number of accepted proposals.
        proposals: number of all proposals.
        seconds: seconds of the whole cell, with preparation and tests.
    """

    accuracy: tuple[float, ...]
    round_seconds: float
    accepted: int
    proposals: int
    seconds: float


def measure(cell: Cell) -> Measured:
    """Measure a cell.

    Raises:
        CellFailed: the weights of some rounds were not seen.
        InstallFailed: Flower cannot be installed, or its run failed.
    """
    began = time.monotonic()
    place, rounds = cell.place, cell.rounds
    round_seconds, accepted, proposals = 0.0, 0, 0
    if cell.way.kind == "votes":
        accuracy, round_seconds, accepted, proposals = run_votes(cell)
    elif cell.way.kind == "flower":
        accuracy, round_seconds = run_strategy(cell)
    elif cell.way.kind == "together":
        accuracy = train_alone(place.make_joint_learner(), rounds, place.examine)
    else:
        lone = place.make_lone_learners()
        accuracy = mean_of([train_alone(learner, rounds, place.examine) for learner in lone])
    seconds = time.monotonic() - began
    return Measured(tuple(accuracy), round_seconds, accepted, proposals, seconds)


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


def run_strategy(cell: Cell) -> tuple[list[float], float]:
    """Run a strategy of Flower's.

    The first round, in which Ray's processes load the data, does not count for the seconds.
    """
    job = FlowerJob(
        strategy=cell.way.strategy,
        options=dict(cell.way.options),
        rounds=cell.rounds,
        **describe_clients(cell.place),
    )
    found = run_flower(job, lambda line: None)
    after_first = found.seconds[1:]
    round_seconds = (after_first[-1] - after_first[0]) / max(1, cell.rounds - 1)
    return list(found.accuracy), round_seconds


# ------------------------------------------------------------------ the file of finished cells


class CellFile:
    """Finished cells in a file with one line of JSON for each, so that a run can be resumed.

    Args:
        path: the file; created with the first cell.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, Measured] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            return  # the last line of a killed run
        measured = record["measured"]
        accuracy = tuple(measured.pop("accuracy"))
        self._found[json.dumps(record["cell"], sort_keys=True)] = Measured(accuracy, **measured)

    def get(self, cell: Cell) -> Measured | None:
        """Return the result of a cell, or None."""
        return self._found.get(cell.key)

    def add(self, cell: Cell, measured: Measured) -> None:
        """Append a result."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        record = {"cell": asdict(cell), "measured": asdict(measured)}
        needs_end = self._path.exists() and not self._path.read_bytes().endswith(b"\n")
        with self._path.open("a") as file:
            file.write(f"{chr(10) if needs_end else ''}{json.dumps(record)}\n")
        self._found[cell.key] = measured


def estimate_seconds(cells: Iterable[Cell], done: Mapping[Cell, Measured]) -> float | None:
    """Return the seconds that cells will take in all, from similar ones that are done.

    A cell is estimated by the mean of those that have the same way, number of learners and data;
    if there are none, the same way and number of learners, and so on. None if no cell is done.
    """
    if not done:
        return None
    return sum(_estimate(cell, done) for cell in cells)


def _estimate(cell: Cell, done: Mapping[Cell, Measured]) -> float:
    tries: tuple[Callable[[Cell], Any], ...] = (
        lambda c: (c.way, c.place.learners, c.place.data),
        lambda c: (c.way, c.place.learners),
        lambda c: c.way,
        lambda c: c.way.kind,
        lambda c: None,
    )
    for feature in tries:
        wanted = feature(cell)
        similar = [
            measured.seconds * cell.rounds / other.rounds
            for other, measured in done.items()
            if feature(other) == wanted
        ]
        if similar:
            return statistics.mean(similar)
    raise CellFailed("there is no finished cell to estimate from")


def rounds_to_reach(accuracies: Sequence[float], goal: float) -> int | None:
    """Return the first round after which an accuracy is reached; None if never."""
    return next((i for i, accuracy in enumerate(accuracies) if accuracy >= goal), None)
