"""One anvil: a chain that outlives its process."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from eth_account import Account

from colearn_localnet.anvil import Anvil, keep_newest_state
from colearn_localnet.errors import NodeFailed, PortTaken
from colearn_localnet.processes import free_port, wait_until
from colearn_localnet.rpc import json_rpc, post
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.usefixtures("nodes_are_here")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "chain" / "state.json"


class TestARunningChain:
    def test_answers_at_its_url_with_its_id(self, anvil: Anvil):
        assert int(json_rpc(anvil.url, "eth_chainId"), 16) == 31337

    def test_listens_on_loopback_only(self, anvil: Anvil):
        assert anvil.url.startswith("http://127.0.0.1:")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", anvil.port), timeout=2)

    def test_funds_the_accounts_of_its_keys(self, anvil: Anvil, user: SimpleNamespace):
        assert len(anvil.keys) == 10
        account = Account.from_key(anvil.keys[3]).address
        assert user.balance(anvil.url, of=account) == 10_000 * 10**18

    def test_gets_a_port_of_its_own_beside_another(self, anvil: Anvil):
        with Anvil(chain_id=77) as other:
            assert other.port != anvil.port
            assert int(json_rpc(other.url, "eth_chainId"), 16) == 77

    def test_mines_at_intervals_when_it_is_told_to(self, user: SimpleNamespace):
        with Anvil(block_time=0.1) as chain:
            assert wait_until(lambda: user.block(chain.url) >= 3, seconds=LIMIT)

    def test_says_what_an_answer_lacks(self, anvil: Anvil):
        with pytest.raises(NodeFailed, match="eth_nonsense"):
            json_rpc(anvil.url, "eth_nonsense")
        with pytest.raises(NodeFailed, match="answered 4"):
            post(f"{anvil.url}/nowhere")


class TestItsState:
    def test_survives_stop_and_start(self, state: Path, user: SimpleNamespace):
        with Anvil(state=state) as chain:
            user.pay(chain.url, wei=5)
            number = user.block(chain.url)
        with Anvil(state=state) as chain:
            assert user.balance(chain.url) == 5
            assert user.block(chain.url) == number

    def test_and_port_survive_ten_kills(self, state: Path, user: SimpleNamespace):
        with Anvil(state=state) as chain:
            url = chain.url
            for payments in range(1, 11):
                user.pay(url)
                chain.dump()
                chain.kill()
                chain.start()
                assert (chain.url, user.balance(url)) == (url, payments)

    def test_survives_kill_up_to_the_last_dump(self, state: Path, user: SimpleNamespace):
        with Anvil(state=state) as chain:
            url = chain.url
            user.pay(url, wei=5)
            chain.dump()
            chain.kill()
            assert not chain.process.is_running()
            chain.start()
            assert chain.url == url
            assert user.balance(url) == 5

    def test_is_dumped_by_itself_while_it_runs(self, state: Path, user: SimpleNamespace):
        running = state.with_name("state.json.running")
        with Anvil(state=state) as chain:
            user.pay(chain.url, wei=5)
            assert wait_until(lambda: user.dumped(running) >= 1, seconds=LIMIT)
            chain.kill()
        with Anvil(state=state) as chain:
            assert user.balance(chain.url) == 5

    def test_allows_a_reorganisation_right_after_a_restart(
        self, state: Path, user: SimpleNamespace
    ):
        with Anvil(state=state) as chain:
            for _ in range(5):
                user.pay(chain.url)
        with Anvil(state=state) as chain:
            json_rpc(chain.url, "anvil_rollback", 3)
            assert user.balance(chain.url) == 2

    def test_is_that_of_the_last_dump_when_a_kill_tore_a_later_one(self, state: Path):
        state.parent.mkdir()
        state.write_text('{"whole": 1}')
        torn = state.with_name("state.json.running")
        torn.write_text('{"whole": 2')
        keep_newest_state(state)
        assert state.read_text() == '{"whole": 1}'
        assert not torn.exists()

    def test_can_not_be_dumped_without_a_file(self, anvil: Anvil):
        with pytest.raises(NodeFailed, match="no state file"):
            anvil.dump()


class TestAFailure:
    def test_to_get_the_port_asked_for_says_so(self):
        port = free_port("127.0.0.1")
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(PortTaken, match=f"port {port} of 127.0.0.1 is taken"),
        ):
            Anvil(port=port).start()

    def test_to_start_shows_the_log_and_leaves_no_process(self, tmp_path: Path):
        state = tmp_path / "state.json"
        state.write_text('{"no": "state"}')
        chain = Anvil(state=state, log=tmp_path / "anvil.log")
        with pytest.raises(NodeFailed, match=r"ended instead of starting\nThe end of .*anvil\.log"):
            chain.start()
        assert not chain.process.is_running()

    def test_to_wait_for_it_leaves_no_process(self, monkeypatch: pytest.MonkeyPatch):
        def interrupted(chain: Anvil, seen: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Anvil, "_await_health", interrupted)
        chain = Anvil()
        with pytest.raises(KeyboardInterrupt):
            chain.start()
        assert not chain.process.is_running()

    def test_to_be_started_at_all_is_told(self):
        with pytest.raises(NodeFailed, match="was not started"):
            _ = Anvil().process
