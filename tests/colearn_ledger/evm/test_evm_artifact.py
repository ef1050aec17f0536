"""The compiled contract in the package matches the protocol and is recognised on a chain."""

from __future__ import annotations

import inspect
import re

import pytest

from colearn_ledger import protocol
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.protocol import Event, ProtocolError
from tests.support.evm_world import Place

ARTIFACT = load_artifact()
EIP_170 = 24_576


def kinds_of(root: type) -> set[str]:
    kinds = [k for k in vars(protocol).values() if inspect.isclass(k) and issubclass(k, root)]
    return {kind.__name__ for kind in kinds} - {root.__name__}


def test_contract_fits_on_public_chains():
    assert len(ARTIFACT.runtime) <= EIP_170
    assert len(ARTIFACT.bytecode) <= 2 * EIP_170


def test_artifact_names_its_compiler_and_sources():
    assert re.search(r"0\.8\.\d+\+commit\.[0-9a-f]{8}", ARTIFACT.compiler)
    assert re.fullmatch("[0-9a-f]{64}", ARTIFACT.source_hash)


def test_contract_has_the_errors_and_events_of_the_protocol():
    assert set(ARTIFACT.abi.errors) == kinds_of(ProtocolError)
    assert set(ARTIFACT.abi.events) == kinds_of(Event)


def test_deployed_code_is_recognised_with_any_immutables(place: Place):
    first = place.chain.deploy(place.bob)
    codes = [place.ledger._channel.node.code(at) for at in (first.contract, place.ledger.contract)]
    assert codes[0] != codes[1]
    assert all(ARTIFACT.is_deployed_as(code) for code in codes)


@pytest.mark.parametrize("at", [0, 1_000, -1])
def test_code_that_differs_in_one_byte_is_not_recognised(place: Place, at: int):
    code = bytearray(place.ledger._channel.node.code(place.ledger.contract))
    code[at] ^= 1
    assert not ARTIFACT.is_deployed_as(bytes(code))
    assert not ARTIFACT.is_deployed_as(bytes(code[:-1]))
