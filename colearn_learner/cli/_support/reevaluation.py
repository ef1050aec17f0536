"""The options of `colearn audit` that score weights on the auditor's own records."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.factories import load_learner, parse_arguments
from colearn_learner.cli._support.output import (
    command_name,
    find_width,
    note,
    print_line,
    print_rich_lines,
    show_spinner,
)
from colearn_learner.cli._support.plots import check_plot
from colearn_learner.errors import LearnerError
from colearn_learner.user_code import find_line_of_error

if TYPE_CHECKING:
    from colearn_ledger.audit import AuditReport, CheckedWeights
    from colearn_ledger.audit.reevaluation import Reevaluation, ScoredWeights
    from colearn_ledger.history import ScoreKind
    from colearn_ledger.ledger import LedgerView
    from colearn_ledger.protocol import ExperimentId
    from colearn_ledger.weights.store import ContentStore

_log = logging.getLogger(__name__)
_MOST_PROBLEMS = 3


class NothingScored(LearnerError):
    """The learner could not score any weights."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class ReevaluationOptions:
    """Whether and how to score weights on the auditor's own records."""

    reevaluate: bool
    factory: str | None
    given: tuple[str, ...]
    all_proposals: bool
    plot: Path | None

    def __post_init__(self) -> None:
        used = {
            "--learner": self.factory,
            "--learner-arg": self.given,
            "--all": self.all_proposals,
            "--plot": self.plot,
        }
        if self.reevaluate and self.factory is None:
            raise click.UsageError("--reevaluate scores weights with a learner; add --learner")
        if not self.reevaluate and (unused := [name for name, value in used.items() if value]):
            raise click.UsageError(f"{', '.join(unused)}: only for --reevaluate; add it")

    def check(self, *, no_files: bool) -> None:
        """Refuse what cannot be done, before anything is read.

        Raises:
            click.UsageError: no files are to be checked, an argument of the learner is malformed,
                or the picture cannot be written.
        """
        if not self.reevaluate:
            return
        if no_files:
            raise click.UsageError("--reevaluate needs the files; leave out --no-files")
        parse_arguments(self.given)
        if self.plot is not None:
            check_plot(self.plot)

    def open(
        self,
        ledger: LedgerView,
        experiment: ExperimentId,
        store: ContentStore | None,
        timeout: float,
    ) -> Scorer | None:
        """Return what scores weights; `None` if that is not wanted.

        Raises:
            LedgerError: the ledger does not answer, or the specification, which describes the
                score, cannot be read.
            LearnerError, click.UsageError: there is no such learner, or it does not fit.
        """
        if self.factory is None or store is None:
            return None
        from colearn_learner.agent.fit import check_fit
        from colearn_ledger.history import ScoreKind
        from colearn_ledger.spec import ExperimentSpec

        with show_spinner("loading the learner"):
            spec = ledger.experiment(experiment).params.spec
            read = ExperimentSpec.read(store, spec, timeout=timeout)
            learner = load_learner(self.factory, parse_arguments(self.given))
            check_fit(learner, read.schema)
        score = ScoreKind(read.score_name, read.higher_is_better)
        return Scorer(learner, score, all_proposals=self.all_proposals)

    def finish(self, reevaluation: Reevaluation, report: AuditReport, *, as_json: bool) -> None:
        """Print the table, draw the picture if one is wanted, and report what was not scored.

        Raises:
            NothingScored: the learner could not score any weights, and the audit found nothing.
            FileError: the picture cannot be written.
        """
        from colearn_ledger.history.plot import write_plot

        if not as_json:
            print_line()
            print_rich_lines(reevaluation.draw_lines(width=find_width()))
        problems = reevaluation.problems
        for weights, problem in problems[:_MOST_PROBLEMS]:
            note(f"The learner could not score {_describe(weights)}: {problem}")
        if more := len(problems) - _MOST_PROBLEMS if len(problems) > _MOST_PROBLEMS else 0:
            note(f"{more} further weights could not be scored; see --json.")
        if len(problems) == len(reevaluation.weights) and not report.findings:
            raise NothingScored(
                f"the learner could not score any of the {len(problems)} weights; to examine it: "
                f"{command_name()} learner check"
            )
        if self.plot is not None:
            write_plot(report.history, reevaluation.plot(), self.plot)
            note(f"The scores are drawn in {self.plot}.")


