"""Every code block of the documentation runs, or is listed here as one that cannot."""

from __future__ import annotations

import os
import re
import select
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doc_blocks import DOCS, NOT_RUN, SHOWN, Block, Runner, blocks_of, pages

PARSED = "cli.md"
"""Page whose commands need many machines; test_cli_docs.py parses them, other tests run them."""

BLOCKS = {str(p.relative_to(DOCS)): blocks_of(p) for p in pages()}
RUN = [name for name, found in BLOCKS.items() if name != PARSED and any(b.runs for b in found)]

BENCHES = ("accuracy.md",)
"""Pages of figures; their commands show how long runs of bench/ were started."""

LEFT_OUT = {
    "installation.md": 2,
    "operating.md": 1,
    "remote.md": 2,
    "testnet.md": 1,
}
"""Number of blocks per page that are not run: other machines, make, public chains."""

PRODUCED = {
    "quickstart.md": ("rounds.png", "runs/first/history.json"),
    "testnet.md": ("model.safetensors", "model.onnx"),
}
"""Files that exist once all blocks of a page have run."""

SAID = {
    "testnet.md": ("completed", "accepted", "carried", "cosmos:colearn-local:wasm1"),
    "tutorials/numpy.md": ("another-process-agrees",),
}
"""Part of what a page's commands print."""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    found = Runner(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("COLEARN_HOME", "COLEARN_LOCALNET"):
        monkeypatch.setenv(name, found.environment[name])
    modules = set(sys.modules)
    yield found
    for name in {b.title.removesuffix(".py") for blocks in BLOCKS.values() for b in blocks}:
        if name not in modules:
            sys.modules.pop(name, None)
    found.take_down()


@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run_in_order(page: str, runner: Runner):
    for block in BLOCKS[page]:
        runner.run(block)
    for name in PRODUCED.get(page, ()):
        assert (runner.folder / name).stat().st_size > 0, name
    assert not [text for text in SAID.get(page, ()) if text not in runner.output]


def every() -> list[Block]:
    return [block for found in BLOCKS.values() for block in found]


def test_no_block_is_left_out_silently():
    blocks = [block for block in every() if block.page not in BENCHES]
    left_out = Counter(block.page for block in blocks if block.title == NOT_RUN)
    assert dict(left_out) == LEFT_OUT
    written_or_run = [
        block
        for block in blocks
        if block.language not in SHOWN and not block.runs and block.title != NOT_RUN
    ]
    assert not [b for b in written_or_run if not b.title], "a language that nothing runs"


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_every_fence_is_one_that_the_runner_sees(path: Path):
    fences = re.findall(r"^[ \t>]*(?:```|~~~)", path.read_text(), re.MULTILINE)
    assert len(fences) == 2 * len(blocks_of(path))


def test_pages_of_figures_start_benches_only():
    for block in every():
        if block.page in BENCHES:
            script = re.search(r"bench/\w+\.py", block.body)
            assert script
            assert (DOCS.parent / script[0]).is_file()


def test_commands_are_in_blocks_that_run():
    hidden = [
        b for b in every() if b.language in SHOWN and re.search(r"^\$? ?colearn ", b.body, re.M)
    ]
    assert not [f"{b.page}:{b.line}" for b in hidden]


class TestTheRunner:
    def test_stops_at_a_command_that_fails(self, runner: Runner):
        with pytest.raises(AssertionError, match="ended with 3"):
            runner.shell("(exit 3)\ntouch later", "here")
        assert not Path("later").exists()

    def test_fails_where_a_pipe_fails(self, runner: Runner):
        with pytest.raises(AssertionError, match="ended with 1"):
            runner.shell("false | true", "here")

    def test_leaves_no_process_behind(self, runner: Runner):
        runner.shell("sleep 3600 & echo $! > pid", "here")
        try:
            process = os.pidfd_open(int(Path("pid").read_text()))
        except ProcessLookupError:
            return  # the process is gone and reaped
        try:
            assert select.select([process], [], [], 120)[0], "still there"
        finally:
            os.close(process)

    def test_names_the_line_of_the_page(self, runner: Runner):
        with pytest.raises(ZeroDivisionError) as caught:
            runner.run(Block("page.md", 7, "python", "", "a = 0\n1 / a\n"))
        assert caught.traceback[-1].lineno == 7  # counted from 0

    def test_keeps_names_for_the_next_block(self, runner: Runner):
        runner.run(Block("page.md", 1, "python", "", "a = 1\n"))
        runner.run(Block("page.md", 5, "python", "", "assert a == 1\n"))

    def test_writes_files_for_the_next_block(self, runner: Runner):
        runner.run(Block("page.md", 1, "python", "made_by_a_page.py", "b = 2\n"))
        runner.run(Block("page.md", 5, "sh", "", "grep -q 'b = 2' made_by_a_page.py"))
