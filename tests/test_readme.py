"""The Python blocks of the README run in order and unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.doc_blocks import ROOT, Runner, read_blocks

README = ROOT / "README.md"


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in read_blocks(README) if block.language == "python"]
    runner = Runner(tmp_path)
    for block in blocks:
        runner.run(block)
    assert len(blocks) == 2
    assert (tmp_path / "rounds.png").exists()
    assert len(runner.names["results"].data) == 4  # type: ignore[attr-defined]
