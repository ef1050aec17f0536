"""Honest experiments that the tests of a module share."""

from __future__ import annotations

import pytest

from tests.support.audited import play
from tests.support.toyworld import World


@pytest.fixture(scope="module", params=["local", "evm"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def plural(kind: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("plural"), kind, "plural mean")


@pytest.fixture(scope="module")
def secret(kind: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("secret"), kind, "secret and random")
