"""Reference and contract through the same random steps; see duel_machine.py.

Profiles, by the environment variable COLEARN_STATEMACHINE_PROFILE: ``default`` for every test run
(the same steps each time), ``long`` for 200,000 steps on revm. On wasmd steps are few: each takes
a block.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from colearn_ledger import protocol
from colearn_ledger.protocol import Event, ProtocolError, SkipReason
from tests.support.duel.backends import Calendar, ChainBackend, RevmBackend
from tests.support.duel.machine import duel_on
from tests.support.duel.plans import PEOPLE
from tests.support.duel.record import RECORDS, Record
from tests.support.duel.wasmd import WasmdBackend

if TYPE_CHECKING:
    from tests.support.cosmos_place import Place

IS_LONG = os.environ.get("COLEARN_STATEMACHINE_PROFILE", "default") == "long"


def profile(duels: int, steps: int, *, shrinks: bool = True) -> settings:
    return settings(
        max_examples=duels,
        stateful_step_count=steps,
        derandomize=not IS_LONG,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
        phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
    )


def names_of(root: type) -> set[str]:
    return {kind.__name__ for kind in vars(protocol).values() if is_kind_of(kind, root)}


def is_kind_of(kind: object, root: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, root) and kind is not root


def test_reference_and_contract_agree_on_revm():
    run_state_machine_as_test(
        duel_on("revm", RevmBackend), settings=profile(*((3_100, 80) if IS_LONG else (200, 35)))
    )
    went_deep(RECORDS["revm"])


def went_deep(record: Record) -> None:
    """Check that the duels came to what can happen, so that agreeing means something."""
    everything = {
        f"{outcome} {ballots}{how}"
        for outcome in ("ACCEPTED", "REJECTED", "NO_PROPOSAL")
        for ballots in ("open", "secret")
        for how in ("", " by deadline")
    } | {"ABANDONED open", "ABANDONED secret"}
    rare = set() if IS_LONG else {r for r in everything if r.startswith(("ABANDONED", "ACCEPTED"))}
    assert set(record.rounds) >= everything - rare
    assert set(record.rounds) & rare or IS_LONG
    assert set(record.events) >= names_of(Event)
    missing = names_of(ProtocolError) - set(record.errors)
    assert len(missing) <= (0 if IS_LONG else 2), missing
    assert len(record.skipped) >= (len(SkipReason) if IS_LONG else 2)


def test_reference_and_contract_agree_on_a_chain():
    run_state_machine_as_test(
        duel_on("an embedded chain", lambda: ChainBackend(Calendar(PEOPLE))),
        settings=profile(*((40, 50) if IS_LONG else (22, 45))),
    )


def test_reference_and_contract_agree_on_wasmd(cosmos_place: Place):
    cosmos_place.fund(PEOPLE)
    run_state_machine_as_test(
        duel_on("wasmd", lambda: WasmdBackend(cosmos_place)),
        settings=profile(*((60, 60) if IS_LONG else (8, 40)), shrinks=False),
    )
