"""Run one experiment in a plain loop, for `bench/vote_rules.py`.

There is no ledger, agent or file. In each round all learners propose, each judges the proposals of
the others by scores on its own vote records, and a proposal is accepted if enough of the others
approve it. The mean of the accepted ones becomes the current weights.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from bench.attacks import Scene, fill_ballots, propose
from bench.candidates import CANDIDATES, REFERENCES, Probes
from bench.networks import Group, Network, Rows
from colearn_learner.agent.judge import Evidence, Trial
from colearn_learner.agent.records import add_gain, choose_parts, limit_gains
from colearn_learner.agent.screening import measure_reach
from colearn_learner.catalogue.models import make_learner, model
from colearn_learner.catalogue.settings import Training
from colearn_learner.datasets import Data, Dataset, Division, Share, Split, dataset, load
from colearn_learner.datasets.splitting import divide
from colearn_ledger.protocol import Scores, needed_approvals
from colearn_ledger.spec import ExperimentSpec, VoteRule
from colearn_ledger.weights.comparison import hash_tensors, measure_distance
from colearn_ledger.weights.schema import WeightsSchema
from scripts.fetch_mnist import mnist_folder

HIDDEN, RATE, BATCH = 32, 0.3, 16
ROUNDS = {"digits": 30, "mnist": 15}
LAST = 5
"""Number of last rounds that count: attacks make the accuracy go up and down."""

MNIST_TEST, MNIST_OWNED = 5_000, 20_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One run.

    Args:
        data: the data set.
        alpha: evenness of the labels.
        level: whether training uses logit adjustment.
        rule: name of the vote rule.
        threshold: share of the voters that must approve.
        attack: name of the attack; `honest` without one.
        dishonest: number of dishonest learners.
        seed: seed of everything.
        learners: number of learners.
        rounds: number of rounds.
        max_distance: limit of `ExperimentSpec.max_distance`.
    """

    data: str
    alpha: float
    level: bool
    rule: str
    threshold: float
    attack: str
    dishonest: int
    seed: int
    learners: int
    rounds: int
    max_distance: float = 5.0

    @property
    def name(self) -> str:
        """Return what distinguishes the cell, for people."""
        adjusted = "adjusted" if self.level else "plain"
        what = self.attack if self.attack == "honest" else f"{self.dishonest} {self.attack}"
        where = f"{self.data} α {self.alpha} {adjusted}"
        return f"{where}, {self.rule} {self.threshold}, {what}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run: accuracy after each round, and shares of accepted proposals.

    Without votes there are no such shares, and without attackers that of the dishonest is 0.
    """

    accuracy: list[float]
    accepted_honest: float | None
    accepted_dishonest: float | None


def mean_accuracy(outcomes: Iterable[Outcome]) -> float:
    """Return the mean accuracy after the last rounds, in per cent."""
    return 100 * statistics.mean(a for outcome in outcomes for a in outcome.accuracy[-LAST:])


class Panel:
    """The proposals of a round, with the scores that the learners compute of them."""

    def __init__(
        self, group: Group, current: NDArray[np.float64], proposals: Rows, max_distance: float
    ) -> None:
        self._group, self._current, self._proposals = group, current, proposals
        self.reach = _measure_reach(group.network, current, proposals)
        self.sound = {slot for slot, reach in self.reach.items() if reach <= max_distance}
        everyone = tuple(sorted(self.sound))
        shared = [everyone, *(tuple(s for s in everyone if s != out) for out in everyone)]
        shared = [slots for slots in shared if len(slots) > 1]
        rows = np.array([current, *proposals, *(self.merge(slots) for slots in shared)])
        scores = group.score(rows)
        self.current, self.alone = scores[0], scores[1 : 1 + len(proposals)]
        self._means = dict(zip(shared, scores[1 + len(proposals) :], strict=True))
        self._parts: dict[tuple[int, float], NDArray[np.float64]] = {}

    def merge(self, slots: Sequence[int]) -> NDArray[np.float64]:
        """Return the mean of proposals, computed as the product does."""
        rows = self._proposals[list(slots)]
        return rows.astype(np.float64).mean(axis=0).astype(rows.dtype)

    def gather_evidence(self, learner: int) -> Evidence:
        """Return what a learner finds out about the proposals of the others."""
        alone = {
            slot: self._test(learner, self.alone[slot, learner])
            for slot in sorted(self.sound)
            if slot != learner
        }
        own = (learner, Scores(float(self.alone[learner, learner])))
        current = Scores(float(self.current[learner]))
        return Evidence(current, alone, own if learner in self.sound else None)

    def test_mean(self, learner: int, slots: tuple[int, ...]) -> Trial:
        """Return a learner's test of a mean."""
        if slots in self._means:
            return self._test(learner, self._means[slots][learner])
        return self._test(learner, self._group.score_for(learner, self.merge(slots)))

    def score_part(self, learner: int, slot: int, part: float) -> float:
        """Return a learner's score after a part of the step to a proposal."""
        key = slot, part
        if key not in self._parts:
            step = self._proposals[slot] - self._current
            moved = self._current + self._current.dtype.type(part) * step
            self._parts[key] = self._group.score(moved[None])[0]
        return float(self._parts[key][learner])

    def measure_gains(self, learner: int) -> dict[int, float]:
        """Return a learner's gains after a part of the step to each proposal of the others."""
        current = float(self.current[learner])
        others = sorted(self.sound - {learner})
        if len(others) < 2:
            return {}  # as the agent does
        return {
            slot: min(
                current - self.score_part(learner, slot, part)
                for part in choose_parts(self.reach[slot])
            )
            for slot in others
        }

    def _test(self, learner: int, score: float) -> Trial:
        approves = bool(score <= self.current[learner])  # learners of the catalogue approve equals
        return Trial(Scores(None if np.isnan(score) else float(score)), approves)


