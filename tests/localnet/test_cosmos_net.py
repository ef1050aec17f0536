"""Local networks with a Cosmos chain, in Python and from the shell."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
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
from colearn_localnet.records import CosmosSettings, EvmSettings, Settings
from colearn_localnet.rpc import json_rpc
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.usefixtures("node_binaries", "wasmd_binary")

SOMEONE = "wasm1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnf2q0cj"
EVM_ACCOUNT = "0x" + "ab" * 20
ONE_NODE = Settings(None, CosmosSettings(0.1), ipfs=0)
CONTRACT = Account("wasm1yyca08xqdgvjz0psg56z67ejh9xms6l436u8y58m82npdqqhmmtqas0cl7")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["localnet", *arguments], prog_name="colearn")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("COLEARN_HOME", str(tmp_path))
    monkeypatch.setenv("COLEARN_PASSWORD", "a password")
    monkeypatch.delenv("COLEARN_LOCALNET", raising=False)
    yield tmp_path
    Localnet(tmp_path / "localnet").down(wipe=True)


class TestSettings:
    def test_cosmos_chain_has_a_default_block_time(self):
        assert CosmosSettings().block_time == 0.5

    @pytest.mark.parametrize(
        ("make", "why"),
        [
            (lambda: Settings(evm=None), "a network needs an EVM chain or a Cosmos chain"),
            (lambda: EvmSettings(-1), "the time between blocks is -1 s"),
            (lambda: CosmosSettings(0), "a Cosmos chain makes blocks at intervals"),
            (lambda: CosmosSettings(validators=0), "a chain needs at least one validator"),
            (lambda: CosmosSettings(wasmd="1.5"), "1.5"),
        ],
    )
    def test_impossible_settings_are_refused(self, make: Callable[[], object], why: str):
        with pytest.raises(SettingsRefused, match=why):
            make()

    def test_record_with_impossible_settings_is_damaged(self, tmp_path: Path):
        settings = {"evm": None, "cosmos": None, "ipfs": 1}
        record = {"settings": settings, "swarm": "", "port": 0}
        (tmp_path / "net.json").write_text(json.dumps(record))
        with pytest.raises(NetStateError, match=r"net\.json cannot be read: a network needs"):
            Localnet(tmp_path).status()


class TestNetwork:
    def test_chain_survives_down_up_and_a_kill(self, net: Localnet):
        lines: list[str] = []
        before = net.up(ONE_NODE, report=lines.append)
        assert [line.split()[0] for line in lines] == ["wasmd", "kubo", "wasmd-1:", "chain:"]
        assert before.healthy
        assert (before.chains["cosmos"].block or 0) >= 2
        (node,) = before.chains["cosmos"].validators
        assert before.chains["cosmos"].url == node.rpc
        assert (before.chains["cosmos"].grpc, before.chains["cosmos"].rest) == (
            node.grpc,
            node.rest,
        )
        assert net.fund([SOMEONE], Decimal(5)) == {SOMEONE: 5}

        again = net.up()
        assert [n.pid for n in again.chains["cosmos"].validators] == [node.pid]

        net.down()
        status = net.status()
        assert not status.healthy
        assert (status.chains["cosmos"].pid, status.chains["cosmos"].block) == (None, None)
        with pytest.raises(NodeFailed, match="the chain does not run; start it with"):
            net.fund([SOMEONE], Decimal(1))

        after = net.up()
        assert after.chains["cosmos"].url == before.chains["cosmos"].url
        assert net.fund([SOMEONE], Decimal(2)) == {SOMEONE: 7}

        assert after.chains["cosmos"].pid
        os.kill(after.chains["cosmos"].pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().chains["cosmos"].pid is None, seconds=LIMIT)
        assert not net.status().healthy
        assert net.up().healthy
        assert net.fund([SOMEONE], Decimal(2)) == {SOMEONE: 9}

    def test_hanging_node_is_replaced(self, net: Localnet):
        before = net.up(ONE_NODE)
        assert before.chains["cosmos"].pid
        os.kill(before.chains["cosmos"].pid, signal.SIGSTOP)
        after = net.up()
        assert after.healthy
        assert after.chains["cosmos"].pid != before.chains["cosmos"].pid

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
        status = net.up(Settings(None, CosmosSettings(0.2, validators=2), ipfs=0))
        assert [node.peers for node in status.chains["cosmos"].validators] == [1, 1]
        assert status.chains["cosmos"].validators[0].pid
        os.kill(status.chains["cosmos"].validators[0].pid, signal.SIGKILL)
        assert wait_until(
            lambda: net.status().chains["cosmos"].validators[0].pid is None, seconds=LIMIT
        )
        now = net.status()
        assert not now.healthy
        assert now.chains["cosmos"].url == now.chains["cosmos"].validators[1].rpc
        assert now.chains["cosmos"].validators[0].block is None
        assert now.chains["cosmos"].validators[1].block
        mended = net.up()
        assert mended.healthy
        assert (
            mended.chains["cosmos"].validators[1].pid == status.chains["cosmos"].validators[1].pid
        )
        net.down()
        with pytest.raises(
            NetStateError, match="cannot change after its first block: this chain has 2"
        ):
            net.up(Settings(None, CosmosSettings(), ipfs=0))


class TestTwoKindsOfChain:
    def test_chains_run_side_by_side_and_share_the_ipfs_nodes(self, home: Path):
        first = json.loads(run("up", "--ipfs", "1", "--json").stdout)
        run("fund", EVM_ACCOUNT)
        up = run("up", "--chain", "cosmos", "--block-time", "0.1", "--json")
        assert up.exit_code == 0
        both = json.loads(up.stdout)
        assert both["settings"] == {
            "evm": {"block_time": 0},
            "cosmos": {"block_time": 0.1, "validators": 1, "wasmd": "0.70"},
            "ipfs": 1,
        }
        assert both["chains"]["evm"]["pid"] == first["chains"]["evm"]["pid"]
        assert both["ipfs"] == first["ipfs"]
        known = Networks().all()
        for profile, kind in (("local-evm", "evm"), ("local-cosmos", "cosmos")):
            assert known[profile].rpc == both["chains"][kind]["url"]
            assert known[profile].store == both["ipfs"][0]["api_url"]

        shown = run("status").stdout
        assert all(word in shown for word in ("EVM chain", "Cosmos chain", "anvil", "wasmd-1"))
        nodes = {line.split()[0] for line in run("logs").stdout.splitlines()}
        assert nodes == {"anvil", "wasmd-1", "ipfs-1"}
        funded = run("fund", SOMEONE, EVM_ACCOUNT)
        assert funded.stdout.splitlines() == [
            f"{SOMEONE} now has 10000000 stake",
            f"{EVM_ACCOUNT} now has 20 ether",
        ]
        assert "waiting for the next block" in funded.stderr

    def test_one_chain_runs_while_the_other_one_is_kept(self, home: Path):
        run("up", "--chain", "both", "--ipfs", "0", "--block-time", "0.1")
        run("fund", SOMEONE, EVM_ACCOUNT)
        run("down")
        up = json.loads(run("up", "--chain", "evm", "--json").stdout)
        assert list(up["chains"]) == ["evm"]
        wrong = run("fund", SOMEONE)
        assert wrong.exit_code == 2
        assert "is not an address" in wrong.stderr
        run("down")
        assert run("up", "--chain", "cosmos", "--block-time", "0.1").exit_code == 0
        assert json.loads(run("fund", SOMEONE, "--amount", "1", "--json").stdout) == [
            {
                "name": None,
                "address": SOMEONE,
                "chain": "cosmos",
                "balance": "10000001",
                "unit": "stake",
            }
        ]
        run("up", "--chain", "evm")
        assert json.loads(run("fund", EVM_ACCOUNT, "--json").stdout)[0]["balance"] == "20"
        run("down", "--wipe")
        assert not (home / "localnet").exists()

    def test_keys_are_paid_on_each_chain_or_on_the_given_one(self, home: Path):
        up = run("up", "--chain", "both", "--ipfs", "0", "--block-time", "0.1", "--keys", "alice")
        assert up.exit_code == 0
        assert "now has 10 ether" in up.stdout
        assert "now has 10000000 stake" in up.stdout
        unclear = run("fund", "alice", "--amount", "2")
        assert unclear.exit_code == 2
        assert "choose one with --chain" in " ".join(unclear.stderr.split())
        (paid,) = json.loads(run("fund", "alice", "--chain", "cosmos", "--json").stdout)
        assert (paid["name"], paid["chain"], paid["balance"]) == ("alice", "cosmos", "20000000")


class TestCommands:
    @pytest.fixture
    def up(self, home: Path) -> dict[str, object]:
        given = ("--chain", "cosmos", "--ipfs", "0", "--block-time", "0.1", "--json")
        return dict(json.loads(run("up", *given).stdout))

    def test_profile_points_at_the_chain_without_wiped_contracts(self, up: dict[str, object]):
        profile = Networks().all()["local-cosmos"]
        chain = up["chains"]["cosmos"]
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
        chain = up["chains"]["cosmos"]
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
                "is not an amount of stake; use a number, such as 10",
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
