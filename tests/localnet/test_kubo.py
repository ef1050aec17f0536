"""Run IPFS nodes in a private swarm, where they find each other's content."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from colearn_localnet.errors import NodeFailed
from colearn_localnet.kubo import Kubo, join, new_swarm_key
from colearn_localnet.processes import wait_until
from colearn_localnet.rpc import post
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.usefixtures("node_binaries")

Swarm = tuple[Kubo, ...]
Make = Callable[..., Kubo]


class TestSwarm:
    def test_every_node_is_connected_to_every_other(self, kubo_swarm: Swarm):
        ids = {node.peer_id for node in kubo_swarm}
        assert all(node.connections() == ids - {node.peer_id} for node in kubo_swarm)

    @pytest.mark.parametrize("size", [10, 3_000_000])
    def test_content_added_at_one_node_is_found_at_another(
        self, kubo_swarm: Swarm, user: SimpleNamespace, size: int
    ):
        data = os.urandom(size)
        cid = user.add(kubo_swarm[0].api_url, data)
        assert user.cat(kubo_swarm[2].api_url, cid) == data

    def test_content_is_served_by_every_gateway(self, kubo_swarm: Swarm, user: SimpleNamespace):
        from urllib.request import ProxyHandler, build_opener

        data = os.urandom(100)
        cid = user.add(kubo_swarm[1].api_url, data)
        address = f"{kubo_swarm[0].gateway}/ipfs/{cid}?format=raw"
        with build_opener(ProxyHandler({})).open(address, timeout=30) as answer:
            assert answer.read() == data

    def test_addresses_have_the_format_of_clients(self, kubo_swarm: Swarm):
        one = kubo_swarm[0]
        port = one.api_url.rpartition(":")[2]
        assert one.api == f"/ip4/127.0.0.1/tcp/{port}/http"
        assert one.address.startswith("/ip4/127.0.0.1/tcp/")
        assert one.address.endswith(f"/p2p/{one.peer_id}")

    def test_nodes_listen_on_loopback_only_and_have_no_public_peers(self, kubo_swarm: Swarm):
        answer = json.loads(post(f"{kubo_swarm[0].api_url}/api/v0/id"))
        assert all(address.startswith("/ip4/127.0.0.1/tcp/") for address in answer["Addresses"])
        config = json.loads(post(f"{kubo_swarm[0].api_url}/api/v0/config/show"))
        assert config["Bootstrap"] == []
        assert not config["Discovery"]["MDNS"]["Enabled"]
        assert not config["AutoConf"]["Enabled"]

    def test_only_the_owner_can_read_the_swarm_key(self, kubo: Make, tmp_path: Path):
        node = kubo("a")
        file = tmp_path / "a" / "swarm.key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert node.swarm is not None
        assert node.swarm.hex() in file.read_text()

    def test_node_without_a_swarm_key_does_not_start(
        self, kubo: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(Kubo, "_keep_swarm_key", lambda node: None)
        with pytest.raises(NodeFailed, match="ended instead of starting"):
            kubo("a")
        assert "private network was not configured" in (tmp_path / "a" / "daemon.log").read_text()

    def test_node_with_another_key_cannot_connect(self, kubo: Make):
        one, stranger = kubo("a", swarm=new_swarm_key()), kubo("b", swarm=new_swarm_key())
        assert not stranger.connect(one.address)
        assert stranger.connections() == frozenset()


class TestRestart:
    def test_identity_ports_key_and_pins_survive_a_restart(self, kubo: Make, user: SimpleNamespace):
        node = kubo("a")
        cid = user.add(node.api_url, b"kept")
        before = (node.api, node.gateway, node.address, node.swarm)
        node.stop()
        assert not node.process.is_running()
        again = kubo("a")
        assert (again.api, again.gateway, again.address, again.swarm) == before
        assert cid in user.pins(again.api_url)
        assert user.cat(again.api_url, cid) == b"kept"

    def test_two_servers_of_a_node_never_share_a_port(self, kubo: Make, tmp_path: Path):
        node = kubo("a")
        node.stop()
        file = tmp_path / "a" / "config"
        config = json.loads(file.read_text())
        config["Addresses"]["Gateway"] = config["Addresses"]["API"]
        file.write_text(json.dumps(config))
        again = kubo("a")
        assert again.api == node.api
        assert again.gateway != again.api_url

    def test_killed_node_finds_its_peers_and_content_again(self, kubo: Make, user: SimpleNamespace):
        key = new_swarm_key()
        one, two = kubo("a", swarm=key), kubo("b", swarm=key)
        join((one, two))
        cid = user.add(one.api_url, b"kept")
        one.kill()
        assert not one.process.is_running()
        one.start()
        assert one.connections() == {two.peer_id}
        assert user.cat(two.api_url, cid) == b"kept"

    def test_node_connects_to_its_given_peers(self, kubo: Make):
        key = new_swarm_key()
        one = kubo("a", swarm=key)
        two = kubo("b", swarm=key, peers=[one.address])
        assert two.connections() == {one.peer_id}

    def test_missing_peer_does_not_delay_the_start(self, kubo: Make):
        key = new_swarm_key()
        one = kubo("a", swarm=key)
        one.stop()
        two = kubo("b", swarm=key, peers=[one.address])
        assert two.connections() == frozenset()
        one.start()
        assert two.connect(one.address)
        assert wait_until(lambda: one.connections() == {two.peer_id}, seconds=LIMIT)

    def test_taken_ports_are_replaced(self, kubo: Make):
        import socket

        node = kubo("a")
        before = node.api_url
        node.stop()
        with socket.create_server(("127.0.0.1", int(before.rpartition(":")[2]))):
            node.start()
            assert node.api_url != before


class TestFailure:
    def test_failed_start_shows_the_log_and_leaves_no_process(self, tmp_path: Path, kubo: Make):
        node = kubo("a")
        node.stop()
        (tmp_path / "a" / "version").write_text("99")
        with pytest.raises(NodeFailed, match=r"ended instead of starting\nThe end of .*daemon"):
            node.start()
        assert not node.process.is_running()

    def test_interrupted_start_leaves_no_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def interrupt(node: Kubo, offset: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Kubo, "_await_health", interrupt)
        node = Kubo(tmp_path / "a")
        with pytest.raises(KeyboardInterrupt):
            node.start()
        assert not node.process.is_running()

    @pytest.mark.parametrize("peer", ["", "/ip4/127.0.0.1/tcp/1", "somebody", "/p2p/12D3KooW"])
    def test_malformed_peer_address_is_refused_with_the_format(self, tmp_path: Path, peer: str):
        with pytest.raises(NodeFailed, match="is not a peer's address"):
            Kubo(tmp_path / "a", peers=[peer]).start()

    def test_short_swarm_key_is_refused(self, tmp_path: Path):
        with pytest.raises(NodeFailed, match="32 bytes, not 5"):
            Kubo(tmp_path, swarm=b"short")
