"""Find and install the nodes. Scripts stand in for npm and go, so no network is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from colearn_localnet import toolchains
from colearn_localnet.errors import InstallFailed
from colearn_localnet.install import ANVIL, KUBO, find_binary, find_installed, nodes_folder
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES, Release, vm_library

PINS = Path(__file__).parents[2] / "localnet" / "pins"

WASMD = RELEASES[DEFAULT_RELEASE].recipe
each_release = pytest.mark.parametrize("release", RELEASES.values(), ids=lambda r: r.name)

NPM = f"""#!/bin/sh
echo called >> "$CALLS"
/bin/sleep 0.3
home=node_modules/@foundry-rs/anvil-linux-amd64/bin
/bin/mkdir -p $home
printf '#!/bin/sh\\necho anvil Version: {ANVIL.version}\\n' > $home/anvil
"""

GO = f"""#!/bin/sh
[ "$1" = env ] && echo go{toolchains.GO.oldest} && exit
echo "$@" >> "$CALLS"
case "$*" in
*kubo*)
    printf '#!/bin/sh\\necho ipfs version {KUBO.version}\\n' > ipfs
    /bin/chmod +x ipfs ;;
*cmd/wasmd*)
    version=${{*#*version.Version=}}
    printf "#!/bin/sh\\necho ${{version%% *}}\\n" > wasmd
    /bin/chmod +x wasmd
    echo "$CGO_LDFLAGS" >> "$CALLS" ;;
*wasmvm*)
    echo go: downloading something >&2
    /bin/mkdir -p module/api module/internal/api
    echo the VM > module/$VM
    echo $PWD/module ;;
esac
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the only folder on PATH, with tools that tests overwrite; the cache is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    write_script(folder, "node", version_script("v20.0.0"))
    write_script(folder, "npm", NPM)
    write_script(folder, "go", GO)
    write_script(folder, "gcc", version_script("gcc 12"))
    return folder


@pytest.fixture
def lines() -> list[str]:
    """Return the list of reported lines, at first empty."""
    return []


def write_script(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def version_script(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


class TestBinaryOnPath:
    @pytest.mark.parametrize(
        "version",
        [f"anvil Version: {ANVIL.version}", "anvil Version: 1.10.0", "anvil 2.0.0-nightly"],
    )
    def test_pinned_or_newer_version_is_used(self, tools: Path, lines: list[str], version: str):
        write_script(tools, "anvil", version_script(version))
        assert find_binary(ANVIL, report=lines.append) == tools / "anvil"
        assert str(tools / "anvil") in lines[0]

    @pytest.mark.parametrize("version", ["anvil Version: 1.7.0", "anvil 0.2.0 (f625d0f)", "what?"])
    def test_older_version_is_not_used_and_the_reason_is_reported(
        self, tools: Path, lines: list[str], version: str
    ):
        write_script(tools, "anvil", version_script(version))
        assert find_binary(ANVIL, report=lines.append).is_relative_to(nodes_folder())
        assert f"{ANVIL.version} or newer is needed: not used" in lines[0]

    @pytest.mark.parametrize(
        ("version", "used"),
        [("0.26.9", []), ("0.27.0", ["0.27"]), ("0.27.5", ["0.27"]), ("0.70.4", ["0.70"])],
    )
    def test_wasmd_is_used_for_its_own_release_only(
        self, tools: Path, version: str, used: list[str]
    ):
        write_script(tools, "wasmd", version_script(version))
        found = [name for name, release in RELEASES.items() if find_installed(release.recipe)]
        assert found == used

    def test_failing_binary_is_not_used(self, tools: Path):
        write_script(tools, "ipfs", f"#!/bin/sh\necho ipfs version {KUBO.version}\nexit 3\n")
        assert find_binary(KUBO).is_relative_to(nodes_folder())


class TestMissingCompiler:
    def test_error_names_the_debian_packages(self, tools: Path):
        (tools / "gcc").unlink()
        with pytest.raises(InstallFailed, match=r"gcc is missing.*apt-get install gcc libc6-dev"):
            find_binary(WASMD)

    def test_installed_wasmd_needs_no_compiler(self, tools: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("VM", f"internal/api/{vm_library()}")
        binary = find_binary(WASMD)
        (tools / "gcc").unlink()
        assert find_binary(WASMD) == binary


class TestInstallation:
    def test_binary_is_installed_once(self, tools: Path, tmp_path: Path, lines: list[str]):
        binary = find_binary(ANVIL, report=lines.append)
        assert binary == nodes_folder() / f"anvil-{ANVIL.version}" / "anvil"
        assert find_binary(ANVIL, report=lines.append) == binary
        assert (tmp_path / "calls").read_text() == "called\n"
        assert [line.split()[0] for line in lines] == ["installing", "anvil", "anvil"]

    def test_kubo_is_built_from_pinned_sources(self, tools: Path, tmp_path: Path):
        assert find_binary(KUBO) == nodes_folder() / f"kubo-{KUBO.version}" / "ipfs"
        assert "-mod=readonly" in (tmp_path / "calls").read_text()

    @each_release
    def test_wasmd_is_built_with_its_vm_next_to_it(
        self, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: Release
    ):
        monkeypatch.setenv("VM", f"{release.vm_folder}/{vm_library()}")
        home = nodes_folder() / f"wasmd-{release.version}"
        assert find_binary(release.recipe) == home / "wasmd"
        assert (home / vm_library()).read_text() == "the VM\n"
        calls = (tmp_path / "calls").read_text()
        assert "-mod=readonly" in calls
        assert f"cosmos-sdk/version.Version={release.version} " in calls
        assert "-Wl,-rpath,$ORIGIN\n" in calls
        assert ("-checklinkname=0 " in calls) is (release.name == "0.27")
        assert calls.endswith(f"{release.vm}\n")

    def test_wasmd_without_its_vm_is_refused(self, tools: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("VM", "libwasmvm.of_another_machine.so")
        with pytest.raises(InstallFailed, match="wasmd could not be installed: wasmvm has no lib"):
            find_binary(WASMD)

    def test_progress_of_a_long_build_is_reported(
        self, tools: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(toolchains, "_PROGRESS_EVERY", 0.05)
        write_script(tools, "npm", "#!/bin/sh\necho one\necho two\n" + "/bin/sleep 0.5\n" + NPM)
        find_binary(ANVIL, report=lines.append)
        assert any("2 steps, now two" in line for line in lines[1:-1])

    def test_interrupt_ends_the_build_and_leaves_nothing(
        self, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(toolchains, "_PROGRESS_EVERY", 0.05)
        pid = tmp_path / "pid"
        write_script(tools, "npm", f"#!/bin/sh\necho $$ > {pid}\nexec /bin/sleep 600\n")

        def interrupt(line: str) -> None:
            if " steps" in line and pid.exists():
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            find_binary(ANVIL, report=interrupt)
        assert not Path("/proc", pid.read_text().strip()).exists()
        assert [p.name for p in nodes_folder().iterdir()] == ["anvil.lock"]

    def test_three_processes_at_once_install_once(self, tools: Path, tmp_path: Path):
        program = (
            "from colearn_localnet.install import ANVIL, find_binary;"
            "print(find_binary(ANVIL, report=print))"
        )
        runs = [
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        answers = {run.communicate()[0].splitlines()[-1] for run in runs}
        assert answers == {str(nodes_folder() / f"anvil-{ANVIL.version}" / "anvil")}
        assert (tmp_path / "calls").read_text() == "called\n"

    def test_failure_shows_the_output_and_leaves_nothing(self, tools: Path):
        write_script(tools, "npm", "#!/bin/sh\necho the registry is closed today\nexit 7\n")
        with pytest.raises(InstallFailed, match=r"status 7:\n  the registry is closed today"):
            find_binary(ANVIL)
        assert [p.name for p in nodes_folder().iterdir()] == ["anvil.lock"]
        write_script(tools, "npm", NPM)
        assert find_binary(ANVIL).is_file()

    def test_other_version_than_the_pinned_one_is_refused(self, tools: Path):
        write_script(tools, "npm", NPM.replace(ANVIL.version, "1.7.0"))
        with pytest.raises(InstallFailed, match=r"reports version 1\.7\.0 instead of"):
            find_binary(ANVIL)

    def test_machine_without_a_binary_in_npm_is_refused(self, tools: Path):
        write_script(tools, "npm", "#!/bin/sh\nexit 0\n")
        with pytest.raises(InstallFailed, match="npm has no anvil"):
            find_binary(ANVIL)

    def test_leftovers_of_a_killed_installation_are_removed(self, tools: Path):
        leftover = nodes_folder() / ".anvil-abc"
        leftover.mkdir(parents=True)
        find_binary(ANVIL)
        assert not leftover.exists()

    def test_unwritable_cache_folder_is_reported(
        self, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        with pytest.raises(InstallFailed, match="set XDG_CACHE_HOME"):
            find_binary(ANVIL)


class TestPins:
    def test_anvil_packages_have_the_recipe_s_version_and_a_hash(self):
        package = json.loads((PINS / "anvil" / "package.json").read_text())
        lock = json.loads((PINS / "anvil" / "package-lock.json").read_text())["packages"]
        assert package["dependencies"] == {"@foundry-rs/anvil": ANVIL.version}
        binaries = [entry for name, entry in lock.items() if "anvil-" in name]
        assert len(binaries) == 5
        assert {entry["version"] for entry in binaries} == {ANVIL.version}
        assert all(entry["integrity"].startswith("sha512-") for entry in binaries)

    def test_kubo_module_has_the_recipe_s_version(self):
        module = (PINS / "kubo" / "go.mod").read_text()
        assert f"github.com/ipfs/kubo v{KUBO.version} " in module
        assert "replace" not in module

    @each_release
    def test_wasmd_modules_have_the_release_s_version_and_a_hash(self, release: Release):
        module, sums = (file.read_text() for file in release.recipe.pins)
        assert release.version.startswith(f"{release.name}.")
        vm = re.search(rf"{release.vm} (v\S+)", module)
        assert vm is not None
        for name, version in (
            ("github.com/CosmWasm/wasmd", f"v{release.version}"),
            (release.vm, vm[1]),
        ):
            assert f"{name} {version} " in module
            assert f"{name} {version} h1:" in sums

    def test_oldest_wasmd_has_the_grpc_and_codec_that_its_own_module_demands(self):
        """Go ignores the replacements in the modules of dependencies."""
        module = RELEASES["0.27"].recipe.pins[0].read_text()
        assert "google.golang.org/grpc => google.golang.org/grpc v1.33.2\n" in module
        assert "gogo/protobuf => github.com/regen-network/protobuf v1.3.3-alpha.regen.1" in module

    def test_oldest_go_is_the_newest_that_a_module_needs(self):
        needed = [
            re.search(r"^go (\S+)$", path.read_text(), re.MULTILINE)[1]
            for path in PINS.glob("*/go.mod")
        ]
        assert max(needed, key=toolchains.version_key) == toolchains.GO.oldest

    @pytest.mark.parametrize("tool", [toolchains.NODE, toolchains.GO], ids=lambda tool: tool.name)
    def test_toolchain_has_its_version_and_hashes(self, tool: toolchains.Toolchain):
        first, *hashes = (PINS / tool.name / "requirements.txt").read_text().splitlines()
        assert first.split()[0].endswith(f"=={tool.version}")
        assert len(hashes) == 4
        assert all("--hash=sha256:" in line for line in hashes)

    @pytest.mark.parametrize(
        "path", sorted(PINS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
    )
    def test_no_file_names_a_download_address(self, path: Path):
        text = path.read_text()
        assert "http:" not in text
        assert "https:" not in text
        assert '"resolved"' not in text
