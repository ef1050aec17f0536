"""The embedded chain, compared with anvil at every transaction and call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from eth_utils.address import to_checksum_address
from web3.types import RPCEndpoint, RPCResponse

from colearn_ledger.chains.evm.embedded import Clock as ChainClock
from colearn_ledger.chains.evm.embedded import EmbeddedProvider, Entropy
from colearn_ledger.chains.evm.http_provider import HttpProvider
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.waiting import wait_until_true

COMPARED: Counter[str] = Counter()
"""How many transactions and calls of each outcome were compared."""


class TwinProvider(EmbeddedProvider):
    """A provider of the embedded chain that makes its requests at an anvil too.

    anvil's blocks get the times of this chain's, and this chain's blocks the entropy of anvil's.
    """

    def __init__(
        self, anvil: Anvil, clock: ChainClock, entropy: Entropy, wealth: Mapping[bytes, int]
    ) -> None:
        self._anvil = anvil
        self._remote = HttpProvider(anvil.url)
        self._mix = bytes(32)
        super().__init__(clock, lambda _: self._mix, wealth)
        for address, balance in wealth.items():
            self._ask("anvil_setBalance", to_checksum_address(address), hex(balance))

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        if method == "eth_sendRawTransaction":
            return self._compare_transactions(params[0])
        response = super().make_request(method, params)
        if method in ("eth_call", "eth_estimateGas") and params[0].get("to"):
            self._compare_calls(params[0], response, is_estimate=method == "eth_estimateGas")
        return response

    def _compare_transactions(self, raw: str) -> RPCResponse:
        self._ask("evm_setNextBlockTimestamp", int(self._pending_time(), 16))
        name = self._ask("eth_sendRawTransaction", raw)
        theirs = wait_until_true(
            lambda: self._ask("eth_getTransactionReceipt", name), "anvil's receipt"
        )
        block = self._ask("eth_getBlockByNumber", theirs["blockNumber"], False)
        self._mix = bytes.fromhex(block["mixHash"][2:])
        response = super().make_request(RPCEndpoint("eth_sendRawTransaction"), [raw])
        assert response["result"] == name
        ours = self._receipts[name]
        made = self._blocks[-1].answer
        assert made["timestamp"] == block["timestamp"]
        assert made["number"] == block["number"] == ours["blockNumber"]
        assert _describe(ours) == _describe(theirs)
        COMPARED["transaction " + ("succeeded" if ours["status"] == "0x1" else "failed")] += 1
        return response

    def _compare_calls(
        self, call: Mapping[str, Any], response: RPCResponse, *, is_estimate: bool
    ) -> None:
        block = {"time": self._pending_time(), "random": "0x" + self._mix.hex()}
        theirs = self._remote.make_request(RPCEndpoint("eth_call"), [call, "latest", {}, block])
        error, expected = response.get("error"), theirs.get("error")
        assert (error is None) == (expected is None), (response, theirs)
        if error is not None:
            assert error.get("data") == expected.get("data")
        elif not is_estimate:
            assert response["result"] == theirs["result"]
        COMPARED["call " + ("answered" if error is None else "refused")] += 1

    def _pending_time(self) -> str:
        pending = super().make_request(RPCEndpoint("eth_getBlockByNumber"), ["pending", False])
        return str(pending["result"]["timestamp"])

    def _ask(self, method: str, *parameters: Any) -> Any:
        return json_rpc(self._anvil.url, method, *parameters)


def _describe(receipt: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what both chains must agree on."""
    contract = receipt.get("contractAddress")
    logs = [
        (log["address"].lower(), log["topics"], log["data"], log["logIndex"])
        for log in receipt["logs"]
    ]
    return receipt["status"], receipt["gasUsed"], contract and contract.lower(), logs
