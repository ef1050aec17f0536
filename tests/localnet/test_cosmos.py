"""Run Cosmos chains of real wasmd nodes: one node, and four validators."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from colearn_ledger.keys.wallet import Wallet
from colearn_localnet import processes
from colearn_localnet.cosmos import CosmosChain
from colearn_localnet.cosmos_genesis import MNEMONIC, create_chain, homes_of
from colearn_localnet.errors import AddressRefused, NetStateError, NodeFailed, PortTaken
from colearn_localnet.processes import wait_until
from colearn_localnet.rpc import get, json_rpc
from colearn_localnet.wasmd import Wasmd
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.usefixtures("wasmd_binary")

SOMEONE = "wasm1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnf2q0cj"
MISTYPED = "wasm1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnf2q0ck"
ELSEWHERE = "cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrk363e"


def balance(chain: CosmosChain, address: str, *, node: Wasmd | None = None) -> int:
    path = f"/cosmos/bank/v1beta1/balances/{address}/by_denom?denom=stake"
    return int(json.loads(get(f"{(node or chain.node).rest}{path}"))["balance"]["amount"])


def advances(node: Wasmd, *, by: int = 1) -> bool:
    goal = node.height() + by
    return wait_until(lambda: node.height() >= goal, seconds=LIMIT)


def has_ended(node: Wasmd) -> bool:
    return not node.process.is_running()


class TestRunningChain:
    def test_chain_makes_blocks_and_has_its_id_and_denomination(self, wasmd: CosmosChain):
        assert wasmd.height() >= 2
        assert advances(wasmd.node)
        status = json_rpc(wasmd.rpc, "status")
        assert status["node_info"]["network"] == wasmd.chain_id == "colearn-local"
        staking = json.loads(get(f"{wasmd.rest}/cosmos/staking/v1beta1/params"))
        assert staking["params"]["bond_denom"] == wasmd.denomination == "stake"

    def test_listens_on_loopback_only(self, wasmd: CosmosChain):
        urls = [wasmd.rpc, wasmd.rest, wasmd.grpc]
        assert all(url.startswith("http://127.0.0.1:") for url in urls)
        peer = wasmd.node.peer
        for address in (*urls, peer):
            port = int(address.rpartition(":")[2])
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.2", port), timeout=5)

    def test_ports_are_not_the_default_ones(self, wasmd: CosmosChain):
        ports = {int(url.rpartition(":")[2]) for url in (wasmd.rpc, wasmd.rest, wasmd.grpc)}
        assert len(ports) == 3
        assert not ports & {26656, 26657, 9090, 1317}

    def test_accounts_of_the_public_keys_are_funded(self, wasmd: CosmosChain):
        assert len(wasmd.keys) == len(wasmd.accounts) == 10
        assert balance(wasmd, wasmd.accounts[9]) == 10**12

    def test_accounts_and_keys_belong_to_the_mnemonic(self):
        for number, (key, address) in enumerate(
            zip(CosmosChain.keys, CosmosChain.accounts, strict=True)
        ):
            path = f"m/44'/118'/0'/0/{number}"
            wallet = Wallet.from_mnemonic(MNEMONIC, cosmos_path=path)
            assert wallet.cosmos_address("wasm") == address
            assert Wallet.from_key(key).cosmos_address("wasm") == address

    def test_gas_has_a_minimum_price(self, wasmd: CosmosChain):
        config = json.loads(get(f"{wasmd.rest}/cosmos/base/node/v1beta1/config"))
        assert Decimal(config["minimum_gas_price"].removesuffix("stake")) == Decimal("0.025")

    def test_validator_that_was_down_for_weeks_is_not_jailed(self, wasmd: CosmosChain):
        params = json.loads(get(f"{wasmd.rest}/cosmos/slashing/v1beta1/params"))["params"]
        assert int(params["signed_blocks_window"]) * 0.5 > 30 * 24 * 3600

    def test_history_is_kept_from_the_first_block_on(self, wasmd: CosmosChain):
        assert advances(wasmd.node)
        assert json_rpc(wasmd.rpc, "block", "1")["block"]["header"]["height"] == "1"
        pruning = (wasmd.node.home / "config" / "app.toml").read_text()
        assert 'pruning = "nothing"' in pruning

    def test_grpc_answers(self, wasmd: CosmosChain):
        from cosmpy.aerial.client import LedgerClient, NetworkConfig

        config = NetworkConfig(
            chain_id=wasmd.chain_id,
            fee_minimum_gas_price=0.025,
            fee_denomination="stake",
            staking_denomination="stake",
            url=f"grpc+{wasmd.grpc}",
        )
        assert LedgerClient(config).query_bank_balance(wasmd.accounts[8], "stake") == 10**12

    def test_only_the_owner_can_read_the_keys(self, wasmd: CosmosChain):
        home = wasmd.node.home
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        keys = [*(home / "keyring-test").iterdir(), *(home / "config").glob("*_key.json")]
        assert len(keys) == 4
        assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


class TestFunding:
    def test_payments_add_up(self, wasmd: CosmosChain):
        assert wasmd.fund(SOMEONE, Decimal(5)) == 5
        assert wasmd.fund(SOMEONE, Decimal("2E+1")) == 25
        assert balance(wasmd, SOMEONE) == 25

    def test_two_processes_can_pay_at_once(self, wasmd: CosmosChain, tmp_path: Path):
        """Two processes use the sequence numbers of one key."""
        program = (
            "import sys; from decimal import Decimal; from pathlib import Path;"
            "from colearn_localnet.cosmos import CosmosChain;"
            "CosmosChain(Path(sys.argv[1])).fund(sys.argv[2], Decimal(3))"
        )
        address = wasmd.accounts[7]
        before = balance(wasmd, address)
        folder = str(wasmd.node.home.parent)
        runs = [
            subprocess.Popen([sys.executable, "-c", program, folder, address]) for _ in range(2)
        ]
        assert [run.wait(timeout=LIMIT) for run in runs] == [0, 0]
        assert balance(wasmd, address) == before + 6

    @pytest.mark.parametrize("address", ["", "bob", "0x" + "ab" * 20, MISTYPED, "wasm1", "--help"])
    def test_malformed_address_is_refused(self, wasmd: CosmosChain, address: str):
        with pytest.raises(AddressRefused, match="is not an address"):
            wasmd.fund(address, Decimal(1))

    def test_address_of_another_chain_is_refused(self, wasmd: CosmosChain):
        with pytest.raises(AddressRefused, match="another chain: here addresses begin with wasm1"):
            wasmd.fund(ELSEWHERE, Decimal(1))

    @pytest.mark.parametrize("amount", ["0", "-1", "0.5", "1e18", "NaN", "Infinity"])
    def test_invalid_amount_is_refused(self, wasmd: CosmosChain, amount: str):
        with pytest.raises(AddressRefused, match="is not an amount: send a whole number of stake"):
            wasmd.fund(SOMEONE, Decimal(amount))


class TestOneNode:
    @pytest.fixture
    def chain(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CosmosChain]:
        monkeypatch.setenv("WASMD_RPC_LADDR", "tcp://127.0.0.1:1")  # the user's, for another node
        with CosmosChain(tmp_path / "chain", block_time=0.1) as chain:
            yield chain
        chain.kill()

    def test_chain_and_ports_survive_stop_and_kill_and_another_python(self, chain: CosmosChain):
        chain.fund(SOMEONE, Decimal(5))
        before = (chain.rpc, chain.grpc, chain.rest, chain.node.peer)
        height = chain.height()
        chain.stop()
        assert has_ended(chain.node)
        with pytest.raises(NodeFailed, match="no validator of the chain answers"):
            chain.height()
        chain.start()
        assert chain.height() > height
        chain.kill()
        assert has_ended(chain.node)
        again = CosmosChain(chain.node.home.parent, block_time=0.1).start()
        assert (again.rpc, again.grpc, again.rest, again.node.peer) == before
        assert balance(again, SOMEONE) == 5
        again.stop()

    def test_another_python_attaches_instead_of_starting_twice(self, chain: CosmosChain):
        other = CosmosChain(chain.node.home.parent)
        started: list[Wasmd] = []
        other.start(started=started.append)
        assert other.node.process == chain.node.process
        assert not started

    def test_taken_ports_are_replaced(self, chain: CosmosChain):
        height, rpc = chain.height(), chain.rpc
        chain.stop()
        with socket.create_server(("127.0.0.1", int(rpc.rpartition(":")[2]))):
            chain.start()
            assert chain.rpc != rpc
        assert chain.height() > height

    def test_failed_payment_gives_the_reason(self, chain: CosmosChain):
        most = Decimal(9 * 10**17)
        assert chain.fund(SOMEONE, most) == most
        with pytest.raises(NodeFailed, match=r"the payment failed: .*insufficient funds"):
            chain.fund(SOMEONE, most)
        chain.kill()
        with pytest.raises(NodeFailed, match=r"the payment was refused: .*connection refused"):
            chain.fund(SOMEONE, most)

    def test_number_of_validators_and_release_cannot_change(self, chain: CosmosChain):
        folder = chain.node.home.parent
        with pytest.raises(NetStateError, match=r"first block: .* has 1, not 2"):
            CosmosChain(folder, validators=2).start()
        with pytest.raises(NetStateError, match=r"first block: .* has 0\.70, not 0\.27"):
            CosmosChain(folder, wasmd="0.27").start()


class TestFailure:
    def test_failed_start_shows_the_log_and_leaves_no_process(self, tmp_path: Path):
        with CosmosChain(tmp_path, block_time=0.1) as chain:
            pass
        (tmp_path / "wasmd-1" / "config" / "genesis.json").write_text("{")
        with pytest.raises(NodeFailed, match=r"wasmd ended instead of starting\nThe end of .*log"):
            chain.start()
        assert has_ended(chain.node)

    def test_interrupted_start_leaves_no_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def interrupt(chain: CosmosChain) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(CosmosChain, "_await_blocks", interrupt)
        chain = CosmosChain(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            chain.start()
        assert has_ended(chain.node)

    def test_ports_taken_three_times_are_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Another process always takes the ports first."""
        with socket.socket() as other:  # bound, but not listening
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
            ports = {"p2p": port, "rpc": port, "grpc": port, "rest": port}

            def choose_it(node: Wasmd, reserved: Collection[int] = ()) -> tuple[()]:
                vars(node).update(_ports=ports)
                return ()

            monkeypatch.setattr(Wasmd, "choose_ports", choose_it)
            with pytest.raises(PortTaken, match="other processes took its ports 3 times"):
                CosmosChain(tmp_path).start()

    def test_failed_creation_leaves_no_partial_chain(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        release, broken = RELEASES[DEFAULT_RELEASE], tmp_path / "wasmd"
        answer = f'[ "$1" = version ] && echo {release.version} && exit'
        broken.write_text(f"#!/bin/sh\n{answer}\necho no room >&2\nexit 1\n")
        broken.chmod(0o755)
        with monkeypatch.context() as path:
            path.setenv("PATH", str(tmp_path), prepend=os.pathsep)
            with pytest.raises(NodeFailed, match="wasmd cannot create a chain: no room"):
                create_chain(tmp_path / "chain", 1, release)
        assert homes_of(tmp_path / "chain") == ()
        (tmp_path / "chain" / "wasmd-2").mkdir()  # as after a kill between the moves
        assert homes_of(tmp_path / "chain") == ()
        homes = create_chain(tmp_path / "chain", 1, release)
        assert [home.name for home in homes] == ["wasmd-1"]

    def test_process_before_the_first_start_is_an_error(self, tmp_path: Path):
        with pytest.raises(NodeFailed, match="wasmd was not started"):
            _ = Wasmd(tmp_path).process


class TestFourValidators:
    def test_validators_have_different_ports(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Ports are chosen before any validator listens."""
        drawn = iter(sorted([*range(21_000, 21_016)] * 2))  # each port is drawn twice
        monkeypatch.setattr(processes, "free_port", lambda host: next(drawn))
        monkeypatch.setattr(processes, "is_free", lambda host, port: True)
        monkeypatch.setattr(Wasmd, "start", lambda node: None)
        monkeypatch.setattr(CosmosChain, "_await_blocks", lambda chain: None)
        chain = CosmosChain(tmp_path, validators=4)
        chain.start()
        asked = [[node.peer, node.rpc, node.grpc, node.rest] for node in chain.nodes]
        assert len({text.rpartition(":")[2] for texts in asked for text in texts}) == 16

    def test_chain_continues_without_one_validator_which_catches_up_later(self, tmp_path: Path):
        with CosmosChain(tmp_path, validators=4) as chain:
            assert len({node.peer for node in chain.nodes}) == 4
            assert [node.connections() for node in chain.nodes] == [3, 3, 3, 3]
            lost, *others = chain.nodes
            lost.kill()
            assert chain.node is others[0]
            assert chain.fund(SOMEONE, Decimal(5)) == 5
            missed = others[2].height()
            lost.start()
            assert wait_until(lambda: lost.height() > missed, seconds=LIMIT)
            assert balance(chain, SOMEONE, node=lost) == 5
            assert wait_until(lambda: signs(lost, others[0]), seconds=LIMIT)
            chain.kill()


def signs(validator: Wasmd, witness: Wasmd) -> bool:
    """Return whether a validator signed the newest block of another one."""
    key = json.loads((validator.home / "config" / "priv_validator_key.json").read_text())
    commit = json_rpc(witness.rpc, "commit", str(witness.height()))["signed_header"]["commit"][
        "signatures"
    ]
    return key["address"] in {one["validator_address"] for one in commit if one["signature"]}
