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

from tests.support.chain_readers import find_commands, install_readers
from tests.support.doc_blocks import DOCS, NOT_RUN, SHOWN, Block, Runner, list_pages, read_blocks
from tests.support.installing import skip_if_not_installable

PARSED = "cli.md"
"""Page whose commands need many machines; test_cli_docs.py parses them, other tests run them."""

BLOCKS = {str(p.relative_to(DOCS)): read_blocks(p) for p in list_pages()}
RUN = [name for name, found in BLOCKS.items() if name != PARSED and any(b.runs for b in found)]

BENCHMARK_PAGES = ("accuracy.md",)
"""Pages of figures; their commands show how the long runs of bench/ were started."""

NOT_RUN_BLOCKS = {
    "audit.md": 5,
    "history.md": 6,
    "how-to/follow.md": 1,
    "how-to/leave.md": 1,
    "installation.md": 2,
    "operating.md": 1,
    "read-from-outside.md": 1,
    "remote.md": 2,
    "testnet.md": 1,
}
"""Number of blocks per page that are not run: other machines, make, public chains."""

CREATED_FILES = {
    "audit.md": ("audit.json", "gains.png", "out/statement.dsse.json"),
    "quickstart.md": ("rounds.png", "runs/first/history.json"),
    "how-to/follow.md": ("rounds.html", "rounds.csv"),
    "how-to/publish.md": ("release/model.onnx", "release/SHA256SUMS"),
    "testnet.md": ("model.safetensors", "model.onnx"),
}
"""Files that exist after all blocks of a page have run."""

PRINTED_TEXTS = {
    "audit.md": ("No findings.", "5 rounds", "The files fit together."),
    "how-to/add-a-party.md": ("running",),
    "how-to/follow.md": ("completed", "clinic"),
    "how-to/move.md": ("accepted",),
    "read-from-outside.md": (
        "quickstart has status 2",
        "0.6931471805599453",
        ": OK",
        "0n 0x",
        "0 ACCEPTED (0, 1, 2)",
        "0 wasm1",
        "quickstart is completed",
    ),
    "testnet.md": ("completed", "accepted", "carried", "cosmos:colearn-local:wasm1"),
    "tutorials/numpy.md": ("another-process-agrees",),
}
"""Part of what a page's commands print."""


_CONTRACT = """
export COLEARN_NETWORK=local-evm
colearn localnet up --ipfs 1 --keys owner,alice,bob,carol
colearn deploy --key owner
colearn learner new hospital.py --kind sklearn
sed -i 's/^rounds = .*/rounds = 5/' experiment.toml
"""
_EXPERIMENT = _CONTRACT + "colearn experiment create --spec experiment.toml --key owner\n"
_FINISHED_EXPERIMENT = (
    _EXPERIMENT
    + """
run_agent() {
    colearn agent run --experiment 1 --key $1 --learner hospital:make_learner \\
        --learner-arg learner=$2 --poll 0.2
}
run_agent alice 0 & run_agent bob 1 & run_agent carol 2 & wait
"""
)

PREPARATIONS = {
    "audit.md": _FINISHED_EXPERIMENT,
    "data-protection.md": _FINISHED_EXPERIMENT,
    "how-to/add-a-party.md": _CONTRACT,
    "how-to/follow.md": _FINISHED_EXPERIMENT,
    "how-to/leave.md": _EXPERIMENT,
    "how-to/move.md": _CONTRACT,
    "how-to/publish.md": _FINISHED_EXPERIMENT,
    "how-to/recover-a-key.md": "colearn key new alice\n",
    "how-to/windows.md": _CONTRACT,
}
"""What the reader of a page already has: a network, keys, a contract, perhaps an experiment."""


USE_CHAIN_READERS = ("read-from-outside.md",)
"""Pages whose commands are `cast` and `node` with ethers."""


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
    found.stop_nodes()


