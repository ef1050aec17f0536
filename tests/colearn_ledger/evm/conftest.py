"""An embedded chain, a contract on it, and a provider that meddles with what nodes answer."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))  # faulty_proxy

from evm_world import Meddler, Place


@pytest.fixture(scope="module")
def place() -> Place:
    return Place()


@pytest.fixture
def meddler(place: Place) -> Meddler:
    return Meddler(place.chain.provider)
