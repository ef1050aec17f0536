"""Finding and installing, with npm and go played by scripts: no network, no minutes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import colearn_localnet.install
import colearn_localnet.recipes
from colearn_localnet.errors import InstallFailed
from colearn_localnet.install import (
    ANVIL_VERSION,
    KUBO_VERSION,
    WASMD_VERSION,
    anvil_binary,
    kubo_binary,
    nodes_folder,
    wasmd_binary,
)

PINS = Path(__file__).parents[2] / "localnet" / "pins"

NPM = f"""#!/bin/sh
echo called >> "$CALLS"
/bin/sleep 0.3
home=node_modules/@foundry-rs/anvil-linux-amd64/bin
/bin/mkdir -p $home
printf '#!/bin/sh\\necho anvil Version: {ANVIL_VERSION}\\n' > $home/anvil
"""

GO = f"""#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
*kubo*)
    printf '#!/bin/sh\\necho ipfs version {KUBO_VERSION}\\n' > ipfs
    /bin/chmod +x ipfs ;;
*cmd/wasmd*)
    printf '#!/bin/sh\\necho {WASMD_VERSION}\\n' > wasmd
    /bin/chmod +x wasmd
    echo "$CGO_LDFLAGS" >> "$CALLS" ;;
*wasmvm*)
    echo go: downloading something >&2
    /bin/mkdir -p module/internal/api
    echo the VM > module/internal/api/$VM
    echo $PWD/module ;;
esac
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

    def test_wasmd_needs_a_c_compiler_too(self, tools: Path):
        put(tools, "go", GO)
        with pytest.raises(InstallFailed, match=r"install it gcc is missing\. A C compiler"):
            wasmd_binary()

    def test_is_named_by_the_script_in_one_line(self, tools: Path):
        script = Path(__file__).parents[2] / "scripts" / "install_nodes.py"
        run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
        assert run.returncode == 1
        named = [line.split()[1] for line in run.stderr.splitlines()]
        assert named == ["anvil", "kubo", "wasmd", "toxiproxy"]


class TestInstalling:
    @pytest.fixture(autouse=True)
    def the_tools_are_here(self, tools: Path):
        put(tools, "node", speaking("v20.0.0"))
        put(tools, "npm", NPM)
        put(tools, "go", GO)
        put(tools, "gcc", speaking("gcc 12"))

    def test_happens_once(self, tmp_path: Path, said: list[str]):
        binary = anvil_binary(say=said.append)
        assert binary == nodes_folder() / f"anvil-{ANVIL_VERSION}" / "anvil"
        assert anvil_binary(say=said.append) == binary
        assert (tmp_path / "calls").read_text() == "called\n"
        assert [line.split()[0] for line in said] == ["installing", "anvil", "anvil"]

    def test_builds_kubo_from_the_pinned_sources(self, tmp_path: Path):
        assert kubo_binary() == nodes_folder() / f"kubo-{KUBO_VERSION}" / "ipfs"
        assert "-mod=readonly" in (tmp_path / "calls").read_text()

    def test_builds_wasmd_with_its_vm_beside_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """The binary looks for the VM where it lies itself, wherever that is."""
        vm = colearn_localnet.recipes._vm_library()
        monkeypatch.setenv("VM", vm)
        home = nodes_folder() / f"wasmd-{WASMD_VERSION}"
        assert wasmd_binary() == home / "wasmd"
        assert (home / vm).read_text() == "the VM\n"
        calls = (tmp_path / "calls").read_text()
        assert "-mod=readonly" in calls
        assert f"cosmos-sdk/version.Version={WASMD_VERSION} " in calls
        assert "-Wl,-rpath,$ORIGIN\n" in calls

    def test_of_wasmd_without_its_vm_is_refused(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("VM", "libwasmvm.of_another_machine.so")
        with pytest.raises(InstallFailed, match="wasmd could not be installed: wasmvm has no lib"):
            wasmd_binary()

    def test_says_how_far_a_long_build_is(
        self, tools: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(colearn_localnet.recipes, "_PROGRESS_EVERY", 0.05)
        put(tools, "npm", "#!/bin/sh\necho one\necho two\n" + "/bin/sleep 0.5\n" + NPM)
        anvil_binary(say=said.append)
        assert any("2 steps done, at two" in line for line in said[1:-1])

    def test_that_is_interrupted_ends_the_build_and_leaves_nothing(
        self, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(colearn_localnet.recipes, "_PROGRESS_EVERY", 0.05)
        put(tools, "npm", f"#!/bin/sh\necho $$ > {tmp_path / 'pid'}\nexec /bin/sleep 600\n")

        def interrupted(line: str) -> None:
            if "steps done" in line and (tmp_path / "pid").exists():
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            anvil_binary(say=interrupted)
        assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
        assert [p.name for p in nodes_folder().iterdir()] == ["anvil.lock"]

    def test_by_two_processes_at_once_happens_once(self, tmp_path: Path):
        program = (
            "from colearn_localnet.install import anvil_binary; print(anvil_binary(say=print))"
        )
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

    def test_wasmd_is_the_version_that_is_said_and_its_sources_are_hashed(self):
        module = (PINS / "wasmd" / "go.mod").read_text()
        sums = (PINS / "wasmd" / "go.sum").read_text()
        assert f"github.com/CosmWasm/wasmd v{WASMD_VERSION} " in module
        vm = re.search(r"github.com/CosmWasm/wasmvm/v3 (v\S+)", module)
        assert vm is not None
        for name, version in (("wasmd", f"v{WASMD_VERSION}"), ("wasmvm/v3", vm[1])):
            assert f"github.com/CosmWasm/{name} {version} h1:" in sums

    @pytest.mark.parametrize(
        "name",
        [
            *("anvil/package.json", "anvil/package-lock.json"),
            *("kubo/go.mod", "kubo/go.sum", "wasmd/go.mod", "wasmd/go.sum"),
        ],
    )
    def test_hold_no_download_address(self, name: str):
        text = (PINS / name).read_text()
        assert "http:" not in text
        assert "https:" not in text
        assert '"resolved"' not in text
