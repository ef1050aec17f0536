"""The bench of the demo's defaults: its cells and tables."""

from __future__ import annotations

import argparse

import pytest

from bench.plural import Cell, Measured, Way, format_means, make_cells, measure
from colearn_ledger.spec import VoteRule

WAY = Way(2, 0.25, VoteRule.LEAVE_ONE_OUT)


def test_way_is_read_as_it_is_written():
    assert Way.parse("2,0.25,leave-one-out") == WAY
    assert str(WAY) == "2 at 0.25, leave-one-out"
    for wrong in ("2,0.25", "two,0.25,leave-one-out", "2,0.25,majority"):
        with pytest.raises(ValueError):  # noqa: PT011 - argparse shows its own message
            Way.parse(wrong)


def test_trees_have_no_fedavg_and_models_learn_what_they_can():
    options = argparse.Namespace(
        seeds=[1], datasets=["iris", "diabetes"], models=["linear", "forest"], rounds=2, ways=[WAY]
    )
    assert [(cell.task, str(cell.way)) for cell in make_cells(options)] == [
        ("iris, forest", "2 at 0.25, leave-one-out"),
        ("diabetes, linear", "2 at 0.25, leave-one-out"),
        ("diabetes, linear", "FedAvg"),
        ("diabetes, forest", "2 at 0.25, leave-one-out"),
    ]


def test_experiments_and_fedavg_are_measured():
    votes, fedavg = measure([Cell("iris", "logistic", 1, 2, way) for way in (WAY, Way(0))])
    assert (votes.proposed, fedavg.proposed) == (4, 10)
    assert 0 < votes.accepted <= 4
    assert votes.shown > 0.5
    assert fedavg.shown > 0.5


def test_table_has_means_over_the_seeds():
    def cell(seed: int, way: Way) -> Cell:
        return Cell("iris", "logistic", seed, 2, way)

    results = {
        cell(1, WAY): Measured(0.5, 1.0, 1, 4),
        cell(2, WAY): Measured(0.75, 1.0, 1, 4),
        cell(1, Way(0)): Measured(0.875, 1.0, 10, 10),
    }
    assert format_means(results, lambda found: found.shown).splitlines()[2:] == [
        "| iris, logistic | 0.625 | 0.875 |"
    ]
