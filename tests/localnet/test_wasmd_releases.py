"""The releases of wasmd: how a genesis is made for each, and chains of the old ones."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_localnet.cosmos import CosmosChain
from colearn_localnet.cosmos_genesis import create_chain, release_of
from colearn_localnet.errors import NetStateError, SettingsRefused
from colearn_localnet.install import find_binary
from colearn_localnet.net import Localnet
from colearn_localnet.processes import wait_until
from colearn_localnet.records import CosmosSettings, Settings
from colearn_localnet.rpc import json_rpc
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES, Release
from tests.support.installing import skip_if_not_installable
from tests.support.waiting import LIMIT

SOMEONE = "wasm1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnf2q0cj"

OLD_RELEASES = [name for name in RELEASES if name != DEFAULT_RELEASE]

BLOCK_PARAMS = {
    "0.27": {"max_bytes": "22020096", "max_gas": "-1", "time_iota_ms": "1000"},
    "0.61": {"max_bytes": "4194304", "max_gas": "-1"},
    "0.70": {"max_bytes": "4194304", "max_gas": "-1"},
}

FAKE = """#!{python}
import json, os, sys
from pathlib import Path

words = sys.argv[1:]
if words == ["version"]:
    print("{version}")
    sys.exit()
home = Path(words[words.index("--home") + 1])
with open("{calls}", "a") as calls:
    print(*words[: words.index("gentx") + 1] if "gentx" in words else words[:2], file=calls)
if words[0] == "init":
    (home / "config").mkdir(parents=True)
    for name in ("config.toml", "app.toml"):
        (home / "config" / name).touch()
    (home / "config" / "genesis.json").write_text({genesis!r})
if words[:2] == ["keys", "add"]:
    (home / "keyring-test").mkdir()
    (home / "keyring-test" / (os.urandom(20).hex() + ".address")).touch()
if "gentx" in words:
    balances = json.loads((home / "config" / "genesis.json").read_text())["app_state"]["bank"]
    Path(words[words.index("--output-document") + 1]).write_text(json.dumps(balances))
"""
"""Script in place of wasmd. Its gentx returns the bank's state in the genesis."""


def make_genesis(release: str) -> dict[str, Any]:
    params = {"block": BLOCK_PARAMS[release]}
    state = {
        "auth": {"accounts": []},
        "bank": {"balances": [], "supply": []},
        "genutil": {"gen_txs": []},
        "slashing": {"params": {"signed_blocks_window": "100"}},
    }
    consensus = {"consensus_params": params}
    if release != "0.27":
        consensus = {"consensus": {"params": params}}
    return {"app_state": state, **consensus}


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Release:
    return RELEASES[request.param]


