"""The Python code and the commands of the README run in order and unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doc_blocks import DOCS, ROOT, Block, Runner, read_blocks

README = ROOT / "README.md"


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.chdir(tmp_path)
    found = Runner(tmp_path)
    yield found
    found.stop_nodes()


def list_blocks(language: str) -> list[Block]:
    return [block for block in read_blocks(README) if block.language == language]


def list_commands(blocks: list[Block]) -> list[str]:
    return [line for block in blocks for line in block.body.splitlines()]


def test_blocks_run(runner: Runner):
    for block in read_blocks(README):
        if block.runs:
            runner.run(block)
    assert len(list_blocks("python")) == 2
    assert "10 of 10 rounds, 3 learners" in runner.output
    for name in ("rounds.html", "model.safetensors", "rounds.png"):
        assert (runner.folder / name).stat().st_size > 0


def test_model_of_own_records_takes_ten_commands():
    [walk] = list_blocks("sh")
    assert len(list_commands([walk])) == 10
    assert max(map(len, list_commands([walk]))) <= 100


def test_guide_to_testnets_has_the_same_commands_in_the_same_order():
    lines = iter(list_commands(read_blocks(DOCS / "testnet.md")))
    assert [line for line in list_commands(list_blocks("sh")) if line not in lines] == []
