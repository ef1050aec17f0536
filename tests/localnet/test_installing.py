"""Finding and installing, with npm and go played by scripts: no network, no minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import localnet.installing
from localnet.errors import InstallFailed
from localnet.installing import (
    ANVIL_VERSION,
    KUBO_VERSION,
    anvil_binary,
    kubo_binary,
    nodes_folder,
)

PINS = Path(localnet.installing.__file__).parent / "pins"

NPM = f"""#!/bin/sh
echo called >> "$CALLS"
/bin/sleep 0.3
home=node_modules/@foundry-rs/anvil-linux-amd64/bin
/bin/mkdir -p $home
printf '#!/bin/sh\\necho anvil Version: {ANVIL_VERSION}\\n' > $home/anvil
"""

GO = f"""#!/bin/sh
echo "$@" >> "$CALLS"
printf '#!/bin/sh\\necho ipfs version {KUBO_VERSION}\\n' > ipfs
/bin/chmod +x ipfs
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; the cache is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def speaking(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


class TestOnPath:
    @pytest.mark.parametrize(
        "version",
        [f"anvil Version: {ANVIL_VERSION}", "anvil Version: 1.10.0", "anvil 2.0.0-nightly"],
    )
    def test_a_right_or_newer_one_is_taken(self, tools: Path, said: list[str], version: str):
        put(tools, "anvil", speaking(version))
        assert anvil_binary(say=said.append) == tools / "anvil"
        assert str(tools / "anvil") in said[0]

    @pytest.mark.parametrize("version", ["anvil Version: 1.7.0", "anvil 0.2.0 (f625d0f)", "what?"])
    def test_an_older_one_is_not_and_why_is_said(self, tools: Path, said: list[str], version: str):
        put(tools, "anvil", speaking(version))
        with pytest.raises(InstallFailed):
            anvil_binary(say=said.append)
        assert f"{ANVIL_VERSION} is needed: not taken" in said[0]

    def test_one_that_fails_is_not_taken(self, tools: Path):
        put(tools, "ipfs", f"#!/bin/sh\necho ipfs version {KUBO_VERSION}\nexit 3\n")
        with pytest.raises(InstallFailed):
            kubo_binary()


class TestAMissingTool:
    def test_anvil_needs_node_and_npm(self, tools: Path):
        with pytest.raises(InstallFailed, match=r"node and npm is missing.*apt-get install nodejs"):
            anvil_binary()

    def test_npm_alone_may_be_missing(self, tools: Path):
        put(tools, "node", speaking("v20.0.0"))
        with pytest.raises(InstallFailed, match=r"install it npm is missing\. npm comes with"):
            anvil_binary()

    def test_kubo_needs_go(self, tools: Path):
        with pytest.raises(InstallFailed, match=r"kubo .* not on PATH .*go is missing\. Go 1\.26"):
            kubo_binary()

    def test_is_named_by_the_script_in_one_line(self, tools: Path):
        script = Path(__file__).parents[2] / "scripts" / "install_nodes.py"
        run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
        assert run.returncode == 1
        assert [line.split()[1] for line in run.stderr.splitlines()] == ["anvil", "kubo"]


class TestInstalling:
    @pytest.fixture(autouse=True)
    def the_tools_are_here(self, tools: Path):
        put(tools, "node", speaking("v20.0.0"))
        put(tools, "npm", NPM)
        put(tools, "go", GO)

    def test_happens_once(self, tmp_path: Path, said: list[str]):
        binary = anvil_binary(say=said.append)
        assert binary == nodes_folder() / f"anvil-{ANVIL_VERSION}" / "anvil"
        assert anvil_binary(say=said.append) == binary
        assert (tmp_path / "calls").read_text() == "called\n"
        assert [line.split()[0] for line in said] == ["installing", "anvil", "anvil"]

    def test_builds_kubo_from_the_pinned_sources(self, tmp_path: Path):
        assert kubo_binary() == nodes_folder() / f"kubo-{KUBO_VERSION}" / "ipfs"
        assert "-mod=readonly" in (tmp_path / "calls").read_text()

    def test_by_two_processes_at_once_happens_once(self, tmp_path: Path):
        program = "from localnet.installing import anvil_binary; print(anvil_binary(say=print))"
        runs = [
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        answers = {run.communicate()[0].splitlines()[-1] for run in runs}
        assert answers == {str(nodes_folder() / f"anvil-{ANVIL_VERSION}" / "anvil")}
        assert (tmp_path / "calls").read_text() == "called\n"

    def test_leaves_nothing_and_tells_the_reason_when_it_fails(self, tools: Path):
        put(tools, "npm", "#!/bin/sh\necho the registry is closed today\nexit 7\n")
        with pytest.raises(InstallFailed, match=r"status 7:\n  the registry is closed today"):
            anvil_binary()
        assert [p.name for p in nodes_folder().iterdir()] == ["anvil.lock"]
        put(tools, "npm", NPM)
        assert anvil_binary().is_file()

    def test_of_another_version_than_the_pinned_one_is_refused(self, tools: Path):
        put(tools, "npm", NPM.replace(ANVIL_VERSION, "1.7.0"))
        with pytest.raises(InstallFailed, match=r"says that it is 1\.7\.0"):
            anvil_binary()

    def test_on_a_machine_that_npm_has_no_binary_for_is_refused(self, tools: Path):
        put(tools, "npm", "#!/bin/sh\nexit 0\n")
        with pytest.raises(InstallFailed, match="npm has no anvil"):
            anvil_binary()

    def test_clears_what_a_killed_installation_left(self):
        left = nodes_folder() / ".anvil-abc"
        left.mkdir(parents=True)
        anvil_binary()
        assert not left.exists()

    def test_into_a_cache_that_can_not_be_written_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        with pytest.raises(InstallFailed, match="set XDG_CACHE_HOME"):
            anvil_binary()


class TestThePins:
    def test_anvil_is_the_version_that_is_said(self):
        package = json.loads((PINS / "anvil" / "package.json").read_text())
        lock = json.loads((PINS / "anvil" / "package-lock.json").read_text())["packages"]
        assert package["dependencies"] == {"@foundry-rs/anvil": ANVIL_VERSION}
        binaries = [entry for name, entry in lock.items() if "anvil-" in name]
        assert len(binaries) == 5
        assert {entry["version"] for entry in binaries} == {ANVIL_VERSION}
        assert all(entry["integrity"].startswith("sha512-") for entry in binaries)

    def test_kubo_is_the_version_that_is_said(self):
        module = (PINS / "kubo" / "go.mod").read_text()
        assert f"github.com/ipfs/kubo v{KUBO_VERSION} " in module
        assert "replace" not in module

    @pytest.mark.parametrize(
        "name", ["anvil/package.json", "anvil/package-lock.json", "kubo/go.mod", "kubo/go.sum"]
    )
    def test_hold_no_download_address(self, name: str):
        text = (PINS / name).read_text()
        assert "http:" not in text
        assert "https:" not in text
        assert '"resolved"' not in text
