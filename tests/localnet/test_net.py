"""Run a local network in a folder, through restarts, kills and failures."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from colearn_localnet.errors import AddressRefused, NetStateError, NodeFailed
from colearn_localnet.kubo import Kubo
from colearn_localnet.net import Localnet, default_folder
from colearn_localnet.processes import read_process, wait_until
from colearn_localnet.records import CosmosSettings, EvmSettings, NetStatus, Settings
from tests.support.waiting import LIMIT

TWO = Settings(ipfs=2)
MISTYPED = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def pids(status: NetStatus) -> list[int | None]:
    return [status.chains["evm"].pid, *(node.pid for node in status.ipfs)]


def fund(net: Localnet, address: str, amount: Decimal) -> Decimal:
    return net.fund([address], amount)[address]


def running_states(net: Localnet) -> list[bool]:
    processes = [read_process(log) for log in net.logs()]
    return [process is not None and process.is_running() for process in processes]


class TestUp:
    def test_network_is_healthy_and_has_the_given_size(self, net: Localnet):
        status = net.up(TWO)
        assert status.healthy
        assert status == net.status()
        assert [node.peers for node in status.ipfs] == [1, 1]
        assert status.chains["evm"].block == 0

    def test_second_up_changes_nothing(self, net: Localnet):
        first = net.up(TWO)
        assert net.up(TWO) == first
        assert net.up() == first

    def test_three_commands_at_once_start_one_network(self, net: Localnet):
        program = (
            "import sys; from pathlib import Path;"
            "from colearn_localnet.net import Localnet;"
            "from colearn_localnet.records import Settings;"
            "s = Localnet(Path(sys.argv[1])).up(Settings(ipfs=2));"
            "print([s.chains['evm'].pid, *(n.pid for n in s.ipfs)])"
        )
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(net.folder)], stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        answers = {run.communicate()[0] for run in runs}
        assert answers == {f"{pids(net.status())}\n"}

    def test_other_settings_are_refused_until_the_network_is_down(self, net: Localnet):
        net.up(TWO)
        wanted = Settings(EvmSettings(block_time=0.2), ipfs=1)
        with pytest.raises(NetStateError, match=r"up with 2 IPFS nodes .* for 1 IPFS nodes"):
            net.up(wanted)
        net.down()
        status = net.up(wanted)
        assert status.settings == wanted
        assert len(status.ipfs) == 1
        assert wait_until(lambda: (net.status().chains["evm"].block or 0) > 1, seconds=LIMIT)

    def test_contradiction_is_found_before_an_installation(
        self, net: Localnet, monkeypatch: pytest.MonkeyPatch
    ):
        net.up(Settings(ipfs=0))

        def install(*_: object, **__: object) -> None:
            pytest.fail("nothing has to be installed for an error")

        monkeypatch.setattr("colearn_localnet.cosmos.find_binary", install)
        monkeypatch.setattr("colearn_localnet.net.find_binary", install)
        with pytest.raises(NetStateError, match="run colearn localnet down, then up again"):
            net.up(Settings(EvmSettings(), CosmosSettings(), ipfs=1))

    def test_folder_with_other_files_is_refused_and_untouched(self, tmp_path: Path):
        (tmp_path / "thesis.tex").write_text("years of work")
        net = Localnet(tmp_path)
        for attempt in (net.up, net.status, net.down, lambda: net.down(wipe=True)):
            with pytest.raises(NetStateError, match="contains files, but not a local network"):
                attempt()
        assert (tmp_path / "thesis.tex").read_text() == "years of work"

    def test_progress_names_each_node(self, net: Localnet):
        lines: list[str] = []
        net.up(Settings(ipfs=1), report=lines.append)
        assert [line.split()[0] for line in lines] == ["anvil", "kubo", "anvil:", "ipfs-1:"]


class TestDownAndUp:
    def test_chain_content_and_addresses_are_kept(self, net: Localnet, user: SimpleNamespace):
        before = net.up(TWO)
        user.pay(before.chains["evm"].url, wei=7)
        cid = user.add(before.ipfs[0].api_url, b"kept")
        net.down()
        assert not any(running_states(net))
        assert not net.status().healthy
        after = net.up()
        assert after.chains["evm"].url == before.chains["evm"].url
        assert [n.api for n in after.ipfs] == [n.api for n in before.ipfs]
        assert [n.address for n in after.ipfs] == [n.address for n in before.ipfs]
        assert user.balance(after.chains["evm"].url) == 7
        assert cid in user.pins(after.ipfs[0].api_url)
        assert user.cat(after.ipfs[1].api_url, cid) == b"kept"

    def test_second_down_changes_nothing(self, net: Localnet):
        net.down()
        net.up(Settings(ipfs=0))
        net.down()
        net.down()
        assert running_states(net) == [False]

    def test_wipe_deletes_everything(self, net: Localnet, user: SimpleNamespace):
        before = net.up(Settings(ipfs=1))
        user.pay(before.chains["evm"].url)
        net.down(wipe=True)
        assert not net.folder.exists()
        with pytest.raises(NetStateError, match="there is no local network"):
            net.status()
        after = net.up(Settings(ipfs=1))
        assert after.chains["evm"].block == 0
        assert after.ipfs[0].address != before.ipfs[0].address

    def test_taken_chain_port_is_replaced(self, net: Localnet, user: SimpleNamespace):
        before = net.up(Settings(ipfs=0))
        user.pay(before.chains["evm"].url, wei=7)
        net.down()
        lines: list[str] = []
        port = int(before.chains["evm"].url.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            after = net.up(report=lines.append)
        assert any(f"port {port} is taken by another process" in line for line in lines)
        assert after.chains["evm"].url != before.chains["evm"].url
        assert user.balance(after.chains["evm"].url) == 7


class TestRecovery:
    def test_killed_anvil_is_restarted_with_its_chain(self, net: Localnet, user: SimpleNamespace):
        before = net.up(Settings(ipfs=1))
        user.pay(before.chains["evm"].url, wei=7)
        running = net.folder / "chain" / "state.json.running"
        paid = user.block(before.chains["evm"].url)
        assert wait_until(lambda: user.last_dumped_block(running) >= paid, seconds=LIMIT)
        assert before.chains["evm"].pid
        os.kill(before.chains["evm"].pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().chains["evm"].pid is None, seconds=LIMIT)
        assert not net.status().healthy
        after = net.up()
        assert after.healthy
        assert after.chains["evm"].url == before.chains["evm"].url
        assert after.chains["evm"].pid != before.chains["evm"].pid
        assert after.ipfs[0].pid == before.ipfs[0].pid
        assert user.balance(after.chains["evm"].url) == 7

    def test_killed_ipfs_node_is_restarted_with_its_content(
        self, net: Localnet, user: SimpleNamespace
    ):
        before = net.up(TWO)
        cid = user.add(before.ipfs[0].api_url, b"kept")
        assert before.ipfs[0].pid
        os.kill(before.ipfs[0].pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().ipfs[0].pid is None, seconds=LIMIT)
        after = net.up()
        assert [node.peers for node in after.ipfs] == [1, 1]
        assert user.cat(after.ipfs[1].api_url, cid) == b"kept"

    def test_hanging_node_is_replaced(self, net: Localnet, user: SimpleNamespace):
        before = net.up(Settings(ipfs=0))
        user.pay(before.chains["evm"].url, wei=7)
        assert before.chains["evm"].pid
        os.kill(before.chains["evm"].pid, signal.SIGSTOP)
        after = net.up()
        assert after.chains["evm"].pid != before.chains["evm"].pid
        assert user.balance(after.chains["evm"].url) == 7

    def test_failed_start_leaves_no_process(self, net: Localnet, monkeypatch: pytest.MonkeyPatch):
        start = Kubo.start

        def fail(node: Kubo) -> Kubo:
            if node.log.stem == "ipfs-2":
                raise NodeFailed("no more today")
            return start(node)

        monkeypatch.setattr(Kubo, "start", fail)
        with pytest.raises(NodeFailed, match="no more today"):
            net.up(TWO)
        assert running_states(net) == [False, False]
        monkeypatch.undo()
        assert net.up(TWO).healthy

    def test_failed_start_keeps_nodes_that_ran_before(
        self, net: Localnet, monkeypatch: pytest.MonkeyPatch
    ):
        before = net.up(Settings(ipfs=1))
        assert before.ipfs[0].pid
        os.kill(before.ipfs[0].pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().ipfs[0].pid is None, seconds=LIMIT)

        def interrupt(node: Kubo) -> Kubo:
            raise KeyboardInterrupt

        monkeypatch.setattr(Kubo, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            net.up()
        assert net.status().chains["evm"] == before.chains["evm"]


class TestForeignProcess:
    def test_foreign_process_with_a_recorded_pid_is_never_stopped(self, net: Localnet):
        net.up(Settings(ipfs=0))
        net.down()
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            record = net.folder / "logs" / "anvil.pid"
            content = json.loads(record.read_text())
            record.write_text(json.dumps({**content, "pid": other.pid}))
            net.down()
            assert net.up().healthy
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()


class TestFolder:
    def test_default_folder_can_be_replaced_by_a_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        for variable in ("COLEARN_HOME", "COLEARN_LOCALNET"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert default_folder() == tmp_path / "colearn" / "localnet"
        monkeypatch.setenv("COLEARN_LOCALNET", str(tmp_path / "mine"))
        assert Localnet().folder == tmp_path / "mine"

    def test_only_the_owner_can_read_the_record(self, net: Localnet):
        net.up(Settings(ipfs=0))
        assert stat.S_IMODE((net.folder / "net.json").stat().st_mode) == 0o600

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": {"moons": 2}}'])
    def test_damaged_record_is_refused(self, tmp_path: Path, content: str):
        (tmp_path / "net.json").write_text(content)
        with pytest.raises(NetStateError, match=r"net\.json cannot be read"):
            Localnet(tmp_path).status()


class TestFunding:
    @pytest.fixture
    def up(self, net: Localnet) -> Localnet:
        net.up(Settings(ipfs=0))
        return net

    def test_payments_add_up_and_survive_a_restart(self, up: Localnet, user: SimpleNamespace):
        assert fund(up, user.someone, Decimal("0.5")) == Decimal("0.5")
        assert fund(up, user.someone, Decimal("1e-18")) == Decimal("0.500000000000000001")
        up.down()
        up.up()
        assert fund(up, user.someone, Decimal(1)) == Decimal("1.500000000000000001")

    def test_payment_can_exceed_the_first_balances(self, up: Localnet, user: SimpleNamespace):
        assert fund(up, user.someone, Decimal(10**6)) == 10**6

    @pytest.mark.parametrize("address", ["", "0x12", "bob", "ab" * 20, "0x" + "g" * 40, MISTYPED])
    def test_malformed_address_is_refused(self, up: Localnet, address: str):
        with pytest.raises(AddressRefused, match=r"not an address|mistyped"):
            up.fund([address], Decimal(1))

    @pytest.mark.parametrize("amount", ["0", "-1", "1e-19", "1e18", "NaN", "Infinity"])
    def test_invalid_amount_is_refused(self, up: Localnet, user: SimpleNamespace, amount: str):
        with pytest.raises(AddressRefused, match="is not an amount"):
            up.fund([user.someone], Decimal(amount))

    def test_payment_needs_a_running_chain(self, up: Localnet, user: SimpleNamespace):
        up.down()
        with pytest.raises(NodeFailed, match="the chain does not run; start it with"):
            up.fund([user.someone], Decimal(1))
