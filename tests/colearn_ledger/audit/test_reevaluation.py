"""Weights that an audit passes on, and their comparison by an auditor's own scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colearn_ledger.audit import AuditReport, CheckedWeights, audit_experiment
from colearn_ledger.audit.reevaluation import Reevaluation, ScoredWeights
from colearn_ledger.history import ScoreKind
from colearn_ledger.protocol import Account, Scores
from tests.support.audited import play
from tests.support.toyworld import World

HIGHER = ScoreKind("closeness", higher_is_better=True)


def collect(world: World) -> tuple[AuditReport, list[CheckedWeights]]:
    found: list[CheckedWeights] = []
    report = audit_experiment(
        world.ledger, world.store(0), world.experiment, on_weights=found.append
    )
    return report, found


def score(weights: CheckedWeights, value: float | None = None) -> ScoredWeights:
    """Score weights by their first number, or as given."""
    vote = float(weights.weights[0][0]) if value is None else value
    return ScoredWeights(
        weights.round,
        weights.slots,
        weights.content,
        weights.accepted,
        weights.current,
        Scores(vote, None),
    )


class TestCheckedWeights:
    @pytest.mark.parametrize(
        "shape", ["open", "plural mean", "plural best", "without initial weights"]
    )
    def test_each_proposal_and_each_version_is_passed_on_once(self, shape: str, tmp_path: Path):
        report, found = collect(play(tmp_path, "local", shape))
        history = report.history
        current = {each.round: each.content for each in found if each.current}
        initial = history.experiment.params.initial
        assert current == ({None: initial} if initial else {}) | dict(report.weights)
        assert sum(each.current for each in found) == len(history.lineage())
        proposed = [
            (record.round.index, slot, content, record.round.slots[slot].accepted)
            for record in history.rounds
            for slot, content in record.round.contents.items()
        ]
        alone = [each for each in found if len(each.slots) == 1]
        assert [(e.round, e.slots[0], e.content, e.accepted) for e in alone] == proposed

    def test_merged_weights_are_the_mean_of_their_slots(self, merged: World):
        _, found = collect(merged)
        for mean in [each for each in found if len(each.slots) > 1]:
            parts = [e.weights[0] for e in found if e.round == mean.round and len(e.slots) == 1]
            assert len(parts) == len(mean.slots) == 3
            np.testing.assert_allclose(mean.weights[0], np.mean(parts, axis=0))

    def test_unusable_proposal_is_not_passed_on(self, merged: World):
        store = merged.store(0)
        _, found = collect(merged)
        lost = next(each.content for each in found if each.round == 1)

        class Losing:
            def __getattr__(self, name: str) -> object:
                return getattr(store, name)

            def get(self, content: object, **options: object) -> object:
                wanted = replace(lost, sha256="00" * 32) if content == lost else content
                return store.get(wanted, **options)

        passed: list[CheckedWeights] = []
        report = audit_experiment(
            merged.ledger, Losing(), merged.experiment, on_weights=passed.append
        )
        assert report.findings
        assert lost not in [each.content for each in passed]
        assert [e for e in passed if e.round == 1 and e.current] == []
        assert [e for e in passed if e.round == 2 and e.current] != []

    def test_error_of_the_receiver_ends_the_audit(self, merged: World):
        def refuse(_: CheckedWeights) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            audit_experiment(merged.ledger, merged.store(0), merged.experiment, on_weights=refuse)


class TestReevaluation:
    def test_gain_is_the_difference_to_the_weights_of_the_group_before(self, merged: World):
        report, found = collect(merged)
        compared = Reevaluation(report.history, HIGHER, [score(each) for each in found])
        values = {e.round: float(e.weights[0][0]) for e in found if e.current}
        for each in compared.weights:
            if each.round is None:
                assert compared.find_gain(each) is None
            else:
                before = values[None if each.round == 0 else each.round - 1]
                assert each.scores.vote_score is not None
                assert compared.find_gain(each) == each.scores.vote_score - before

    def test_better_is_positive_if_a_lower_score_is_better(self, merged: World):
        report, found = collect(merged)
        scored = [score(each) for each in found]
        lower = Reevaluation(report.history, ScoreKind("loss", False), scored)
        higher = Reevaluation(report.history, HIGHER, scored)
        for each in scored[1:]:
            assert lower.find_gain(each) == -higher.find_gain(each)  # type: ignore[operator]

    def test_version_without_a_score_leaves_the_next_gains_unknown(self, merged: World):
        report, found = collect(merged)
        scored = [
            replace(score(each), scores=Scores(), problem="failed")
            if each.current and each.round == 1
            else score(each)
            for each in found
        ]
        compared = Reevaluation(report.history, HIGHER, scored)
        known = {each.round for each in scored if compared.find_gain(each) is not None}
        assert known == {0, 1, 3}  # the proposals of round 1 have gains, its mean has none
        assert [problem for _, problem in compared.problems] == ["failed"]

    def test_rejected_round_keeps_the_weights(self, tmp_path: Path):
        world = play(tmp_path, "local", "open", approval_bps=10_000, rounds=6)
        report, found = collect(world)
        compared = Reevaluation(report.history, HIGHER, [score(each) for each in found])
        last = compared.weights[-1]
        assert not last.accepted
        accepted = [e.scores.vote_score for e in compared.weights if e.current]
        assert last.scores.vote_score is not None
        assert compared.find_gain(last) == last.scores.vote_score - accepted[-1]  # type: ignore[operator]

    def test_json_names_proposers_and_outcomes(self, merged: World):
        report, found = collect(merged)
        document = Reevaluation(report.history, HIGHER, [score(e) for e in found]).to_dict()
        assert document["score"] == {"name": "closeness", "higher_is_better": True}
        first, *_, last = document["weights"]
        assert (first["round"], first["proposers"], first["gain"]) == (None, [], None)
        assert last["slots"] == [0, 1, 2]
        slots = report.history.rounds[3].round.slots
        assert last["proposers"] == [slot.proposer for slot in slots]
        assert last["content"]["sha256"] == report.weights[3].sha256
        assert last["current"]

    def test_table_fits_into_its_width(self, merged: World):
        report, found = collect(merged)
        compared = Reevaluation(report.history, HIGHER, [score(each) for each in found])
        for width in (40, 80):
            lines = [line.plain for line in compared.draw_lines(width=width)]
            assert max(map(len, lines)) <= width
        text = "\n".join(line.plain for line in compared.draw_lines())
        assert "mean of 3  current   0x" in text
        assert text.count("accepted") == 12
        assert "There are no weights" in "".join(
            line.plain for line in Reevaluation(report.history, HIGHER, []).draw_lines()
        )


class TestPlot:
    def test_each_proposal_has_its_own_number(self, merged: World):
        report, found = collect(merged)
        compared = Reevaluation(report.history, HIGHER, [score(each) for each in found])
        _, cells = compared.plot().figure.axes
        assert len(cells.texts) == 12
        assert "Beside a name" in cells.get_xlabel()
        numbers = [text.get_text() for text in cells.texts]
        gains = [compared.find_gain(e) for e in compared.weights if len(e.slots) == 1]
        assert numbers == [f"{gain:+.2g}" for gain in gains]

    def test_merged_proposals_share_the_number_of_their_mean(self, merged: World):
        report, found = collect(merged)
        scored = [score(each) for each in found if each.current]
        compared = Reevaluation(report.history, HIGHER, scored)
        scores, cells = compared.plot().figure.axes
        assert [text.get_text() for text in cells.texts][:3] == [
            f"{compared.find_gain(scored[1]):+.2g}"
        ] * 3
        assert "that were merged have the number of their mean" in cells.get_xlabel()
        line = next(line for line in scores.lines if line.get_label() == "the group's model")
        expected = [each.scores.vote_score for each in scored]
        assert list(line.get_ydata()) == [*expected, expected[-1]]

    def test_unknown_scores_are_drawn_as_unknown(self, merged: World):
        report, found = collect(merged)
        scored = [replace(score(each), scores=Scores(), problem="failed") for each in found]
        plot = Reevaluation(report.history, HIGHER, scored).plot()
        assert {text.get_text() for text in plot.figure.axes[1].texts} == {"?"}
        assert plot.to_png().startswith(b"\x89PNG")

    def test_proposer_that_never_joined_is_left_out(self, merged: World):
        report, found = collect(merged)
        first, *others = report.history.rounds
        slots = [replace(slot, proposer=Account("0x00")) for slot in first.round.slots]
        lied = replace(first, round=replace(first.round, slots=tuple(slots)))
        history = replace(report.history, rounds=(lied, *others))
        plot = Reevaluation(history, HIGHER, [score(each) for each in found]).plot()
        assert len(plot.figure.axes[1].texts) == 9

    def test_experiment_without_rounds_can_be_drawn(self, merged: World):
        report, _ = collect(merged)
        empty = replace(report.history, rounds=())
        assert Reevaluation(empty, HIGHER, []).plot().to_svg()