def _measure_reach(
    network: Network, current: NDArray[np.float64], proposals: Rows
) -> dict[int, float]:
    """Return distances in units of their median, without copies, as an agent finds them."""
    base, seen, distances = network.to_tree(current), set[bytes](), dict[int, float]()
    for slot, row in enumerate(proposals):
        tree = network.to_tree(row)
        tensors = hash_tensors(tree)
        if tensors not in seen:
            seen.add(tensors)
            distances[slot] = measure_distance(tree, base)
    return measure_reach(distances)


class Start:
    """What a run begins with, whoever merges the proposals.

    Args:
        cell: the run.

    Attributes:
        network: the learners' network.
        parts: their records and the common test set.
        training: their training configuration.
        dishonest: the attackers.
        flipped: those of them that train with flipped labels.
        random: the attackers' source of randomness.
        weights: the first weights.
    """

    def __init__(self, cell: Cell) -> None:
        data, self.parts = divide_data(cell.data, cell.alpha, cell.learners, cell.seed)
        self.training = Training(RATE, batch_size=BATCH, seed=cell.seed, level=cell.level)
        self.random = np.random.default_rng([cell.seed, 13])
        drawn = self.random.permutation(cell.learners)[: cell.dishonest]
        self.dishonest: list[int] = sorted(drawn.tolist())
        self.flipped = self.dishonest if cell.attack == "labels" else []
        self.network = Network(self.parts.common_test.inputs.shape[1], HIDDEN, data.classes)
        self.weights = _make_first_weights(self.network, data, self.parts, self.training)
        self._attack, self._max_distance = cell.attack, cell.max_distance

    def attack(self, current: NDArray[np.float64], trained: Rows, progress: float) -> Rows:
        """Return what the learners propose.

        Args:
            current: the current weights.
            trained: what each learner's training made.
            progress: the share of the rounds that are over.
        """
        if not self.dishonest:
            return trained
        scene = Scene(
            self.network,
            current,
            trained,
            self.dishonest,
            self.random,
            self._max_distance,
            progress,
        )
        return propose(self._attack, scene).astype(current.dtype)


