"""Worlds of real processes on a Cosmos chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from colearn_localnet.kubo import Kubo
    from tests.support.cosmos_place import Place


@pytest.fixture
def world(
    tmp_path: Path,
    cosmos_place: Place,
    kubo_swarm: tuple[Kubo, ...],
    sigterm_handler: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., object]]:
    """Return a function that creates the test's world; all its agents end with the test."""
    from tests.support.faults.cosmos_world import CosmosWorld

    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    with ExitStack() as worlds:
        yield lambda place=None, **terms: worlds.enter_context(
            CosmosWorld(place or cosmos_place, kubo_swarm, tmp_path, **terms)
        )
