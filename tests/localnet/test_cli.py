"""`colearn localnet`, for people and for scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.networks.address_book import Networks
from colearn_localnet.net import Localnet
from colearn_localnet.processes import wait_until
from colearn_localnet.records import Settings
from tests.support.waiting import LIMIT

SOMEONE = "0x" + "ab" * 20


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["localnet", *arguments], prog_name="colearn")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node_binaries: None) -> Iterator[Path]:
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
    monkeypatch.setenv("COLEARN_PASSWORD", "a password")
    monkeypatch.delenv("COLEARN_LOCALNET", raising=False)
    yield tmp_path
    Localnet(tmp_path / "localnet").down(wipe=True)


class TestUpAndDown:
    def test_up_status_fund_down_and_wipe_work_in_turn(self, home: Path):
        up = run("up", "--ipfs", "1")
        assert up.exit_code == 0
        assert "ipfs-1" in up.stdout
        assert "colearn deploy --network local-evm" in up.stdout
        assert run("status").exit_code == 0
        funded = run("fund", SOMEONE, "--amount", "2.50")
        assert funded.stdout == f"{SOMEONE} now has 2.5 ether\n"
        assert run("down").stdout == "Stopped all nodes; kept the chains and the content.\n"
        assert run("status").exit_code == 1
        assert run("up").exit_code == 0
        assert json.loads(run("fund", SOMEONE, "--json").stdout) == [
            {"name": None, "address": SOMEONE, "chain": "evm", "balance": "12.5", "unit": "ether"}
        ]
        assert (
            run("down", "--wipe").stdout
            == "Stopped all nodes; deleted the chains and the content.\n"
        )
        assert "nothing to stop" in run("down").stdout

    def test_json_has_everything_a_script_needs(self, home: Path):
        up = json.loads(run("up", "--ipfs", "1", "--json").stdout)
        assert up == json.loads(run("status", "--json").stdout)
        assert up["healthy"] is True
        assert up["folder"] == str(home / "localnet")
        assert up["chains"]["evm"]["url"].startswith("http://127.0.0.1:")
        assert up["ipfs"][0].keys() >= {"api", "api_url", "gateway", "address", "pid", "peers"}
        assert json.loads(run("down", "--json").stdout)["wiped"] is False
        down = run("status", "--json")
        assert down.exit_code == 1
        assert json.loads(down.stdout)["healthy"] is False

    def test_missing_options_keep_the_last_settings(self, home: Path):
        run("up", "--ipfs", "0", "--block-time", "0.5")
        run("down")
        assert json.loads(run("up", "--json").stdout)["settings"]["evm"] == {"block_time": 0.5}
        run("down")
        settings = json.loads(run("up", "--block-time", "0", "--json").stdout)["settings"]
        assert settings == {"evm": {"block_time": 0}, "cosmos": None, "ipfs": 0}

    def test_network_keeps_running_after_the_command(self, home: Path):
        command = "import sys; from colearn_learner.cli import main; main()"
        arguments = ["localnet", "up", "--ipfs", "0"]
        subprocess.run([sys.executable, "-c", command, *arguments], check=True, timeout=120)
        assert run("status").exit_code == 0


class TestProfile:
    def test_profile_points_at_the_network_and_drops_wiped_contracts(self, home: Path):
        up = json.loads(run("up", "--ipfs", "2", "--json").stdout)
        profile = Networks().all()["local-evm"]
        assert profile.rpc == up["chains"]["evm"]["url"]
        assert profile.store == ",".join(node["api_url"] for node in up["ipfs"])
        Networks().save(profile.with_contract("0x5FbDB2315678afecb367f032d93F642f64180aa3"))
        run("down")
        run("up")
        assert Networks().all()["local-evm"].contracts
        run("down", "--wipe")
        assert not Networks().all()["local-evm"].contracts

    def test_network_in_another_folder_leaves_the_profile(self, home: Path, tmp_path: Path):
        before = Networks().all()
        folder = str(tmp_path / "second")
        up = run("up", "--folder", folder, "--ipfs", "0")
        assert "colearn network add NAME --chain-id 31337 --rpc http://127.0.0.1:" in up.stdout
        assert Networks().all() == before
        assert run("down", "--wipe", "--folder", folder).exit_code == 0


class TestKeys:
    def test_up_creates_and_funds_keys(self, home: Path):
        up = run("up", "--ipfs", "0", "--keys", "alice, bob")
        assert up.exit_code == 0
        alice, bob = Keystore().all()
        assert (alice.name, bob.name) == ("alice", "bob")
        assert f"alice  {alice.address} now has 10 ether" in up.stdout
        assert f"bob  {bob.address} now has 10 ether" in up.stdout
        assert Keystore().open("bob", "a password").address == bob.address

    def test_fund_takes_several_names_and_addresses(self, home: Path):
        run("up", "--ipfs", "0", "--keys", "alice")
        (alice,) = Keystore().all()
        paid = run("fund", "alice", SOMEONE, "alice", "--amount", "2")
        assert paid.stdout.splitlines() == [
            f"alice  {alice.address} now has 12 ether",
            f"{SOMEONE} now has 2 ether",
        ]
        assert "waiting" not in paid.stderr

    def test_nothing_starts_without_a_valid_name_and_a_password(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ):
        assert run("up", "--keys", "no name").exit_code == 2
        monkeypatch.delenv("COLEARN_PASSWORD")
        assert "there is no terminal for a prompt" in run("up", "--keys", "alice").stderr
        assert not (home / "localnet").exists()

    def test_nothing_is_paid_if_one_account_is_unknown(self, home: Path):
        run("up", "--ipfs", "0", "--keys", "alice", "--block-time", "0.2")
        for wrong, amount in (("alise", "1"), ("0x123", "1"), (SOMEONE, "-1")):
            refused = run("fund", "alice", wrong, "--amount", amount)
            assert refused.exit_code == 2
            assert "sending" not in refused.stderr
        assert "alice" in run("fund", "alice", "--amount", "1").stdout
        assert "now has 12 ether" in run("fund", "alice", "--amount", "1").stdout


class TestLogs:
    def test_logs_show_the_last_lines_of_each_node(self, home: Path):
        run("up", "--ipfs", "1")
        shown = run("logs", "--lines", "3").stdout.splitlines()
        assert {line.split()[0] for line in shown} == {"anvil", "ipfs-1"}
        assert len(shown) <= 6
        only = run("logs", "--node", "ipfs-1").stdout.splitlines()
        assert {line.split()[0] for line in only} == {"ipfs-1"}
        assert any("Daemon is ready" in line for line in only)

    def test_logs_follow_until_an_interrupt(self, home: Path, ctrl_c: None):
        run("up", "--ipfs", "0")
        command = "from colearn_learner.cli import main; main()"
        out = home / "followed"
        with out.open("w") as file:
            follower = subprocess.Popen(
                [sys.executable, "-c", command, "localnet", "logs", "--lines", "0", "-f"],
                stdout=file,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

        def payment_is_shown() -> bool:
            run("fund", SOMEONE)
            return "eth_sendTransaction" in out.read_text()

        try:
            assert wait_until(payment_is_shown, seconds=LIMIT)
            follower.send_signal(signal.SIGINT)
            assert follower.wait(timeout=LIMIT) == 130
        finally:
            follower.kill()
            follower.wait()

    def test_unknown_node_suggests_the_nearest_name(self, home: Path):
        run("up", "--ipfs", "0")
        wrong = run("logs", "--node", "anvl")
        assert wrong.exit_code == 2
        assert "did you mean anvil?" in wrong.stderr


class TestErrors:
    @pytest.mark.parametrize("command", [("status",), ("logs",), ("fund", SOMEONE)])
    def test_missing_network_names_the_command_for_it(self, home: Path, command: tuple[str, ...]):
        result = run(*command)
        assert result.exit_code == 1
        assert "start one with: colearn localnet up" in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ("fund", "bob"),
            ("fund", SOMEONE, "--amount", "much"),
            ("fund", SOMEONE, "--amount", "-1"),
            ("up", "--chain", "dogs"),
            ("up", "--ipfs", "-1"),
            ("up", "--block-time", "-1"),
            ("up", "--validators", "4"),
            ("up", "--validators", "0", "--chain", "cosmos"),
            ("up", "--chain", "cosmos", "--block-time", "0"),
            ("sideways",),
        ],
    )
    def test_wrong_use_exits_with_2(self, home: Path, arguments: tuple[str, ...]):
        Localnet().up(Settings(ipfs=0))
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Error: " in result.stderr

    def test_missing_compiler_is_named_and_leaves_no_folder(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("PATH", str(tmp_path / "empty"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        result = run("up", "--chain", "cosmos")
        assert result.exit_code == 1
        assert "gcc is missing" in result.stderr
        assert "Traceback" not in result.output
        assert not (home / "localnet").exists()

    def test_log_of_a_node_that_does_not_start_is_shown(self, home: Path):
        run("up", "--ipfs", "0")
        run("down")
        (home / "localnet" / "chain" / "state.json").write_text('{"no": "state"}')
        result = run("up")
        assert result.exit_code == 1
        assert "The end of" in result.stderr
        assert run("status").exit_code == 1
