"""Worlds of real processes on an EVM chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from colearn_localnet.kubo import Kubo


@pytest.fixture
def world(
    tmp_path: Path,
    kubo_swarm: tuple[Kubo, ...],
    sigterm_handler: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., object]]:
    """Return a function that creates the test's world; all its processes end with the test.

    The IPFS nodes outlive it, unless the test asks for its own: ``swarm=None``.
    """
    from tests.support.faults.harness import World

    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLEARN_LOCALNET", str(tmp_path / "localnet"))

    with ExitStack() as worlds:
        yield lambda *names, **terms: worlds.enter_context(
            World(tmp_path, names, **{"swarm": kubo_swarm, **terms})
        )
