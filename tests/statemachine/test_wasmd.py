"""Drive the reference and the CosmWasm contract on wasmd through the same random steps.

There are few steps, because each takes a block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis.stateful import run_state_machine_as_test

from tests.support.duel.machine import duel_on
from tests.support.duel.plans import PEOPLE
from tests.support.duel.profile import profile
from tests.support.duel.wasmd import WasmdBackend

if TYPE_CHECKING:
    from tests.support.cosmos_place import Place


def test_reference_and_contract_agree_on_wasmd(cosmos_place: Place, is_long: bool):
    cosmos_place.fund(PEOPLE)
    duels, steps = (60, 60) if is_long else (3, 30)
    run_state_machine_as_test(
        duel_on("wasmd", lambda: WasmdBackend(cosmos_place)),
        settings=profile(duels, steps, is_long=is_long, shrinks=False),
    )
