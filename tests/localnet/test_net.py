"""A local network in a folder, through all that a week brings."""

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
from colearn_localnet.net import Localnet, NetStatus, Settings, default_folder
from colearn_localnet.processes import recorded, wait_until
from tests.support.waiting import LIMIT

TWO = Settings(ipfs=2)
MISTYPED = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def pids(status: NetStatus) -> list[int | None]:
    return [status.chain.pid, *(node.pid for node in status.ipfs)]


def are_running(net: Localnet) -> list[bool]:
    processes = [recorded(log) for log in net.logs()]
    return [process is not None and process.is_running() for process in processes]


class TestUp:
    def test_makes_a_healthy_network_of_the_size_asked_for(self, net: Localnet):
        status = net.up(TWO)
        assert status.healthy
        assert status == net.status()
        assert [node.peers for node in status.ipfs] == [1, 1]
        assert status.chain.block == 0

    def test_again_changes_nothing(self, net: Localnet):
        first = net.up(TWO)
        assert net.up(TWO) == first
        assert net.up() == first

    def test_by_two_commands_at_once_makes_one_network(self, net: Localnet):
        program = (
            "import sys; from pathlib import Path;"
            "from colearn_localnet.net import Localnet, Settings;"
            "s = Localnet(Path(sys.argv[1])).up(Settings(ipfs=2));"
            "print([s.chain.pid, *(n.pid for n in s.ipfs)])"
        )
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(net.folder)], stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        answers = {run.communicate()[0] for run in runs}
        assert answers == {f"{pids(net.status())}\n"}

    def test_with_other_settings_is_refused_while_it_is_up_and_done_after(self, net: Localnet):
        net.up(TWO)
        wanted = Settings(ipfs=1, block_time=0.2)
        with pytest.raises(NetStateError, match=r"up with 2 IPFS nodes .* have 1 IPFS nodes"):
            net.up(wanted)
        net.down()
        status = net.up(wanted)
        assert status.settings == wanted
        assert len(status.ipfs) == 1
        assert wait_until(lambda: (net.status().chain.block or 0) > 1, seconds=LIMIT)

    def test_in_a_folder_of_something_else_touches_nothing(self, tmp_path: Path):
        (tmp_path / "thesis.tex").write_text("years of work")
        net = Localnet(tmp_path)
        for attempt in (net.up, net.status, net.down, lambda: net.down(wipe=True)):
            with pytest.raises(NetStateError, match="holds something that is no local network"):
                attempt()
        assert (tmp_path / "thesis.tex").read_text() == "years of work"

    def test_says_which_nodes_it_takes(self, net: Localnet):
        said: list[str] = []
        net.up(Settings(ipfs=1), say=said.append)
        assert [line.split()[0] for line in said] == ["anvil", "kubo", "chain:", "ipfs-1:"]


