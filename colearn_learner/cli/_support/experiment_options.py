"""Options of `colearn experiment create` that replace parts of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.options import vote_rule_options
from colearn_ledger.protocol import MAX_PROPOSERS, Merge

if TYPE_CHECKING:
    from colearn_learner.cli._support.experiment_file import Overrides


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """The values that the user chose instead of the file's."""

    proposers: int | None
    merge: str | None
    patience: int | None
    vote_rule: str | None
    tolerance: float | None
    max_distance: float | None
    continue_from: str | None

    def overrides(self) -> Overrides:
        """Return the options as fields of the file."""
        from colearn_learner.cli._support.experiment_file import Overrides

        return Overrides(
            terms=_given(proposers=self.proposers, merge=self.merge, patience=self.patience),
            vote=_given(
                rule=self.vote_rule, tolerance=self.tolerance, max_distance=self.max_distance
            ),
            weights_given=self.continue_from is not None,
        )


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def create_options(command: Command) -> Command:
    """Add the options that replace parts of the file; the command gets ``changes``."""
    options = [
        click.option(
            "--proposers",
            type=click.IntRange(1, MAX_PROPOSERS),
            help="How many learners train and propose in each round. [default: the file's]",
        ),
        click.option(
            "--merge",
            type=click.Choice([merge.name.lower() for merge in Merge]),
            help="What several accepted proposals become: their mean, or only the most approved "
            "one. [default: the file's]",
        ),
        click.option(
            "--patience",
            type=click.IntRange(0, 2**32 - 1),
            help="End the experiment after this many rounds in a row without an accepted "
            "proposal; 0 means never. [default: the file's]",
        ),
        vote_rule_options(voters="agents approve", default="the file's"),
        click.option(
            "--max-distance",
            type=click.FloatRange(1),
            help="Agents approve no proposal that is further from the current weights than this "
            "multiple of the round's median distance. [default: the file's]",
        ),
        click.option(
            "--continue-from",
            metavar="REF",
            help="Start with the current weights of this finished experiment, instead of the "
            "file's [weights].",
        ),
    ]
    collected = collect(CreateOptions, "changes")(command)
    for option in reversed(options):
        collected = option(collected)
    return collected
