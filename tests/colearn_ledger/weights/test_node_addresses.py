"""Addresses of nodes, and the secrets in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from colearn_ledger.weights.stores.addresses import NodeAddress, StoreNotUsable
from colearn_ledger.weights.stores.kubo import KuboStore, ipfshttpclient_rpc
from colearn_ledger.weights.stores.kubo_rpc import HttpKuboRpc
from colearn_ledger.weights.stores.open_store import open_store
from tests.support.faulty_server import run_server
from tests.support.good_answers import CONTENT, DATA, PATIENT, serve
from tests.support.store_contract import read_content


@pytest.fixture(params=[HttpKuboRpc, ipfshttpclient_rpc], ids=["http", "ipfshttpclient"])
def make_store(request: pytest.FixtureRequest) -> Callable[..., KuboStore]:
    return partial(KuboStore, client=request.param)


class TestAddresses:
    @pytest.mark.parametrize(
        ("api", "host"),
        [
            ("http://127.0.0.1:{port}", "127.0.0.1:{port}"),
            ("http://localhost:{port}/", "localhost:{port}"),
            ("http://localhost:{port}/behind/a/proxy/", "localhost:{port}"),
            ("/ip4/127.0.0.1/tcp/{port}", "127.0.0.1:{port}"),
            ("/ip4/127.0.0.1/tcp/{port}/http", "127.0.0.1:{port}"),
            ("/dns/localhost/tcp/{port}/http", "localhost:{port}"),
        ],
    )
    def test_urls_and_multiaddrs_are_parsed(self, make_store, api: str, host: str):
        with run_server(serve) as server:
            port = server.url.rpartition(":")[2]
            store = make_store(api.format(port=port), patience=PATIENT)
            assert read_content(store, CONTENT) == DATA
            [call] = server.calls
        assert call.headers["host"] == host.format(port=port)
        assert call.handler.path.startswith("/behind/a/proxy/api/v0/cat" if "proxy" in api else "/")

    @pytest.mark.parametrize(
        "api",
        [
            "", "127.0.0.1:5001", "ftp://host", "http://", "http://host:99999", "http://[::1",
            "/ip4/1.2.3.4/udp/5001", "/ip4/nonsense/tcp/1", "/ip4/1.2.3.4", "/dns/h/tcp/70000",
            "http://host?x=y", "/unix/run/ipfs.sock", "/ip4/1.2.3.4/tcp/1/http/x",
        ],
    )  # fmt: skip
    def test_malformed_addresses_are_refused_at_once(self, api: str):
        with pytest.raises(StoreNotUsable, match="is not the address of"):
            KuboStore(api)

    def test_parsed_address_does_not_show_its_secrets(self):
        for api, token in (("http://127.0.0.1:1", "s3cret"), ("http://ann:s3cret@127.0.0.1", None)):
            address = NodeAddress.parse(api, token=token)
            assert address.authorization
            assert "s3cret" not in repr(address)
            assert address.authorization not in repr(address)

    def test_secret_in_a_malformed_address_is_not_shown(self):
        with pytest.raises(StoreNotUsable) as caught:
            KuboStore("htp://ann:s3cret@host")
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("token", ["", "a\nb", "ü", "a\r\nX: y"])
    def test_malformed_tokens_are_refused(self, token: str):
        with pytest.raises(StoreNotUsable, match="token"):
            KuboStore("http://127.0.0.1:5001", token=token)

    def test_token_together_with_a_password_is_refused(self):
        with pytest.raises(StoreNotUsable, match="one of them"):
            KuboStore("http://ann:pw@127.0.0.1:5001", token="t")

    def test_token_over_plain_http_causes_a_warning(self, caplog):
        KuboStore("http://192.0.2.1:5001", token="s3cret")
        assert "use https" in caplog.text
        assert "s3cret" not in caplog.text

    def test_netrc_does_not_replace_the_token(self, make_store, tmp_path, monkeypatch):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        with run_server(serve) as server:
            read_content(make_store(server.url, token="mine", patience=PATIENT), CONTENT)
            assert server.calls[0].headers["authorization"] == "Bearer mine"

    def test_missing_package_is_reported_with_the_command_that_installs_it(self, monkeypatch):
        module = "colearn_ledger.weights.stores.kubo_ipfshttpclient"
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, "ipfshttpclient", None)
        with pytest.raises(StoreNotUsable, match=r"pip install 'colearn-ledger\[ipfs\]'"):
            open_store("ipfs+ipfshttpclient:http://127.0.0.1:5001")

    def test_package_is_loaded_only_if_it_is_named(self):
        program = (
            "import sys; from colearn_ledger.weights.stores.open_store import open_store;"
            "open_store('http://127.0.0.1:5001');"
            "print('ipfshttpclient' in sys.modules, 'requests' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert run.stdout.split() == ["False", "False"]
