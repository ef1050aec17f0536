"""Two Kubo nodes connected only to each other, started once for the tests that need them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from colearn_localnet.kubo import Kubo


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kubo, Kubo]]:
    from colearn_localnet.kubo import Kubo

    folder = tmp_path_factory.mktemp("swarm")
    with (
        Kubo(folder / "one") as one,
        Kubo(folder / "two", swarm=one.swarm, peers=[one.address]) as two,
    ):
        yield one, two
