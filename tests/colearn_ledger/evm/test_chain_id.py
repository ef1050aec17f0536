"""Signing requires a configured chain id; reading does not."""

from __future__ import annotations

import pytest

from colearn_ledger.chains.evm import EvmLedger, MissingChainId
from tests.support.evm_world import Place


def test_nothing_is_signed_without_a_chain_id(place: Place):
    experiment = place.create_and_join()
    ledger = EvmLedger.connect(place.chain.provider, place.ledger.contract, place.ana)
    assert ledger.experiment(experiment).id == experiment
    found = place.ledger.domain.chain_id
    with pytest.raises(MissingChainId, match=rf"chain {found}\. .*chain_id={found} in"):
        ledger.cancel(experiment)
    with pytest.raises(MissingChainId):
        EvmLedger.deploy(place.chain.provider, place.ana)