def run(cell: Cell) -> Outcome:
    """Run one experiment."""
    start = Start(cell)
    network, dishonest, current = start.network, start.dishonest, start.weights
    group = Group(network, start.parts, start.training, start.flipped)
    spec = ExperimentSpec("mlp", WeightsSchema.of(network.to_tree(current)), "log loss", False)
    needed = needed_approvals(cell.learners - 1, round(cell.threshold * 10_000))
    accuracy, accepted = [], np.zeros(cell.learners)
    memories: list[dict[int, float]] = [{} for _ in range(cell.learners)]
    for index in range(cell.rounds):
        proposals = start.attack(current, group.train(current), index / cell.rounds)
        panel = Panel(group, current, proposals, cell.max_distance)
        approvals = _vote(cell, spec, panel, memories)
        fill_ballots(cell.attack, approvals, dishonest)
        np.fill_diagonal(approvals, False)  # nobody votes on its own proposal
        chosen = np.flatnonzero(approvals.sum(axis=0) >= needed)
        if cell.rule in REFERENCES:
            chosen = np.delete(np.arange(cell.learners), dishonest if cell.rule == "oracle" else [])
        if len(chosen):
            current = panel.merge(chosen.tolist())
        accepted[chosen] += 1
        accuracy.append(group.measure_accuracy(current))
    shares = accepted / cell.rounds
    honest = np.delete(shares, dishonest)
    return Outcome(
        accuracy, float(honest.mean()), float(shares[dishonest].mean()) if dishonest else 0.0
    )


def _vote(
    cell: Cell, spec: ExperimentSpec, panel: Panel, memories: Sequence[dict[int, float]]
) -> NDArray[np.bool_]:
    """Return whether each learner (row) approves each proposal (column)."""
    approvals = np.zeros((cell.learners, cell.learners), bool)
    if cell.rule in REFERENCES:
        return approvals
    for learner in range(cell.learners):
        probes = Probes(
            partial(panel.test_mean, learner),
            partial(panel.score_part, learner),
            memories[learner],
        )
        judge = CANDIDATES[cell.rule].make_judge(spec, probes)
        evidence = panel.gather_evidence(learner)
        if CANDIDATES[cell.rule].product == VoteRule.TRACK_RECORD:
            gains = panel.measure_gains(learner)
            evidence = replace(evidence, gains=gains, records=dict(memories[learner]))
            for slot, gain in limit_gains(gains).items():
                memories[learner][slot] = add_gain(memories[learner].get(slot, 0.0), gain)
        approved = judge.judge(evidence).approved
        approvals[learner, list(approved)] = True
    return approvals


@cache
def _load_data(name: str) -> Dataset:
    if name == "digits":
        return dataset(name)
    return load(name, mnist_folder()).dataset


@cache
def divide_data(name: str, alpha: float, learners: int, seed: int) -> tuple[Dataset, Split]:
    """Return the data set, and its records divided among learners, with flat inputs."""
    data = _load_data(name)
    records = data.load()
    order = np.random.default_rng(seed).permutation(len(records))
    n_test = MNIST_TEST if name == "mnist" else round(len(records) / 4)
    end = n_test + MNIST_OWNED if name == "mnist" else len(records)
    common, owned = records.take(order[:n_test]).flat(), records.take(order[n_test:end]).flat()
    division = Division(learners, how="label-skew", alpha=alpha, seed=seed)
    places = divide(owned.targets, "classification", division)
    shares = tuple(Share(*(owned.take(part) for part in each)) for each in places)
    return data, Split(shares, Data(common.inputs, common.targets))


def _make_first_weights(
    network: Network, data: Dataset, parts: Split, training: Training
) -> NDArray[np.float64]:
    """Return the weights with which the catalogue's learners start."""
    learner = make_learner(model("mlp", data), parts.shares[0], data=data, training=training)
    return network.to_row(learner.mli_get_current_weights().weights)
