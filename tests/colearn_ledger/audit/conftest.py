"""Honest experiments, and a certificate of one, that the tests of a module share."""

from __future__ import annotations

from pathlib import Path

import pytest
from Crypto.PublicKey import ECC

from tests.support.audited import play
from tests.support.certified import certify
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


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("world"), "local", "plural mean")


@pytest.fixture(scope="module")
def written(merged: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    return certify(merged, folder / "out", key=ECC.generate(curve="Ed25519"))
