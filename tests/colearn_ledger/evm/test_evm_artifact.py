"""The compiled contract in the package matches the protocol and is recognised on a chain."""

from __future__ import annotations

import inspect
import re

import pytest
from eth_utils.address import to_checksum_address

from colearn_ledger import protocol
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.protocol import Event, ProtocolError
from tests.support.evm_world import Place

ARTIFACT = load_artifact()
EIP_170 = 24_576


def kinds_of(root: type) -> set[str]:
    kinds = [k for k in vars(protocol).values() if inspect.isclass(k) and issubclass(k, root)]
    return {kind.__name__ for kind in kinds} - {root.__name__}


def test_both_parts_of_the_contract_fit_on_public_chains():
    assert 0 < len(ARTIFACT.runtime) <= EIP_170
    assert 0 < len(ARTIFACT.queries) <= EIP_170
    assert len(ARTIFACT.bytecode) <= 2 * EIP_170


def test_artifact_names_its_compiler_and_sources():
    assert re.search(r"0\.8\.\d+\+commit\.[0-9a-f]{8}", ARTIFACT.compiler)
    assert re.fullmatch("[0-9a-f]{64}", ARTIFACT.source_hash)


def test_contract_has_the_errors_and_events_of_the_protocol():
    assert set(ARTIFACT.abi.errors) == kinds_of(ProtocolError)
    assert set(ARTIFACT.abi.events) == kinds_of(Event)


def code_at(place: Place, address: str) -> bytes:
    return place.ledger._channel.node.code(address)


def test_deployed_code_is_recognised_with_any_immutables(place: Place):
    first = place.chain.deploy(place.bob)
    codes = [code_at(place, at) for at in (first.contract, place.ledger.contract)]
    assert codes[0] != codes[1]
    assert all(ARTIFACT.is_deployed_as(code) for code in codes)
    queries = [ARTIFACT.queries_address(code) for code in codes]
    assert queries[0] != queries[1]
    assert all(code_at(place, at) == ARTIFACT.queries for at in queries)


def test_address_of_the_queries_is_the_one_that_the_contract_returns(place: Place):
    code = code_at(place, place.ledger.contract)
    call = {"to": place.ledger.contract, "data": ARTIFACT.abi.encode_call("queries", ())}
    answer = ARTIFACT.abi.decode_answer("queries", place.ledger._channel.node.call(call))
    assert to_checksum_address(answer) == ARTIFACT.queries_address(code)


@pytest.mark.parametrize("at", [0, 1_000, -1])
def test_code_that_differs_in_one_byte_is_not_recognised(place: Place, at: int):
    code = bytearray(code_at(place, place.ledger.contract))
    code[at] ^= 1
    assert not ARTIFACT.is_deployed_as(bytes(code))
    assert not ARTIFACT.is_deployed_as(bytes(code[:-1]))


def test_code_with_two_values_of_one_immutable_is_not_recognised(place: Place):
    code = code_at(place, place.ledger.contract)
    repeated = [places for places in ARTIFACT.immutables if len(places) > 1]
    assert ARTIFACT.queries_at in repeated
    for places in repeated:
        changed = bytearray(code)
        changed[places[-1] + 31] ^= 1
        assert not ARTIFACT.is_deployed_as(bytes(changed))
