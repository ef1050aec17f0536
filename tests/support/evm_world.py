"""A chain with the contract, and a node with configurable faults, for tests of the EVM ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from web3.providers.base import BaseProvider

from colearn_ledger.chains.evm import EvmConfig, EvmLedger
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account, ExperimentId
from tests.support.joining import join
from tests.support.samples import params


class Place:
    """A contract on a chain whose clock moves only when a test moves it."""

    def __init__(self) -> None:
        self.time = 1_700_000_000
        self.chain = EmbeddedChain(clock=lambda: self.time)
        self.ana, self.bob, self.cy = (Wallet.create() for _ in range(3))
        self.ledger = self.chain.deploy(self.ana)
        for wallet in (self.bob, self.cy):
            self.chain.fund(wallet)

    def create_and_join(self, **changes: Any) -> ExperimentId:
        """Create an experiment as ana, join it as ana and bob, and return its id."""
        experiment = self.ledger.create(params(**changes)).wait().experiment
        for wallet in (self.ana, self.bob):
            join(self.ledger.acting_for(wallet), experiment).wait()
        return experiment

    def deploy_with_changed_queries(self) -> Account:
        """Deploy the contract with one changed byte in the code of its queries."""
        artifact = load_artifact()
        changed = artifact.queries[:-1] + bytes([artifact.queries[-1] ^ 1])
        assert artifact.bytecode.count(artifact.queries) == 1
        sender = self.ledger._channel.sender
        creation = artifact.bytecode.replace(artifact.queries, changed)
        receipt = sender.wait(sender.send(self.ana, None, creation), None)
        assert receipt.succeeded
        assert receipt.contract is not None
        return Account(receipt.contract)

    def connect(self, provider: BaseProvider, wallet: Wallet, **config: Any) -> EvmLedger:
        chain_id = self.ledger.domain.chain_id
        settings = EvmConfig(**{"chain_id": chain_id, "poll_seconds": 0.01, **config})
        return EvmLedger.connect(provider, self.ledger.contract, wallet, config=settings)


Answer = Callable[[], Any]


class FaultyNode(BaseProvider):
    """A provider that forwards requests and may replace the responses.

    ``overrides`` maps a method to a function. The function receives the request's parameters and a
    callable that asks the honest node, and returns the response.
    """

    def __init__(self, honest: BaseProvider) -> None:
        super().__init__()
        self._honest = honest
        self.overrides: dict[str, Callable[[list[Any], Answer], Any]] = {}
        self.requested: list[str] = []

    def request_func(self, w3: Any, middleware_onion: Any) -> Any:
        ask = self._honest.request_func(w3, middleware_onion)

        def answer(method: str, parameters: list[Any]) -> Any:
            self.requested.append(method)
            override = self.overrides.get(method, lambda _, honest: honest())
            return override(parameters, lambda: ask(method, parameters))

        return answer

    def answer(self, method: str, result: Any) -> None:
        """Replace the node's answer to a method with this result."""
        self.overrides[method] = lambda *_: {"jsonrpc": "2.0", "id": 1, "result": result}

    def refuse(self, method: str, message: str, code: int = -32_000) -> None:
        """Replace the node's answer to a method with an error."""
        error = {"code": code, "message": message}
        self.overrides[method] = lambda *_: {"jsonrpc": "2.0", "id": 1, "error": error}
