"""Worlds of real processes on an EVM chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest


@pytest.fixture
def world(
    tmp_path: Path,
    node_binaries: None,
    sigterm_handler: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., object]]:
    """Return a function that creates the test's world; all its processes end with the test."""
    from tests.support.faults.harness import World

    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLEARN_LOCALNET", str(tmp_path / "localnet"))

    with ExitStack() as worlds:
        yield lambda *names, **terms: worlds.enter_context(World(tmp_path, names, **terms))