class Scorer:
    """Scores weights with a learner while an audit fetches them.

    Args:
        learner: the learner with the auditor's records.
        score: what the scores measure.
        all_proposals: whether to score proposals that did not become the group's weights, too.
    """

    def __init__(self, learner: Any, score: ScoreKind, *, all_proposals: bool) -> None:
        self._learner = learner
        self._score_kind = score
        self._all_proposals = all_proposals
        self._scored: list[ScoredWeights] = []

    def score(self, weights: CheckedWeights, show: Callable[[str], None]) -> None:
        """Score weights if they are wanted; a failure of the learner is recorded.

        Args:
            weights: the weights.
            show: called with what is done.
        """
        if weights.current or self._all_proposals:
            show(f"scoring {_describe(weights)}")
            self._scored.append(self._test(weights))

    def _test(self, weights: CheckedWeights) -> ScoredWeights:
        from colearn_learner.conversion import scores_of
        from colearn_learner.interface import Weights
        from colearn_ledger.audit.reevaluation import ScoredWeights
        from colearn_ledger.protocol import Scores

        scores, problem = Scores(), ""
        try:
            scores = scores_of(self._learner.mli_test_weights(Weights(weights.weights)))
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.debug("the learner failed", exc_info=True)
            line = find_line_of_error(error)
            problem = f"{type(error).__name__}: {error}" + (f" at {line}" if line else "")
        else:
            if scores.vote_score is None:
                problem = "it returned NaN or no number as the vote score"
        fields = {each.name: getattr(weights, each.name) for each in dataclasses.fields(weights)}
        del fields["weights"]
        return ScoredWeights(**fields, scores=scores, problem=problem)

    def compare(self, report: AuditReport) -> Reevaluation:
        """Return the scores, compared with each other."""
        from colearn_ledger.audit.reevaluation import Reevaluation
        from colearn_ledger.keys.names import find_names

        history = report.history
        names = find_names([learner.account for learner in history.learners], None)
        return Reevaluation(replace(history, names=names), self._score_kind, self._scored)


def _describe(weights: CheckedWeights | ScoredWeights) -> str:
    if weights.round is None:
        return "the initial weights"
    slots = ", ".join(map(str, weights.slots))
    what = f"slot {slots}" if len(weights.slots) == 1 else f"the mean of the slots {slots}"
    return f"{what} of round {weights.round}"


def reevaluation_options(command: Command) -> Command:
    """Add the options of a re-evaluation; the command gets ``reevaluation``."""
    reevaluate = click.option(
        "--reevaluate",
        is_flag=True,
        help="Also score each version of the group's weights with a learner of your own, on its "
        "records.",
    )
    learner = click.option(
        "--learner",
        "factory",
        metavar="MODULE:FACTORY|ADDRESS",
        help="With --reevaluate: the function that makes the learner, or the address of a "
        "learner's server, as for colearn agent run.",
    )
    argument = click.option(
        "--learner-arg",
        "given",
        multiple=True,
        metavar="NAME=VALUE",
        help="An argument for the factory. VALUE is parsed as JSON if possible, and is text "
        "otherwise. Repeatable.",
    )
    every = click.option(
        "--all",
        "all_proposals",
        is_flag=True,
        help="With --reevaluate: score every proposal, too, also those that were rejected.",
    )
    plot = click.option(
        "--plot",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="With --reevaluate: draw whether the group improved, and through whose proposals. "
        "FILE ends with .png, .svg or .html.",
    )
    collected = collect(ReevaluationOptions, "reevaluation")(command)
    return reevaluate(learner(argument(every(plot(collected)))))
