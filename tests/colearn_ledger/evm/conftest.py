"""An embedded chain, a contract on it, and a provider that meddles with what nodes answer."""

import pytest

from tests.support.evm_world import Meddler, Place


@pytest.fixture(scope="module")
def place() -> Place:
    return Place()


@pytest.fixture
def meddler(place: Place) -> Meddler:
    return Meddler(place.chain.provider)
