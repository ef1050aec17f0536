"""EvmLedger refuses malformed answers of a node."""

from __future__ import annotations

from typing import Any

import pytest

from colearn_ledger.chains.evm import (
    BadAnswer,
    TransactionFailed,
)
from colearn_ledger.protocol import (
    ExperimentId,
    LedgerError,
)
from tests.support.evm_world import FaultyNode, Place
from tests.support.samples import params


class TestMalformedAnswers:
    @pytest.mark.parametrize(
        "result",
        [None, "", "0x", "0x1", "0xzz", 7, -1, [], {}, True, "0x" + "ff" * 33, "0x" + "00" * 64],
        ids=repr,
    )
    def test_malformed_answer_to_a_query_is_refused(
        self, place: Place, node: FaultyNode, result: Any
    ):
        ledger = place.connect(node, place.ana)
        node.answer("eth_call", result)
        with pytest.raises(BadAnswer):
            ledger.experiment(ExperimentId(1))

    @pytest.mark.parametrize(
        "response",
        [
            None,
            "no",
            [],
            {},
            {"jsonrpc": "2.0"},
            {"error": "boom"},
            {"error": {"message": None}},
            {"error": {"code": "x", "message": 7, "data": 9}},
            {"error": {"code": 3, "message": "execution reverted", "data": "0xzz"}},
            {"error": {"code": 3, "message": "execution reverted", "data": "0x1234"}},
            {"error": {"code": 3, "message": "execution reverted"}},
        ],
        ids=repr,
    )
    def test_malformed_response_raises_ledger_error(
        self, place: Place, node: FaultyNode, response: Any
    ):
        ledger = place.connect(node, place.ana)
        for method, use in {
            "eth_call": lambda: ledger.experiment(ExperimentId(1)),
            "eth_estimateGas": lambda: ledger.start(ExperimentId(1)),
            "eth_blockNumber": lambda: ledger.wait_for_change(1),
            "eth_getBlockByNumber": ledger.now,
            "eth_getLogs": lambda: ledger._channel.node.logs(ledger.contract, [], 0, 1),
            "eth_getBalance": lambda: ledger._channel.node.balance(ledger.account),
        }.items():
            node.overrides[method] = lambda *_: response
            with pytest.raises(LedgerError):
                use()
            del node.overrides[method]

    @pytest.mark.parametrize("field", ["status", "block_number", "gas_used", "logs"])
    @pytest.mark.parametrize("value", [None, "x", -1, {}, [1]], ids=repr)
    def test_malformed_receipt_is_refused(
        self, place: Place, node: FaultyNode, field: str, value: Any
    ):
        names = {"block_number": "blockNumber", "gas_used": "gasUsed"}
        ledger = place.connect(node, place.ana)

        def spoil(_: list[Any], honest: Any) -> Any:
            response = honest()
            spoilt = {**response["result"], names.get(field, field): value}
            return {**response, "result": spoilt}

        node.overrides["eth_getTransactionReceipt"] = spoil
        with pytest.raises(BadAnswer):
            ledger.create(params()).wait()

    def test_hash_of_another_transaction_is_refused(self, place: Place, node: FaultyNode):
        ledger = place.connect(node, place.ana)
        node.answer("eth_sendRawTransaction", "0x" + "ab" * 32)
        with pytest.raises(BadAnswer, match="the hash of another transaction"):
            ledger.create(params())

    def test_exception_of_a_provider_becomes_a_ledger_error(self, place: Place, node: FaultyNode):
        ledger = place.connect(node, place.ana)
        for error in (KeyError("result"), ValueError("not JSON"), TimeoutError(), OSError()):

            def fail(*_: Any, error: Exception = error) -> Any:
                raise error

            node.overrides["eth_call"] = fail
            with pytest.raises(LedgerError):
                ledger.experiment(ExperimentId(1))

    def test_revert_outside_the_protocol_raises_transaction_failed(
        self, place: Place, node: FaultyNode
    ):
        ledger = place.connect(node, place.ana)
        node.refuse("eth_call", "execution reverted", 3)
        with pytest.raises(TransactionFailed, match="the node gives no reason"):
            ledger.experiment(ExperimentId(1))
