"""The cache of compiled Solidity that all checkouts share. A script stands in for forge."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, load_script

forge = load_script("forge")

FORGE = """#!/bin/sh
mkdir "$FOUNDRY_OUT" || exit 1
echo compiling > "$GATE"
read -r go < "$GATE"
mkdir -p "$FOUNDRY_CACHE_PATH"
echo "$FOUNDRY_OUT" > "$FOUNDRY_CACHE_PATH/list"
rmdir "$FOUNDRY_OUT"
"""
"""It fails if another one is at work in the same folder, and ends when the test lets it."""


def make_project(folder: Path) -> Path:
    """Make contracts/evm of a checkout, with two Solidity files."""
    (folder / "src").mkdir(parents=True)
    (folder / "test").mkdir()
    for name in forge.SETTINGS:
        (folder / name).write_text(name)
    (folder / "src" / "A.sol").write_text("contract A {}")
    (folder / "test" / "A.t.sol").write_text("contract ATest {}")
    return folder


def test_checkouts_with_the_same_sources_have_the_same_key(tmp_path: Path):
    one, other = make_project(tmp_path / "one"), make_project(tmp_path / "other")
    (other / "out").mkdir()
    (other / "out" / "A.json").write_text("compiled")
    assert forge.compute_key(one) == forge.compute_key(other)


@pytest.mark.parametrize("name", ["src/A.sol", "test/A.t.sol", "src/types/B.sol", *forge.SETTINGS])
def test_changed_file_changes_the_key(tmp_path: Path, name: str):
    project = make_project(tmp_path)
    before = forge.compute_key(project)
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("changed")
    assert forge.compute_key(project) != before


def test_renamed_file_changes_the_key(tmp_path: Path):
    project = make_project(tmp_path)
    before = forge.compute_key(project)
    (project / "src" / "A.sol").rename(project / "src" / "B.sol")
    assert forge.compute_key(project) != before


def test_folders_used_last_stay_in_the_cache(tmp_path: Path):
    for age in range(forge.KEPT + 2):
        folder = tmp_path / f"used-{age}-days-ago"
        (folder / "out").mkdir(parents=True)
        used = folder.stat().st_mtime - age * 86_400
        os.utime(folder, (used, used))
    oldest = f"used-{forge.KEPT + 1}-days-ago"
    assert forge.select_folder(tmp_path, oldest) == tmp_path / oldest
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {oldest, *(f"used-{age}-days-ago" for age in range(forge.KEPT - 1))}
    assert (tmp_path / oldest / "out").is_dir()


def test_second_process_waits_until_the_first_has_compiled(tmp_path: Path):
    evm = make_project(tmp_path / "checkout" / "contracts" / "evm")
    scripts = tmp_path / "checkout" / "scripts"
    scripts.mkdir()
    shutil.copy(ROOT / "scripts" / "forge.py", scripts)
    command = evm / "node_modules" / ".bin" / "forge"
    command.parent.mkdir(parents=True)
    command.write_text(FORGE)
    command.chmod(0o755)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "localnet")]),
        "GATE": str(gate),
    }

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "forge.py"],
            cwd=scripts,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    with start() as first:
        assert gate.read_text() == "compiling\n"
        with start() as second:
            assert second.stdout is not None
            line = second.stdout.readline()
            gate.write_text("go\n")
            first.wait()
            if "waiting" in line:
                assert gate.read_text() == "compiling\n"
                gate.write_text("go\n")
            second.wait()
    assert "waiting" in line
    assert (first.returncode, second.returncode) == (0, 0)
    [shared] = (tmp_path / "cache").rglob("list")
    own = tmp_path / "checkout" / "build" / "forge" / "list"
    assert own.read_text() == shared.read_text() == f"{shared.parents[1] / 'out'}\n"
