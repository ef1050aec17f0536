"""A contract on an anvil that mines on request, and threads that wait for its transactions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from colearn_ledger.chains.evm import EvmConfig, EvmLedger, EvmSenderConfig
from colearn_ledger.chains.evm.http_provider import HttpConfig
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Pending, Receipt
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.faulty_proxy import FaultyProxy
from tests.support.waiting import LIMIT, BackgroundCall, wait_until_true


class Chain:
    """An anvil that mines on request, with a deployed contract."""

    def __init__(self, anvil: Anvil, folder: Path) -> None:
        self.anvil = anvil
        self.folder = folder
        self.wallet = Wallet.from_key(anvil.keys[0])
        self.other = Wallet.from_key(anvil.keys[1])
        deployed = EvmLedger.deploy(anvil.url, self.wallet, config=self.config())
        self.contract = deployed.contract
        self.ledger = deployed
        self("evm_setAutomine", False)

    def __call__(self, method: str, *parameters: Any) -> Any:
        return json_rpc(self.anvil.url, method, *parameters)

    def config(self, **sending: Any) -> EvmConfig:
        sending = {"journal": self.folder, "bump_after": 60, "fee_seconds": 0.0, **sending}
        return EvmConfig(
            chain_id=31337,
            sending=EvmSenderConfig(**sending),
            poll_seconds=0.02,
            websocket="off",
            http=HttpConfig(timeout=LIMIT, first_pause=0.01),
        )

    def view(self, wallet: Wallet | None = None, url: str = "", **sending: Any) -> EvmLedger:
        return EvmLedger.connect(
            url or self.anvil.url,
            self.contract,
            wallet or self.wallet,
            config=self.config(**sending),
        )

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self("evm_mine")

    def head(self) -> int:
        return int(self("eth_blockNumber"), 16)

    def pool(self, wallet: Wallet | None = None) -> dict[int, dict[str, Any]]:
        """Return the transactions in the pool, by nonce."""
        content = self("txpool_content")
        mine = {k.lower(): v for k, v in content["pending"].items()}
        return {
            int(n): tx for n, tx in mine.get((wallet or self.wallet).address.lower(), {}).items()
        }

    def nonce(self, wallet: Wallet | None = None) -> int:
        return int(self("eth_getTransactionCount", (wallet or self.wallet).address, "latest"), 16)

    def read_journal(self, wallet: Wallet | None = None) -> list[dict[str, Any]]:
        [path] = self.folder.rglob(f"{(wallet or self.wallet).address}.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]


class WaitingThread:
    """Thread that waits for a transaction."""

    def __init__(self, pending: Pending) -> None:
        self._running = BackgroundCall(pending.wait, LIMIT)

    def receipt(self) -> Receipt:
        return self._running.result()

    @property
    def is_waiting(self) -> bool:
        return self._running.is_running


class RequestObserver:
    """Observer of the requests that a ledger sends to its node."""

    def __init__(self, proxy: FaultyProxy) -> None:
        self.url = proxy.url
        self._proxy = proxy

    def wait_for_receipt_request(self) -> None:
        """Wait until the ledger has sent a new request for a receipt and received its answer."""
        needed = self._count_requests() + 2  # the first may already be in flight
        wait_until_true(lambda: self._count_requests() >= needed, "a request for the receipt")

    def _count_requests(self) -> int:
        return self._proxy.asked.count("eth_getTransactionReceipt")
