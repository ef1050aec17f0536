"""Lets the test files of this folder import what lies beside them, and gives them worlds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cosmos_place import Place

    from colearn_localnet.kubo import Kubo

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE.parent / "faults")]  # its agents, learner and Toxiproxy
pytest.register_assert_rewrite("agents", "cosmos_reader", "cosmos_world", "gate", "toxiproxy")


@pytest.fixture
def world(
    tmp_path: Path,
    cosmos_place: Place,
    kubo_swarm: tuple[Kubo, ...],
    a_sigterm_tidies_up: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., object]]:
    """Makes the world of a test; at its end no agent of it is left."""
    from cosmos_world import CosmosWorld

    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    with ExitStack() as worlds:
        yield lambda place=None, **terms: worlds.enter_context(
            CosmosWorld(place or cosmos_place, kubo_swarm, tmp_path, **terms)
        )
