"""Training configuration and scores of the catalogue's learners."""

from __future__ import annotations

from dataclasses import dataclass

from colearn_learner.datasets import Task


@dataclass(frozen=True, slots=True)
class Score:
    """A score and its better direction."""

    name: str
    higher_is_better: bool


_VOTE_SCORE: dict[Task, Score] = {
    "classification": Score("log loss", higher_is_better=False),
    "regression": Score("mean squared error", higher_is_better=False),
}
_SHOWN_SCORE: dict[Task, Score] = {
    "classification": Score("accuracy", higher_is_better=True),
    "regression": Score("mean squared error", higher_is_better=False),
}


def score_of(task: Task, *, shown: bool = False) -> Score:
    """Return the score that learners vote by, or with ``shown`` the one shown to people."""
    return (_SHOWN_SCORE if shown else _VOTE_SCORE)[task]


@dataclass(frozen=True, slots=True)
class Training:
    """The training configuration of a learner.

    Args:
        learning_rate: learning rate of each step.
        batch_size: number of records in a step.
        passes: number of passes over the records for one proposal.
        seed: seed of the first weights and of the order of records.
        level: correct a network's training for the learner's label shares; see
            `colearn_learner.learners.skew`. Not useful for a learner that trains alone.
    """

    learning_rate: float
    batch_size: int = 32
    passes: int = 2
    seed: int = 42
    level: bool = True
