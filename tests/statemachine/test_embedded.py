"""Drive the reference and the Solidity contract through the same random steps, without a node.

See support/duel/machine.py. `make test-long` makes about 160,000 steps on revm, which take a core
about 15 minutes.
"""

from __future__ import annotations

from hypothesis.stateful import run_state_machine_as_test

from colearn_ledger import protocol
from colearn_ledger.protocol import Event, Merge, ProtocolError, SkipReason
from tests.support.duel.backends import Calendar, ChainBackend, RevmBackend
from tests.support.duel.machine import duel_on
from tests.support.duel.plans import PEOPLE
from tests.support.duel.profile import profile
from tests.support.duel.record import RECORDS, Record


def subclass_names(root: type) -> set[str]:
    return {kind.__name__ for kind in vars(protocol).values() if is_subclass(kind, root)}


def is_subclass(kind: object, root: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, root) and kind is not root


def test_reference_and_contract_agree_on_revm(is_long: bool):
    duels, steps = (2_500, 80) if is_long else (200, 35)
    run_state_machine_as_test(
        duel_on("revm", RevmBackend), settings=profile(duels, steps, is_long=is_long)
    )
    check_coverage(RECORDS["revm"], is_long=is_long)


def check_coverage(record: Record, *, is_long: bool) -> None:
    """Check that the duels reached every outcome, event and error."""
    everything = {
        f"{outcome} {ballots}{how}"
        for outcome in ("ACCEPTED", "REJECTED", "NO_PROPOSAL")
        for ballots in ("open", "secret")
        for how in ("", " by deadline")
    } | {"ABANDONED open", "ABANDONED secret"}
    rare = set() if is_long else {r for r in everything if r.startswith(("ABANDONED", "ACCEPTED"))}
    assert set(record.rounds) >= everything - rare
    assert set(record.rounds) & rare or is_long
    assert set(record.events) >= subclass_names(Event)
    missing = subclass_names(ProtocolError) - set(record.errors)
    assert len(missing) <= (0 if is_long else 2), missing
    assert len(record.skipped) >= (len(SkipReason) if is_long else 2)
    outcomes = {
        f"{number} {merge.name} {outcome}"
        for number in (1, 2, 3, 4)
        for merge in Merge
        for outcome in ("ACCEPTED", "REJECTED")
    }
    reached = outcomes & set(record.proposals)
    assert len(reached) >= (len(outcomes) if is_long else len(outcomes) // 2)


def test_reference_and_contract_agree_on_a_chain(is_long: bool):
    duels, steps = (40, 50) if is_long else (5, 40)
    run_state_machine_as_test(
        duel_on("an embedded chain", lambda: ChainBackend(Calendar(PEOPLE))),
        settings=profile(duels, steps, is_long=is_long),
    )
