"""Local networks with a Cosmos chain, in Python and from the shell."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from colearn_learner.cli import main
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import CosmosNetwork
from colearn_ledger.protocol import Account
from colearn_localnet.cosmos import CosmosChain
from colearn_localnet.errors import NetStateError, NodeFailed, SettingsRefused
from colearn_localnet.net import Localnet
from colearn_localnet.processes import read_process, wait_until
from colearn_localnet.records import Settings
from colearn_localnet.rpc import json_rpc
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.usefixtures("node_binaries", "wasmd_binary")

SOMEONE = "wasm1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnf2q0cj"
EVM_ACCOUNT = "0x" + "ab" * 20
ONE_NODE = Settings(chain="cosmos", ipfs=0, block_time=0.1)
CONTRACT = Account("wasm1yyca08xqdgvjz0psg56z67ejh9xms6l436u8y58m82npdqqhmmtqas0cl7")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["localnet", *arguments], prog_name="colearn")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
    monkeypatch.delenv("COLEARN_LOCALNET", raising=False)
    yield tmp_path
    Localnet(tmp_path / "localnet").down(wipe=True)


class TestSettings:
    def test_cosmos_chain_has_a_default_block_time(self):
        assert Settings(chain="cosmos").block_time == 0.5

    @pytest.mark.parametrize(
        ("chain", "validators", "why"),
        [
            ("dogs", 1, "the chain must be evm or cosmos, not 'dogs'"),
            ("evm", 4, "a local EVM chain has one node"),
            ("cosmos", 0, "a chain needs at least one validator"),
        ],
    )
    def test_impossible_settings_are_refused(self, chain: str, validators: int, why: str):
        with pytest.raises(SettingsRefused, match=why):
            Settings(chain=chain, validators=validators)

    def test_record_with_impossible_settings_is_damaged(self, tmp_path: Path):
        record = {"settings": {"chain": "dogs"}, "swarm": "", "port": 0}
        (tmp_path / "net.json").write_text(json.dumps(record))
        with pytest.raises(NetStateError, match=r"net\.json cannot be read: the chain must"):
            Localnet(tmp_path).status()


class TestNetwork:
    def test_chain_survives_down_up_and_a_kill(self, net: Localnet):
        lines: list[str] = []
        before = net.up(ONE_NODE, report=lines.append)
        assert [line.split()[0] for line in lines] == ["wasmd", "kubo", "wasmd-1:", "chain:"]
        assert before.healthy
        assert (before.chain.block or 0) >= 2
        (node,) = before.validators
        assert before.chain.url == node.rpc
        assert (before.chain.grpc, before.chain.rest) == (node.grpc, node.rest)
        assert net.fund(SOMEONE, Decimal(5)) == 5

        again = net.up()
        assert [n.pid for n in again.validators] == [node.pid]

        net.down()
        status = net.status()
        assert not status.healthy
        assert (status.chain.pid, status.chain.block) == (None, None)
        with pytest.raises(NodeFailed, match="the chain does not run; start it with"):
            net.fund(SOMEONE, Decimal(1))

        after = net.up()
        assert after.chain.url == before.chain.url
        assert net.fund(SOMEONE, Decimal(2)) == 7

        assert after.chain.pid
        os.kill(after.chain.pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().chain.pid is None, seconds=LIMIT)
        assert not net.status().healthy
        assert net.up().healthy
        assert net.fund(SOMEONE, Decimal(2)) == 9

    def test_hanging_node_is_replaced(self, net: Localnet):
        before = net.up(ONE_NODE)
        assert before.chain.pid
        os.kill(before.chain.pid, signal.SIGSTOP)
        after = net.up()
        assert after.healthy
        assert after.chain.pid != before.chain.pid

    def test_interrupted_start_leaves_no_process(
        self, net: Localnet, monkeypatch: pytest.MonkeyPatch
    ):
        def interrupt(chain: CosmosChain) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(CosmosChain, "_await_blocks", interrupt)
        with pytest.raises(KeyboardInterrupt):
            net.up(ONE_NODE)
        process = read_process(net.folder / "logs" / "wasmd-1.log")
        assert process is not None
        assert not process.is_running()

    def test_dead_validator_is_shown_and_restarted(self, net: Localnet):
        status = net.up(Settings(chain="cosmos", ipfs=0, block_time=0.2, validators=2))
        assert [node.peers for node in status.validators] == [1, 1]
        assert status.validators[0].pid
        os.kill(status.validators[0].pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().validators[0].pid is None, seconds=LIMIT)
        now = net.status()
        assert not now.healthy
        assert now.chain.url == now.validators[1].rpc
        assert now.validators[0].block is None
        assert now.validators[1].block
        mended = net.up()
        assert mended.healthy
        assert mended.validators[1].pid == status.validators[1].pid
        net.down()
        with pytest.raises(
            NetStateError, match="cannot change after its first block: this chain has 2"
        ):
            net.up(Settings(chain="cosmos", ipfs=0))


class TestTwoKindsOfChain:
    def test_chains_alternate_and_keep_their_state(self, home: Path):
        assert run("up", "--ipfs", "1").exit_code == 0
        run("fund", EVM_ACCOUNT)
        up = run("up", "--chain", "cosmos")
        assert up.exit_code == 1
        assert "is up with 1 IPFS nodes and an EVM chain with instant blocks" in up.stderr
        assert "a Cosmos chain of 1 validator (wasmd 0.70) with a block every 0.5 s" in up.stderr
        assert "then up again, or use another --folder" in up.stderr
        run("down")

        up = run("up", "--chain", "cosmos", "--block-time", "0.1")
        assert up.exit_code == 0
        assert "colearn deploy --network local-cosmos" in up.stdout
        assert "anvil" not in up.stdout
        assert {line.split()[0] for line in run("logs").stdout.splitlines()} == {
            "wasmd-1",
            "ipfs-1",
        }
        funded = run("fund", SOMEONE)
        assert funded.stdout == f"{SOMEONE} now has 10000000 stake\n"
        assert "waiting for the next block" in funded.stderr
        run("down")

        settings = json.loads(run("up", "--chain", "evm", "--json").stdout)["settings"]
        assert settings == {
            "chain": "evm",
            "ipfs": 1,
            "block_time": None,
            "validators": 1,
            "wasmd": None,
        }
        assert json.loads(run("fund", EVM_ACCOUNT, "--json").stdout)["balance"] == "20"
        run("down")
        run("up", "--chain", "cosmos", "--block-time", "0.1")
        assert json.loads(run("fund", SOMEONE, "--amount", "1", "--json").stdout) == {
            "address": SOMEONE,
            "balance": "10000001",
        }
        run("down", "--wipe")
        assert not (home / "localnet").exists()


class TestCommands:
    @pytest.fixture
    def up(self, home: Path) -> dict[str, object]:
        given = ("--chain", "cosmos", "--ipfs", "0", "--block-time", "0.1", "--json")
        return dict(json.loads(run("up", *given).stdout))

    def test_profile_points_at_the_chain_without_wiped_contracts(self, up: dict[str, object]):
        profile = Networks().all()["local-cosmos"]
        chain = up["chain"]
        assert isinstance(chain, dict)
        assert (profile.rpc, profile.chain_id) == (chain["url"], "colearn-local")
        assert isinstance(profile, CosmosNetwork)
        assert profile.access.grpc == chain["grpc"]
        values = (profile.access.prefix, profile.access.denomination, profile.access.gas_price)
        assert values == ("wasm", "stake", 0.025)
        assert json_rpc(profile.rpc, "status")["node_info"]["network"] == profile.chain_id
        Networks().save(profile.with_contract(CONTRACT))
        run("down", "--wipe")
        assert not Networks().all()["local-cosmos"].contracts

    def test_status_shows_the_chain_and_a_dead_node(self, up: dict[str, object]):
        shown = run("status")
        assert shown.exit_code == 0
        chain = up["chain"]
        assert isinstance(chain, dict)
        assert all(chain[name] in shown.stdout for name in ("url", "grpc", "rest"))
        assert "wasmd-1   up" in shown.stdout
        os.kill(int(chain["pid"]), signal.SIGKILL)
        # The killed process may still exist for a moment after it stopped answering.
        assert wait_until(lambda: "wasmd-1   down" in run("status").stdout, seconds=LIMIT)
        assert run("status").exit_code == 1

    def test_wrong_payment_exits_with_2(self, up: dict[str, object]):
        for arguments, why in (
            ((EVM_ACCOUNT,), "is not an address"),
            ((SOMEONE, "--amount", "0.5"), "is not an amount: send a whole number of stake"),
            (
                (SOMEONE, "--amount", "much"),
                "is not an amount of stake; use a number, such as 10000000",
            ),
        ):
            refused = run("fund", *arguments)
            assert refused.exit_code == 2
            assert why in refused.stderr

    def test_another_folder_prints_the_command_for_a_profile(self, home: Path, tmp_path: Path):
        before = Networks().all()
        folder = str(tmp_path / "second")
        given = ("--folder", folder, "--chain", "cosmos", "--ipfs", "0", "--block-time", "0.1")
        up = run("up", *given)
        (line,) = (line for line in up.stdout.splitlines() if "network add" in line)
        assert Networks().all() == before
        assert run("down", "--wipe", "--folder", folder).exit_code == 0
        words = line.split()[1:]
        added = CliRunner().invoke(main, ["second" if w == "NAME" else w for w in words])
        assert added.exit_code == 0
        second = Networks().get("second")
        assert isinstance(second, CosmosNetwork)
        assert second.access.denomination == "stake"
