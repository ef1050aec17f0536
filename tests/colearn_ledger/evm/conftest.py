"""Chains with a deployed contract, and a provider that changes the answers of nodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from colearn_localnet.anvil import Anvil
from tests.support.anvil_chain import Chain, RequestObserver
from tests.support.evm_world import FaultyNode, Place
from tests.support.faulty_proxy import FaultyProxy


@pytest.fixture(scope="module")
def place() -> Place:
    return Place()


@pytest.fixture
def node(place: Place) -> FaultyNode:
    return FaultyNode(place.chain.provider)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with Anvil() as anvil:
        yield Chain(anvil, tmp_path / "sent")


@pytest.fixture
def watched(chain: Chain) -> Iterator[RequestObserver]:
    with FaultyProxy(chain.anvil.url) as proxy:
        yield RequestObserver(proxy)
