"""Drive the reference and a contract through the same random steps; see support/duel/machine.py.

A usual run makes the same steps each time. `make test-long` makes 200,000 different ones on revm.
There are few steps on wasmd, because each takes a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
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


@pytest.fixture(autouse=True)
def duel_reports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Attach the reports of a test's duels to its result, whichever process ran them."""
    before = set(RECORDS)
    yield
    for name in set(RECORDS) - before:
        request.node.user_properties.append((f"duels on {name}", RECORDS[name].report()))


def profile(duels: int, steps: int, *, is_long: bool, shrinks: bool = True) -> settings:
    return settings(
        max_examples=duels,
        stateful_step_count=steps,
        derandomize=not is_long,
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


def test_reference_and_contract_agree_on_revm(is_long: bool):
    duels, steps = (3_100, 80) if is_long else (200, 35)
    run_state_machine_as_test(
        duel_on("revm", RevmBackend), settings=profile(duels, steps, is_long=is_long)
    )
    check_coverage(RECORDS["revm"], is_long=is_long)


def check_coverage(record: Record, *, is_long: bool) -> None:
    """Check that the duels reached every outcome, event and error, or agreement proves little."""
    everything = {
        f"{outcome} {ballots}{how}"
        for outcome in ("ACCEPTED", "REJECTED", "NO_PROPOSAL")
        for ballots in ("open", "secret")
        for how in ("", " by deadline")
    } | {"ABANDONED open", "ABANDONED secret"}
    rare = set() if is_long else {r for r in everything if r.startswith(("ABANDONED", "ACCEPTED"))}
    assert set(record.rounds) >= everything - rare
    assert set(record.rounds) & rare or is_long
    assert set(record.events) >= names_of(Event)
    missing = names_of(ProtocolError) - set(record.errors)
    assert len(missing) <= (0 if is_long else 2), missing
    assert len(record.skipped) >= (len(SkipReason) if is_long else 2)


def test_reference_and_contract_agree_on_a_chain(is_long: bool):
    duels, steps = (40, 50) if is_long else (5, 40)
    run_state_machine_as_test(
        duel_on("an embedded chain", lambda: ChainBackend(Calendar(PEOPLE))),
        settings=profile(duels, steps, is_long=is_long),
    )


def test_reference_and_contract_agree_on_wasmd(cosmos_place: Place, is_long: bool):
    cosmos_place.fund(PEOPLE)
    duels, steps = (60, 60) if is_long else (3, 30)
    run_state_machine_as_test(
        duel_on("wasmd", lambda: WasmdBackend(cosmos_place)),
        settings=profile(duels, steps, is_long=is_long, shrinks=False),
    )
