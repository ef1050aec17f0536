from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.blocking_learner import Pipes


@pytest.fixture
def world(tmp_path: Path):
    from tests.support.toyworld import World

    def build(learners: list[Any], **params: Any) -> World:
        return World(tmp_path, learners, params)

    return build


@pytest.fixture(params=["local", "evm"])
def any_world(tmp_path: Path, request: pytest.FixtureRequest):
    """Return a function that creates a world, on the reference and on an embedded chain."""
    from tests.support.toyworld import World

    def build(learners: list[Any], **params: Any) -> World:
        return World(tmp_path, learners, params, kind=request.param)

    return build


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[Pipes]:
    """Open pipes to a blocking learner."""
    from tests.support.blocking_learner import Pipes

    pair = Pipes(tmp_path)
    yield pair
    pair.close()
