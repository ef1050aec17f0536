"""The bench of audits: it makes its experiments once, and shows where the time goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import long_experiments
from bench.audit import main

STAGES = (
    *("reading events", "reading rounds and ballots", "reading transactions", "replaying events"),
    *("checking files", "in all", "second implementation"),
)


@pytest.mark.parametrize(
    ("size", "title"),
    [
        (("9", "3", "1"), "9 rounds, 3 learners, 60 events"),
        (("1", "101", "2"), "1 rounds, 101 learners, 210 events"),
    ],
    ids=["sent", "signed"],
)
def test_experiment_is_made_once_and_audited_by_both(
    size: tuple[str, str, str],
    title: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    rounds, learners, proposers = size
    options = ["--rounds", rounds, "--learners", learners, "--proposers", proposers]
    main([*options, "--folder", str(tmp_path)])
    table = capsys.readouterr().out
    assert title in table
    assert all(stage in table for stage in STAGES)
    monkeypatch.delattr(long_experiments, "_Maker")
    main([*options, "--folder", str(tmp_path)])
    assert title in capsys.readouterr().out


def test_sizes_of_different_lengths_are_refused():
    with pytest.raises(SystemExit, match="as many numbers"):
        main(["--rounds", "1", "--learners", "3", "4"])
