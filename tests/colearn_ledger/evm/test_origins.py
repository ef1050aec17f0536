"""The transactions behind events, read from an EVM chain."""

from __future__ import annotations

from typing import Any

import pytest

from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.origins import decode_call
from tests.support.evm_world import FaultyNode, Place


@pytest.fixture
def place() -> Place:
    return Place()


def read_last_origin(place: Place, change: dict[str, dict[str, Any]]) -> Any:
    """Return the origin of the last event, with changed fields in a node's answers by method."""
    experiment = place.create_and_join()
    node = FaultyNode(place.chain.provider)
    for method, fields in change.items():
        node.overrides[method] = lambda _, honest, fields=fields: {
            **(answer := honest()),
            "result": {**answer["result"], **fields},
        }
    ledger = place.connect(node, place.ana)
    [origin] = ledger.read_origins(ledger.events(experiment)[-1:])
    return experiment, origin


def test_origin_has_sender_call_and_arguments(place: Place):
    experiment, origin = read_last_origin(place, {})
    known = place.ledger.experiment(experiment)
    assert origin.sender == place.bob.address
    assert origin.call.name == "join"
    assert origin.arguments == (experiment, known.hash, bytes(32))
    assert len(origin.entropy) == 32


def test_call_through_another_contract_is_not_decoded(place: Place):
    other = {"to": "0x" + "22" * 20}
    _, origin = read_last_origin(place, {"eth_getTransactionByHash": other})
    assert (origin.call, origin.arguments) == (None, ())


@pytest.mark.parametrize(
    ("method", "field"),
    [("eth_getTransactionByHash", "blockNumber"), ("eth_getBlockByNumber", "mixHash")],
)
def test_origin_is_unknown_if_the_node_lacks_a_part(method: str, field: str, place: Place):
    _, origin = read_last_origin(place, {method: {field: None}})
    assert origin is None


def test_difficulty_is_the_entropy_where_a_chain_has_one(place: Place):
    _, origin = read_last_origin(place, {"eth_getBlockByNumber": {"difficulty": "0x1"}})
    assert origin.entropy == (1).to_bytes(32, "big")


@pytest.mark.parametrize("data", ["0x1", "no data", None, 7])
def test_malformed_transaction_is_refused(data: object, place: Place):
    with pytest.raises(BadAnswer):
        read_last_origin(place, {"eth_getTransactionByHash": {"input": data}})


@pytest.mark.parametrize("tail", [b"", bytes(31), b"\xff" * 64])
def test_data_that_cannot_be_decoded_is_no_call(tail: bytes):
    abi = load_artifact().abi
    start = abi.functions["voteSigned"].hash[:4]
    assert decode_call(abi, start + tail, []) is None
    assert decode_call(abi, b"\x01\x02\x03\x04" + tail, []) is None


def test_batch_that_does_not_consist_of_ballots_is_no_call():
    abi = load_artifact().abi
    data = abi.encode_call("voteSigned", (1, 0, bytes(32), bytes(119)))
    assert decode_call(abi, data, []) is None
