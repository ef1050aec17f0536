"""Compare what a quickstart's learners learned together with learning alone, and report it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colearn_learner.cli._support.output import command_name

if TYPE_CHECKING:
    from rich.console import Console

    from colearn_learner.catalogue.baselines import Comparison
    from colearn_learner.catalogue.settings import Score


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The scores of the final weights and of learning alone, on records that no learner has."""

    score: Score
    comparison: Comparison

    def describe(self) -> str:
        """Return the scores, and the gain over learning alone, in words."""
        found, score = self.comparison, self.score
        gain = found.collective - found.mean_alone
        better = gain > 0 if score.higher_is_better else gain < 0
        outcome = f"{abs(gain):.3f} {'better' if better else 'worse'}" if gain else "as good"
        name = self.score.name
        return (
            f"{name[0].upper()}{name[1:]} on records that no learner has: "
            f"{found.collective:.3f} together, {found.mean_alone:.3f} alone on average.\n"
            f"Learning together is {outcome}; the best learner alone has {found.best_alone:.3f}."
        )

    def as_json(self) -> dict[str, Any]:
        """Return the scores for JSON, with the names that `colearn demo` uses."""
        return {
            "score": {"name": self.score.name, "higher_is_better": self.score.higher_is_better},
            "collective": self.comparison.collective,
            "alone": list(self.comparison.alone),
            "mean_alone": self.comparison.mean_alone,
        }


def conclude(weights: Path, dataset_name: str, n_learners: int, n_rounds: int) -> Conclusion:
    """Score a file of weights, and let each learner train alone as often.

    Args:
        weights: the final weights of the experiment.
        dataset_name: the data set that the learners share out.
        n_learners: the number of learners.
        n_rounds: the number of rounds of the experiment.
    """
    from colearn_learner.catalogue.factories import compare_shares
    from colearn_learner.catalogue.settings import score_of
    from colearn_learner.datasets import dataset
    from colearn_ledger.weights.codec import decode_weights

    found = decode_weights(weights.read_bytes()).weights
    comparison = compare_shares(found, dataset_name, of=n_learners, n_rounds=n_rounds)
    return Conclusion(score_of(dataset(dataset_name).task, shown=True), comparison)


def print_next_steps(console: Console, *, keep_up: bool) -> None:
    """Print commands to try after the quickstart."""
    me = command_name()
    stopped = (
        f"  {me} quickstart --keep-up     # leave the nodes running at the end, to look around\n"
    )
    console.print(
        f"\nTry next:\n{'' if keep_up else stopped}"
        f"  {me} quickstart --dataset digits --n-learners 8\n"
        f"  {me} localnet up              # your own experiment: docs/testnet.md\n"
        f"  {me} learner check --help     # your own model: docs/tutorials/numpy.md"
    )
