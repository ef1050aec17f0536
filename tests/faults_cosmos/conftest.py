"""Lets the test files of this folder import what lies beside them, and gives them worlds."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localnet.errors import InstallFailed
from localnet.installing import toxiproxy_binary

if TYPE_CHECKING:
    from cosmos_place import Place

    from localnet.kubo import Kubo

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE.parent / "faults")]  # its agents, learner and Toxiproxy
pytest.register_assert_rewrite("agents", "cosmos_reader", "cosmos_world", "gate", "toxiproxy")


@pytest.fixture(scope="session", autouse=True)
def a_sigterm_tidies_up() -> Iterator[None]:
    """Have SIGTERM, as `timeout` sends it, end the tests as Ctrl-C does: nothing is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def toxiproxy_is_here() -> None:
    try:
        toxiproxy_binary()
    except InstallFailed as error:
        pytest.skip(str(error))


@pytest.fixture
def world(
    tmp_path: Path,
    cosmos_place: Place,
    kubo_swarm: tuple[Kubo, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., object]]:
    """Makes the world of a test; at its end no agent of it is left."""
    from cosmos_world import CosmosWorld

    monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
    with ExitStack() as worlds:
        yield lambda place=None, **terms: worlds.enter_context(
            CosmosWorld(place or cosmos_place, kubo_swarm, tmp_path, **terms)
        )
