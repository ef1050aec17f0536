"""The contract of content stores, on every kind of store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colearn_ledger.weights.store import ContentStore
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.stores.kubo import KuboStore, ipfshttpclient_rpc
from colearn_ledger.weights.stores.kubo_rpc import HttpKuboRpc
from colearn_ledger.weights.stores.open_store import open_store
from tests.support.store_contract import StoreContract

if TYPE_CHECKING:
    from colearn_localnet.kubo import Kubo


class TestDirectoryStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ContentStore:
        return DirectoryStore(tmp_path)


class TestKuboStore(StoreContract):
    @pytest.fixture(params=[HttpKuboRpc, ipfshttpclient_rpc], ids=["http", "ipfshttpclient"])
    def store(self, swarm: tuple[Kubo, Kubo], request: pytest.FixtureRequest) -> ContentStore:
        return KuboStore(swarm[0].api, client=request.param)


class TestFolderNodeAndGateway(StoreContract):
    @pytest.fixture
    def store(self, swarm: tuple[Kubo, Kubo], tmp_path: Path) -> ContentStore:
        return open_store(f"{tmp_path}, {swarm[0].api_url}, gateway:{swarm[0].gateway}")


class TestTwoNodes(StoreContract):
    @pytest.fixture
    def store(self, swarm: tuple[Kubo, Kubo]) -> ContentStore:
        return open_store(f"{swarm[0].api},{swarm[1].api}")
