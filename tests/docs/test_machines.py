"""The tutorial of three organisations runs on machines that share only a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from colearn_localnet.anvil import ANVIL
from colearn_localnet.install import KUBO, find_binary
from tests.support.doc_blocks import DOCS, Block, read_blocks
from tests.support.doc_machines import Machines
from tests.support.faults.hosts import Hosts, can_create_hosts

PAGE = read_blocks(DOCS / "tutorials" / "own-csv.md")
CLINICS = ("north", "south", "west")
ADDRESSES = {name: f"192.0.2.{number}" for number, name in enumerate(("chain", *CLINICS), 10)}


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    if not can_create_hosts():
        pytest.skip("network namespaces need root and the program ip")
    tools = [find_binary(recipe).parent for recipe in (ANVIL, KUBO)]
    with Hosts(*ADDRESSES) as hosts:
        made = Machines(tmp_path, hosts, ADDRESSES, owners=CLINICS, tools=tools)
        try:
            yield made
        finally:
            made.stop()


def test_three_organisations_train_one_model_from_their_own_files(machines: Machines):
    for block in PAGE:
        machines.run(block)
    assert "the model is right about" in machines.runners["west"].output
    for name in CLINICS:
        assert "proposed: log loss" in machines.runners[name].output


def test_machines_have_their_own_loopback_and_files(machines: Machines):
    def run(machine: str, script: str) -> None:
        machines.run(Block("page.md", 1, "sh", f"on {machine}", script))

    run(
        "north",
        "python -m http.server --bind 127.0.0.1 8000 & until curl -s 127.0.0.1:8000; do :; done",
    )
    run("north", "curl -s 127.0.0.1:8000; touch mine exchange/ours")
    run("south", "! curl -s 127.0.0.1:8000; test ! -e mine; test -e exchange/ours")