@pytest.mark.parametrize("page", RUN)
def test_blocks_of_a_page_run_in_order(page: str, runner: Runner):
    if page in USE_CHAIN_READERS:
        provide_chain_readers(runner)
    if page in PREPARATIONS:
        runner.run_script(PREPARATIONS[page], "the preparation")
    for block in BLOCKS[page]:
        runner.run(block)
    for name in CREATED_FILES.get(page, ()):
        assert (runner.folder / name).stat().st_size > 0, name
    assert not [text for text in PRINTED_TEXTS.get(page, ()) if text not in runner.output]


def provide_chain_readers(runner: Runner) -> None:
    with skip_if_not_installable():
        modules = install_readers()
    runner.tools = find_commands(modules)
    (runner.folder / "node_modules").symlink_to(modules)


def list_blocks() -> list[Block]:
    return [block for found in BLOCKS.values() for block in found]


def test_every_block_runs_or_is_listed_as_not_run():
    blocks = [block for block in list_blocks() if block.page not in BENCHMARK_PAGES]
    left_out = Counter(block.page for block in blocks if block.title == NOT_RUN)
    assert dict(left_out) == NOT_RUN_BLOCKS
    written_or_run = [
        block
        for block in blocks
        if block.language not in SHOWN and not block.runs and block.title != NOT_RUN
    ]
    assert not [b for b in written_or_run if not b.title], "a language that nothing runs"


@pytest.mark.parametrize("path", list_pages(), ids=lambda path: path.name)
def test_runner_finds_every_fenced_block(path: Path):
    fences = re.findall(r"^[ \t>]*(?:```|~~~)", path.read_text(), re.MULTILINE)
    assert len(fences) == 2 * len(read_blocks(path))


def test_pages_of_figures_run_only_benchmarks():
    for block in list_blocks():
        if block.page in BENCHMARK_PAGES:
            script = re.search(r"bench/\w+\.py", block.body)
            assert script
            assert (DOCS.parent / script[0]).is_file()


def test_commands_are_in_blocks_that_run():
    hidden = [
        b
        for b in list_blocks()
        if b.language in SHOWN and re.search(r"^\$? ?colearn ", b.body, re.M)
    ]
    assert not [f"{b.page}:{b.line}" for b in hidden]


class TestRunner:
    def test_script_stops_at_the_first_failed_command(self, runner: Runner):
        with pytest.raises(AssertionError, match="ended with 3"):
            runner.run_script("(exit 3)\ntouch later", "here")
        assert not Path("later").exists()

    def test_failed_command_in_a_pipe_fails_the_script(self, runner: Runner):
        with pytest.raises(AssertionError, match="ended with 1"):
            runner.run_script("false | true", "here")

    def test_script_leaves_no_process_running(self, runner: Runner):
        runner.run_script("sleep 3600 & echo $! > pid", "here")
        try:
            process = os.pidfd_open(int(Path("pid").read_text()))
        except ProcessLookupError:
            return  # the process is gone and reaped
        try:
            assert select.select([process], [], [], 120)[0], "the process still runs"
        finally:
            os.close(process)

    def test_traceback_has_the_line_number_of_the_page(self, runner: Runner):
        with pytest.raises(ZeroDivisionError) as caught:
            runner.run(Block("page.md", 7, "python", "", "a = 0\n1 / a\n"))
        assert caught.traceback[-1].lineno == 7  # counted from 0

    def test_next_block_can_use_earlier_names(self, runner: Runner):
        runner.run(Block("page.md", 1, "python", "", "a = 1\n"))
        runner.run(Block("page.md", 5, "python", "", "assert a == 1\n"))

    def test_next_script_can_use_exported_variables_and_functions(self, runner: Runner):
        runner.run_script("export A='b \"c'\ngreet() { echo hello $1; }\nunexported=1", "here")
        runner.run_script('test "$A" = \'b "c\'; test -z "${unexported-}"; greet you', "here")
        assert runner.output == "hello you\n"

    def test_next_block_can_use_written_files(self, runner: Runner):
        runner.run(Block("page.md", 1, "python", "made_by_a_page.py", "b = 2\n"))
        runner.run(Block("page.md", 5, "sh", "", "grep -q 'b = 2' made_by_a_page.py"))