@pytest.fixture
def calls(release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a fake wasmd of the release on PATH; return the file with the names of its calls."""
    wasmd = tmp_path / "bin" / "wasmd"
    wasmd.parent.mkdir()
    calls = tmp_path / "calls"
    genesis = json.dumps(make_genesis(release.name))
    wasmd.write_text(
        FAKE.format(python=sys.executable, version=release.version, calls=calls, genesis=genesis)
    )
    wasmd.chmod(0o755)
    monkeypatch.setenv("PATH", str(wasmd.parent))
    return calls


class TestGenesis:
    def test_commands_are_those_of_the_release(self, release: Release, calls: Path, tmp_path: Path):
        create_chain(tmp_path / "chain", 1, release)
        gentx = "gentx" if release.name == "0.27" else "genesis gentx"
        assert calls.read_text().splitlines() == ["init wasmd-1", "keys add", gentx]

    def test_validators_have_one_genesis_with_their_balances_and_delegations(
        self, release: Release, calls: Path, tmp_path: Path
    ):
        homes = create_chain(tmp_path / "chain", 3, release)
        assert [home.name for home in homes] == ["wasmd-1", "wasmd-2", "wasmd-3"]
        (text,) = {(home / "config" / "genesis.json").read_text() for home in homes}
        state = json.loads(text)["app_state"]
        assert state["genutil"]["gen_txs"] == [state["bank"]] * 3  # balances come before gentx
        assert len(state["bank"]["balances"]) == len(state["auth"]["accounts"]) == 13
        assert state["slashing"]["params"]["signed_blocks_window"] == "10000000"

    def test_blocks_may_follow_each_other_in_a_millisecond(
        self, release: Release, calls: Path, tmp_path: Path
    ):
        (home,) = create_chain(tmp_path / "chain", 1, release)
        genesis = json.loads((home / "config" / "genesis.json").read_text())
        params = genesis.get("consensus_params") or genesis["consensus"]["params"]
        changed = {"time_iota_ms": "1"} if release.name == "0.27" else {}
        assert params["block"] == {**BLOCK_PARAMS[release.name], **changed}

    def test_chain_keeps_its_release(self, release: Release, calls: Path, tmp_path: Path):
        folder = tmp_path / "chain"
        assert release_of(folder) is None
        create_chain(folder, 1, release)
        assert release_of(folder) == release
        assert CosmosChain(folder).release == release

    def test_chain_without_a_recorded_release_is_of_the_time_before_there_was_a_choice(
        self, tmp_path: Path
    ):
        (tmp_path / "wasmd-1").mkdir()
        assert release_of(tmp_path) == RELEASES["0.70"]

    def test_unknown_release_is_refused(self, tmp_path: Path):
        (tmp_path / "wasmd-1").mkdir()
        (tmp_path / "wasmd-1" / "release").write_text("0.99")
        with pytest.raises(NetStateError, match=r"runs wasmd 0\.99, which .* does not have"):
            CosmosChain(tmp_path)


class TestSettings:
    def test_default_is_the_newest_release(self):
        assert CosmosSettings().wasmd == DEFAULT_RELEASE == list(RELEASES)[-1]

    def test_impossible_releases_are_refused(self, tmp_path: Path):
        with pytest.raises(SettingsRefused, match=r"'0\.28' of wasmd; use 0\.27, 0\.61, 0\.70"):
            CosmosSettings(wasmd="0.28")
        with pytest.raises(SettingsRefused, match="only a Cosmos chain has"):
            Localnet(tmp_path).settings_with(wasmd="0.27")

    def test_other_release_than_the_chain_s_is_refused_before_an_installation(
        self, calls: Path, release: Release, tmp_path: Path
    ):
        net = Localnet(tmp_path / "net")
        create_chain(net.folder / "cosmos", 1, release)
        for name in RELEASES.keys() - {release.name}:
            with pytest.raises(NetStateError, match=f"this chain has {release.name}. For {name}, "):
                net.up(Settings(None, CosmosSettings(wasmd=name), ipfs=0))
        assert not (net.folder / "net.json").exists()


@pytest.fixture(scope="module", params=OLD_RELEASES)
def old_release(request: pytest.FixtureRequest) -> str:
    with skip_if_not_installable():
        find_binary(RELEASES[request.param].recipe)
    return str(request.param)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["localnet", *arguments], prog_name="colearn")


@pytest.mark.long
@pytest.mark.usefixtures("node_binaries")
class TestOldReleases:
    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
        monkeypatch.delenv("COLEARN_LOCALNET", raising=False)
        yield tmp_path
        Localnet(tmp_path / "localnet").down(wipe=True)

    def test_network_keeps_its_release_and_its_state(self, home: Path, old_release: str):
        options = ("--chain", "cosmos", "--ipfs", "0", "--block-time", "0.1")
        up = run("up", *options, "--wasmd", old_release)
        assert up.exit_code == 0, up.output
        assert f"  wasmd       {old_release}" in run("status").stdout
        assert run("fund", SOMEONE, "--amount", "5").exit_code == 0
        run("down")
        other = run("up", "--wasmd", DEFAULT_RELEASE)
        assert other.exit_code == 1
        assert f"this chain has {old_release}. For {DEFAULT_RELEASE}, " in other.stderr
        assert run("up", "--chain", "evm").exit_code == 0
        run("down")
        again = json.loads(run("up", "--chain", "cosmos", "--json").stdout)
        assert again["settings"]["cosmos"]["wasmd"] == old_release
        (funded,) = json.loads(run("fund", SOMEONE, "--amount", "2", "--json").stdout)
        assert (funded["address"], funded["balance"]) == (SOMEONE, "7")

    def test_chain_continues_without_one_of_four_validators(self, tmp_path: Path, old_release: str):
        with CosmosChain(tmp_path, validators=4, wasmd=old_release) as chain:
            assert [node.connections() for node in chain.nodes] == [3, 3, 3, 3]
            lost, *others = chain.nodes
            lost.kill()
            assert chain.fund(SOMEONE, Decimal(5)) == 5
            missed = others[2].height()
            lost.start()
            assert wait_until(lambda: lost.height() > missed, seconds=LIMIT)

    def test_clock_of_short_blocks_is_never_ahead(self, tmp_path: Path, old_release: str):
        with CosmosChain(tmp_path, wasmd=old_release, block_time=0.05) as chain:
            goal = chain.height() + 20
            assert wait_until(lambda: chain.height() >= goal, seconds=LIMIT)
            header = json_rpc(chain.rpc, "block", str(goal))["block"]["header"]
            assert datetime.fromisoformat(header["time"]).timestamp() <= time.time()
