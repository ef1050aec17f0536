"""Run anvil as a chain that survives its process."""

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
from colearn_localnet.toolchains import cache_folder
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.usefixtures("node_binaries")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "chain" / "state.json"


class TestRunningChain:
    def test_url_answers_with_the_chain_id(self, anvil: Anvil):
        assert int(json_rpc(anvil.url, "eth_chainId"), 16) == 31337

    def test_listens_on_loopback_only(self, anvil: Anvil):
        assert anvil.url.startswith("http://127.0.0.1:")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", anvil.port), timeout=2)

    def test_accounts_of_its_keys_are_funded(self, anvil: Anvil, user: SimpleNamespace):
        assert len(anvil.keys) == 10
        account = Account.from_key(anvil.keys[3]).address
        assert user.balance(anvil.url, of=account) == 10_000 * 10**18

    def test_second_chain_gets_another_port(self, anvil: Anvil):
        with Anvil(chain_id=77) as other:
            assert other.port != anvil.port
            assert int(json_rpc(other.url, "eth_chainId"), 16) == 77

    def test_block_time_mines_at_intervals(self, user: SimpleNamespace):
        with Anvil(block_time=0.1) as chain:
            assert wait_until(lambda: user.block(chain.url) >= 3, seconds=LIMIT)

    def test_long_chain_writes_no_states_to_the_home_folder(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache_folder().parent))  # where anvil itself is
        monkeypatch.setenv("HOME", str(tmp_path))
        with Anvil() as chain:
            json_rpc(chain.url, "anvil_mine", "0x500")
            assert int(json_rpc(chain.url, "eth_blockNumber"), 16) == 0x500
            assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    def test_errors_of_the_node_are_reported(self, anvil: Anvil):
        with pytest.raises(NodeFailed, match="eth_nonsense"):
            json_rpc(anvil.url, "eth_nonsense")
        with pytest.raises(NodeFailed, match="answered 4"):
            post(f"{anvil.url}/nowhere")


class TestState:
    def test_state_survives_stop_and_start(self, state: Path, user: SimpleNamespace):
        with Anvil(state=state) as chain:
            user.pay(chain.url, wei=5)
            number = user.block(chain.url)
        with Anvil(state=state) as chain:
            assert user.balance(chain.url) == 5
            assert user.block(chain.url) == number

    def test_state_and_port_survive_ten_kills(self, state: Path, user: SimpleNamespace):
        with Anvil(state=state) as chain:
            url = chain.url
            for payments in range(1, 11):
                user.pay(url)
                chain.dump()
                chain.kill()
                chain.start()
                assert (chain.url, user.balance(url)) == (url, payments)

    def test_state_survives_a_kill_up_to_the_last_dump(self, state: Path, user: SimpleNamespace):
        with Anvil(state=state) as chain:
            url = chain.url
            user.pay(url, wei=5)
            chain.dump()
            chain.kill()
            assert not chain.process.is_running()
            chain.start()
            assert chain.url == url
            assert user.balance(url) == 5

    def test_state_is_dumped_while_the_chain_runs(self, state: Path, user: SimpleNamespace):
        running = state.with_name("state.json.running")
        with Anvil(state=state) as chain:
            user.pay(chain.url, wei=5)
            assert wait_until(lambda: user.last_dumped_block(running) >= 1, seconds=LIMIT)
            chain.kill()
        with Anvil(state=state) as chain:
            assert user.balance(chain.url) == 5

    def test_reorganisation_right_after_a_restart_works(self, state: Path, user: SimpleNamespace):
        with Anvil(state=state) as chain:
            for _ in range(5):
                user.pay(chain.url)
        with Anvil(state=state) as chain:
            json_rpc(chain.url, "anvil_rollback", 3)
            assert user.balance(chain.url) == 2

    def test_torn_dump_is_dropped_and_the_older_state_kept(self, state: Path):
        state.parent.mkdir()
        state.write_text('{"whole": 1}')
        torn = state.with_name("state.json.running")
        torn.write_text('{"whole": 2')
        keep_newest_state(state)
        assert state.read_text() == '{"whole": 1}'
        assert not torn.exists()

    def test_dump_without_a_state_file_is_refused(self, anvil: Anvil):
        with pytest.raises(NodeFailed, match="no state file"):
            anvil.dump()


class TestFailure:
    def test_taken_port_is_reported(self):
        port = free_port("127.0.0.1")
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(PortTaken, match=f"port {port} of 127.0.0.1 is taken"),
        ):
            Anvil(port=port).start()

    def test_failed_start_shows_the_log_and_leaves_no_process(self, tmp_path: Path):
        state = tmp_path / "state.json"
        state.write_text('{"no": "state"}')
        chain = Anvil(state=state, log=tmp_path / "anvil.log")
        with pytest.raises(NodeFailed, match=r"ended instead of starting\nThe end of .*anvil\.log"):
            chain.start()
        assert not chain.process.is_running()

    def test_interrupted_start_leaves_no_process(self, monkeypatch: pytest.MonkeyPatch):
        def interrupt(chain: Anvil, offset: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Anvil, "_await_health", interrupt)
        chain = Anvil()
        with pytest.raises(KeyboardInterrupt):
            chain.start()
        assert not chain.process.is_running()

    def test_process_before_the_first_start_is_an_error(self):
        with pytest.raises(NodeFailed, match="was not started"):
            _ = Anvil().process
