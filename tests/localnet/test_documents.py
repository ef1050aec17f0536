"""docs/localnet.md and compose.yaml agree with the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from colearn_learner.cli import main
from colearn_localnet.install import ANVIL, KUBO
from colearn_localnet.wasmd_releases import RELEASES

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "localnet.md").read_text()
COMPOSE = (ROOT / "localnet" / "compose.yaml").read_text()
COMMANDS = re.findall(r"^colearn (localnet [^#\n]+)", DOCUMENT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_documented_command_exists(command: str):
    words = shlex.split(command)
    shown = CliRunner().invoke(main, [*words[:2], "--help"], prog_name="colearn")
    assert shown.exit_code == 0
    assert all(word in shown.stdout for word in words if word.startswith("--"))


def test_documented_programs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node_binaries: None, wasmd_binary: None
):
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(programs) == 2
    for program in programs:
        exec(compile(program, "docs/localnet.md", "exec"), {})


def test_documented_versions_are_the_installed_ones():
    assert f"| anvil | {ANVIL.version} |" in DOCUMENT
    assert f"| Kubo | {KUBO.version} |" in DOCUMENT
    assert f"| wasmd | {', '.join(r.version for r in RELEASES.values())} |" in DOCUMENT
    assert f"ipfs/kubo:v{KUBO.version}\n" in COMPOSE
    assert f"foundry-rs/foundry:v{ANVIL.version}\n" in COMPOSE


def test_compose_publishes_on_loopback_only():
    published = re.findall(r"ports: \[(.*)\]", COMPOSE)
    assert len(published) == 4
    assert all(
        re.fullmatch(r'"127\.0\.0\.1:\d+:\d+"', port)
        for line in published
        for port in line.split(", ")
    )