class TestDownAndUp:
    def test_keeps_chain_content_and_addresses(self, net: Localnet, user: SimpleNamespace):
        before = net.up(TWO)
        user.pay(before.chain.url, wei=7)
        cid = user.add(before.ipfs[0].api_url, b"kept")
        net.down()
        assert not any(are_running(net))
        assert not net.status().healthy
        after = net.up()
        assert after.chain.url == before.chain.url
        assert [n.api for n in after.ipfs] == [n.api for n in before.ipfs]
        assert [n.address for n in after.ipfs] == [n.address for n in before.ipfs]
        assert user.balance(after.chain.url) == 7
        assert cid in user.pins(after.ipfs[0].api_url)
        assert user.cat(after.ipfs[1].api_url, cid) == b"kept"

    def test_twice_is_as_once(self, net: Localnet):
        net.down()
        net.up(Settings(ipfs=0))
        net.down()
        net.down()
        assert are_running(net) == [False]

    def test_with_wipe_leaves_nothing_and_begins_anew(self, net: Localnet, user: SimpleNamespace):
        before = net.up(Settings(ipfs=1))
        user.pay(before.chain.url)
        net.down(wipe=True)
        assert not net.folder.exists()
        with pytest.raises(NetStateError, match="there is no local network"):
            net.status()
        after = net.up(Settings(ipfs=1))
        assert after.chain.block == 0
        assert after.ipfs[0].address != before.ipfs[0].address

    def test_moves_the_chain_when_its_port_was_taken_meanwhile(
        self, net: Localnet, user: SimpleNamespace
    ):
        before = net.up(Settings(ipfs=0))
        user.pay(before.chain.url, wei=7)
        net.down()
        said: list[str] = []
        port = int(before.chain.url.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            after = net.up(say=said.append)
        assert any(f"port {port}, which the chain had, is taken" in line for line in said)
        assert after.chain.url != before.chain.url
        assert user.balance(after.chain.url) == 7


class TestADeath:
    def test_of_anvil_is_mended_with_its_chain(self, net: Localnet, user: SimpleNamespace):
        before = net.up(Settings(ipfs=1))
        user.pay(before.chain.url, wei=7)
        running = net.folder / "chain" / "state.json.running"
        paid = user.block(before.chain.url)
        assert wait_until(lambda: user.dumped(running) >= paid, seconds=LIMIT)
        assert before.chain.pid
        os.kill(before.chain.pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().chain.pid is None, seconds=LIMIT)
        assert not net.status().healthy
        after = net.up()
        assert after.healthy
        assert after.chain.url == before.chain.url
        assert after.chain.pid != before.chain.pid
        assert after.ipfs[0].pid == before.ipfs[0].pid
        assert user.balance(after.chain.url) == 7

    def test_of_an_ipfs_node_is_mended_with_its_content(self, net: Localnet, user: SimpleNamespace):
        before = net.up(TWO)
        cid = user.add(before.ipfs[0].api_url, b"kept")
        assert before.ipfs[0].pid
        os.kill(before.ipfs[0].pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().ipfs[0].pid is None, seconds=LIMIT)
        after = net.up()
        assert [node.peers for node in after.ipfs] == [1, 1]
        assert user.cat(after.ipfs[1].api_url, cid) == b"kept"

    def test_of_a_node_that_only_hangs_is_mended(self, net: Localnet, user: SimpleNamespace):
        before = net.up(Settings(ipfs=0))
        user.pay(before.chain.url, wei=7)
        assert before.chain.pid
        os.kill(before.chain.pid, signal.SIGSTOP)
        after = net.up()
        assert after.chain.pid != before.chain.pid
        assert user.balance(after.chain.url) == 7

    def test_of_the_start_itself_leaves_no_process(
        self, net: Localnet, monkeypatch: pytest.MonkeyPatch
    ):
        start = Kubo.start

        def failing(node: Kubo) -> Kubo:
            if node.log.stem == "ipfs-2":
                raise NodeFailed("no more today")
            return start(node)

        monkeypatch.setattr(Kubo, "start", failing)
        with pytest.raises(NodeFailed, match="no more today"):
            net.up(TWO)
        assert are_running(net) == [False, False]
        monkeypatch.undo()
        assert net.up(TWO).healthy

    def test_of_the_start_itself_spares_what_ran_before(
        self, net: Localnet, monkeypatch: pytest.MonkeyPatch
    ):
        before = net.up(Settings(ipfs=1))
        assert before.ipfs[0].pid
        os.kill(before.ipfs[0].pid, signal.SIGKILL)
        assert wait_until(lambda: net.status().ipfs[0].pid is None, seconds=LIMIT)

        def interrupted(node: Kubo) -> Kubo:
            raise KeyboardInterrupt

        monkeypatch.setattr(Kubo, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            net.up()
        assert net.status().chain == before.chain


class TestOnlyItsOwnProcesses:
    def test_are_stopped(self, net: Localnet):
        net.up(Settings(ipfs=0))
        net.down()
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            record = net.folder / "logs" / "anvil.pid"
            held = json.loads(record.read_text())
            record.write_text(json.dumps({**held, "pid": other.pid}))
            net.down()
            assert net.up().healthy
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()


class TestItsFolder:
    def test_is_the_users_unless_another_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        for variable in ("COLEARN_HOME", "COLEARN_LOCALNET"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert default_folder() == tmp_path / "colearn" / "localnet"
        monkeypatch.setenv("COLEARN_LOCALNET", str(tmp_path / "mine"))
        assert Localnet().folder == tmp_path / "mine"

    def test_keeps_the_swarms_key_to_its_owner(self, net: Localnet):
        net.up(Settings(ipfs=0))
        assert stat.S_IMODE((net.folder / "net.json").stat().st_mode) == 0o600

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": {"moons": 2}}'])
    def test_that_is_damaged_is_refused(self, tmp_path: Path, content: str):
        (tmp_path / "net.json").write_text(content)
        with pytest.raises(NetStateError, match=r"net\.json can not be read"):
            Localnet(tmp_path).status()


class TestFunding:
    @pytest.fixture
    def up(self, net: Localnet) -> Localnet:
        net.up(Settings(ipfs=0))
        return net

    def test_adds_up_and_survives(self, up: Localnet, user: SimpleNamespace):
        assert up.fund(user.someone, Decimal("0.5")) == Decimal("0.5")
        assert up.fund(user.someone, Decimal("1e-18")) == Decimal("0.500000000000000001")
        up.down()
        up.up()
        assert up.fund(user.someone, Decimal(1)) == Decimal("1.500000000000000001")

    def test_gives_more_than_the_chain_began_with(self, up: Localnet, user: SimpleNamespace):
        assert up.fund(user.someone, Decimal(10**6)) == 10**6

    @pytest.mark.parametrize("address", ["", "0x12", "bob", "ab" * 20, "0x" + "g" * 40, MISTYPED])
    def test_refuses_what_is_no_address(self, up: Localnet, address: str):
        with pytest.raises(AddressRefused, match=r"not an address|mistyped"):
            up.fund(address, Decimal(1))

    @pytest.mark.parametrize("amount", ["0", "-1", "1e-19", "1e18", "NaN", "Infinity"])
    def test_refuses_what_is_no_amount(self, up: Localnet, user: SimpleNamespace, amount: str):
        with pytest.raises(AddressRefused, match="is no amount"):
            up.fund(user.someone, Decimal(amount))

    def test_needs_a_chain_that_runs(self, up: Localnet, user: SimpleNamespace):
        up.down()
        with pytest.raises(NodeFailed, match="the chain does not run: colearn localnet up"):
            up.fund(user.someone, Decimal(1))
