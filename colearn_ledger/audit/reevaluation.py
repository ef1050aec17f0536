"""Compare the versions of an experiment's weights, and proposals, by an auditor's own scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from colearn_ledger.history import History, ScoreKind
from colearn_ledger.history.chart import Chart, Point
from colearn_ledger.history.columns import (
    draw_columns,
    draw_legend,
    fit_columns,
    make_columns,
    make_text,
    wrap_text,
)
from colearn_ledger.history.gains import Gain, draw_gains
from colearn_ledger.history.marks import mark_ballot
from colearn_ledger.history.numbers import ScoreFormat
from colearn_ledger.history.plot import Plot
from colearn_ledger.protocol import Account, ContentRef, Scores, to_dict

if TYPE_CHECKING:
    from rich.text import Text

_IMPORTANCE = {"test score": 2, "weights": 1}
_LEFT = {"round", "weights", "outcome", "proposed by"}


@dataclass(frozen=True, slots=True)
class ScoredWeights:
    """Weights with an auditor's scores of them.

    Args:
        round: the round that they were proposed in; None for the initial weights.
        slots: the proposals of which they are made, as in `CheckedWeights`.
        content: the file's reference.
        accepted: whether the proposals were accepted.
        current: whether they became the group's weights.
        scores: the scores; the vote score is None if the learner failed.
        problem: why there is no score; empty if there is one.
    """

    round: int | None
    slots: tuple[int, ...]
    content: ContentRef
    accepted: bool
    current: bool
    scores: Scores
    problem: str = ""


class Reevaluation:
    """The scores of an experiment's weights on an auditor's own records.

    Args:
        history: the experiment's history.
        score: what the scores measure.
        weights: the weights in order: the initial ones, then those of each round.
    """

    def __init__(
        self, history: History, score: ScoreKind, weights: Sequence[ScoredWeights]
    ) -> None:
        self._history = history
        self._score = score
        self._records = {record.round.index: record for record in history.rounds}
        self._index_of = {learner.account: n for n, learner in enumerate(history.learners)}
        self.weights = tuple(weights)

    @property
    def problems(self) -> list[tuple[ScoredWeights, str]]:
        """Return the weights that the learner could not score, with the reasons."""
        return [(each, each.problem) for each in self.weights if each.problem]

    @cached_property
    def _before(self) -> dict[int, Scores]:
        """The scores of the group's weights before each round, by its index."""
        now, before = Scores(), {}
        current = {each.round: each.scores for each in self.weights if each.current}
        now = current.get(None, now)
        for record in self._history.rounds:
            before[record.round.index] = now
            if record.accepted:
                now = current.get(record.round.index, Scores())
        return before

    def find_gain(self, weights: ScoredWeights) -> float | None:
        """Return by how much weights are better than those before; None if that is not known.

        Better is positive, whatever the direction of the score.
        """
        if weights.round is None:
            return None
        before, after = self._before[weights.round].vote_score, weights.scores.vote_score
        if before is None or after is None:
            return None
        gain = (after - before) * (1 if self._score.higher_is_better else -1)
        return gain if math.isfinite(gain) else None

    def find_proposers(self, weights: ScoredWeights) -> list[Account]:
        """Return the accounts that proposed weights, in slot order."""
        if weights.round is None:
            return []
        slots = self._records[weights.round].round.slots
        return [slots[number].proposer for number in weights.slots]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON values; ``docs/audit.md`` describes them."""
        return {
            "score": {
                "name": self._score.name,
                "higher_is_better": self._score.higher_is_better,
            },
            "weights": [
                {
                    "round": each.round,
                    "slots": list(each.slots),
                    "proposers": self.find_proposers(each),
                    "accepted": each.accepted,
                    "current": each.current,
                    "content": to_dict(each.content),
                    **to_dict(each.scores),
                    "gain": self.find_gain(each),
                    "problem": each.problem or None,
                }
                for each in self.weights
            ],
        }

    def draw_lines(self, *, width: int | None = None) -> list[Text]:
        """Return the lines of a table with a line for each version or proposal."""
        lines = wrap_text(f"Scores on the auditor's own records: {self._score}", width)
        if not self.weights:
            return [*lines, *wrap_text("There are no weights to score.", width)]
        form = ScoreFormat.fitting(each.scores.vote_score for each in self.weights)
        rows = [self._make_row(each, form) for each in self.weights]
        made = make_columns(rows, importance=_IMPORTANCE, left=_LEFT, flexible={"proposed by"})
        columns = fit_columns(made, width)
        legend = [
            ("score", "of these weights on the auditor's records for votes"),
            ("gain", "by how much better than the group's weights before; better is positive"),
        ]
        return [
            *lines,
            make_text(),
            *draw_columns(columns, width),
            make_text(),
            *draw_legend(legend, width),
        ]

    def _make_row(self, each: ScoredWeights, form: ScoreFormat) -> Mapping[str, str]:
        gain = self.find_gain(each)
        test = each.scores.test_score
        return {
            "round": "-" if each.round is None else str(each.round),
            "weights": _name_weights(each),
            "outcome": "" if each.round is None else _name_outcome(each),
            "proposed by": ", ".join(map(self._name, self.find_proposers(each))) or "-",
            "score": form.format(each.scores.vote_score),
            "test score": "" if test is None else form.format(test),
            "gain": "-" if gain is None else f"{gain:+.{form.decimals}f}",
        }

    def _name(self, account: Account) -> str:
        return self._history.name_of(account)

    def plot(self) -> Plot:
        """Draw whether the group improved, and through whose proposals.

        Raises:
            MissingPackage: matplotlib is not installed.
        """
        return Plot(draw_gains(self._make_chart(), list(self._list_gains())))

    def _make_chart(self) -> Chart:
        history = self._history
        groups = [self._before[record.round.index] for record in history.rounds]
        last = [each.scores for each in self.weights if each.current]
        groups += last[-1:] if groups else []
        unknown = (math.nan,) * len(groups)
        return Chart(
            title=f"{history.experiment.params.name}, on the auditor's own records",
            score=str(self._score),
            higher_is_better=self._score.higher_is_better,
            learners=tuple(self._name(learner.account) for learner in history.learners),
            group=_fill([each.vote_score for each in groups]),
            test=_fill([each.test_score for each in groups]),
            low=unknown,
            high=unknown,
            points=tuple(self._list_points()),
            marks=tuple(
                tuple(mark_ballot(record, row.ballot) for row in record.ballots)
                for record in history.rounds
            ),
            accepted=frozenset(
                (n, self._index_of[record.round.slots[slot].proposer])
                for n, record in enumerate(history.rounds)
                for slot in record.accepted
                if record.round.slots[slot].proposer in self._index_of
            ),
        )

    def _list_points(self) -> Iterator[Point]:
        for each in self.weights:
            score = each.scores.vote_score
            if each.round is not None and len(each.slots) == 1 and score is not None:
                yield Point(each.round, score, each.accepted)

    def _list_gains(self) -> Iterator[Gain]:
        """Yield a gain for each scored proposal; that of their mean if only it was scored."""
        alone = {(e.round, e.slots[0]) for e in self.weights if len(e.slots) == 1}
        for each in self.weights:
            if each.round is None:
                continue
            gain = self.find_gain(each)
            for slot, proposer in zip(each.slots, self.find_proposers(each), strict=True):
                if proposer not in self._index_of:  # the ledger contradicts itself
                    continue
                if len(each.slots) == 1 or (each.round, slot) not in alone:
                    yield Gain(
                        each.round,
                        self._index_of[proposer],
                        math.nan if gain is None else gain,
                        is_shared=len(each.slots) > 1,
                    )


def _name_weights(each: ScoredWeights) -> str:
    if each.round is None:
        return "initial"
    if len(each.slots) == 1:
        return f"slot {each.slots[0]}"
    return f"mean of {len(each.slots)}"


def _name_outcome(each: ScoredWeights) -> str:
    if each.current:
        return "current"
    return "accepted" if each.accepted else "rejected"


def _fill(scores: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if score is None else score for score in scores)
