"""Helpers that use the nodes like a client, and networks that are deleted afterwards."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from colearn_localnet.cosmos import CosmosChain
from colearn_localnet.install import find_binary
from colearn_localnet.kubo import Kubo
from colearn_localnet.net import Localnet
from colearn_localnet.rpc import json_rpc, post
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES
from tests.support.installing import skip_if_not_installable

SOMEONE = "0x00000000000000000000000000000000000000AA".lower()


def add(api_url: str, data: bytes) -> str:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    connection = http.client.HTTPConnection(urlsplit(api_url).netloc, timeout=30)
    connection.request(
        "POST",
        "/api/v0/add?cid-version=1&raw-leaves=true&pin=true",
        head + data + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    answer = connection.getresponse().read()
    connection.close()
    return str(json.loads(answer.splitlines()[-1])["Hash"])


def cat(api_url: str, cid: str, *, seconds: float = 30.0) -> bytes:
    return post(f"{api_url}/api/v0/cat?arg={cid}", seconds=seconds)


def pins(api_url: str) -> set[str]:
    answer = json.loads(post(f"{api_url}/api/v0/pin/ls?type=recursive"))
    return set(answer["Keys"])


def pay(url: str, *, to: str = SOMEONE, wei: int = 1) -> int:
    """Send wei and return the receiver's balance once the payment is in a block."""
    payer = json_rpc(url, "eth_accounts")[0]
    sent = json_rpc(url, "eth_sendTransaction", {"from": payer, "to": to, "value": hex(wei)})
    while json_rpc(url, "eth_getTransactionReceipt", sent) is None:
        pass
    return balance(url, of=to)


def balance(url: str, *, of: str = SOMEONE) -> int:
    return int(json_rpc(url, "eth_getBalance", of, "latest"), 16)


def block(url: str) -> int:
    return int(json_rpc(url, "eth_blockNumber"), 16)


def last_dumped_block(state: Path) -> int:
    """Return the last block in an anvil's dump; -1 if there is no complete dump yet."""
    try:
        return int(json.loads(state.read_bytes())["block"]["number"], 16)
    except (FileNotFoundError, ValueError):
        return -1


@pytest.fixture(scope="session")
def user() -> SimpleNamespace:
    return SimpleNamespace(
        someone=SOMEONE,
        add=add,
        cat=cat,
        pins=pins,
        pay=pay,
        balance=balance,
        block=block,
        last_dumped_block=last_dumped_block,
    )


@pytest.fixture(scope="session")
def wasmd_binary() -> None:
    with skip_if_not_installable():
        find_binary(RELEASES[DEFAULT_RELEASE].recipe)


@pytest.fixture(scope="session")
def wasmd(tmp_path_factory: pytest.TempPathFactory, wasmd_binary: None) -> Iterator[CosmosChain]:
    """Start a Cosmos chain of one node that all tests share."""
    with CosmosChain(tmp_path_factory.mktemp("wasmd"), block_time=0.2) as chain:
        yield chain


@pytest.fixture
def net(tmp_path: Path, node_binaries: None) -> Iterator[Localnet]:
    net = Localnet(tmp_path / "net")
    yield net
    net.down(wipe=True)


@pytest.fixture
def kubo(tmp_path: Path, node_binaries: None) -> Iterator[Callable[..., Kubo]]:
    """Return a function that starts nodes; they are killed at the end."""
    nodes: list[Kubo] = []

    def start_node(name: str, **options: object) -> Kubo:
        nodes.append(Kubo(tmp_path / name, **options))  # type: ignore[arg-type]
        return nodes[-1].start()

    yield start_node
    for node in nodes:
        node.kill()
