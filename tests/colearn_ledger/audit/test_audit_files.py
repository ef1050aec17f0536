"""An audit finds each file that a store falsifies or lacks, and names its round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from colearn_ledger.audit import FindingKind
from tests.support.audited import ROUND, audit, change_slot, is_in_audited_round
from tests.support.lying_ledger import LyingLedger, LyingStore, change_row
from tests.support.toyworld import World


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("rewrite", "kind_of_finding"),
    [
        (flip, FindingKind.FILE),
        (lambda data: data[:-1], FindingKind.FILE),
        (lambda data: data + b"\0", FindingKind.FILE),
        (lambda _: b"", FindingKind.FILE),
        (lambda _: None, FindingKind.UNAVAILABLE),
    ],
    ids=["changed", "truncated", "longer", "empty", "missing"],
)
@pytest.mark.parametrize("which", ["specification", "initial", "proposal"])
def test_file_that_the_store_falsifies_is_found(
    rewrite: Callable[[bytes], bytes | None],
    kind_of_finding: FindingKind,
    which: str,
    plural: World,
):
    params = plural.ledger.experiment(plural.experiment).params
    proposal = plural.rounds()[ROUND].contents[0]
    content = {"specification": params.spec, "initial": params.initial, "proposal": proposal}[which]
    findings = audit(plural, store=LyingStore(plural.store(0), content, rewrite)).findings
    assert [(f.kind, f.round) for f in findings] == [
        (kind_of_finding, ROUND if which == "proposal" else None)
    ]
    assert which in findings[0].subject


def test_right_bytes_of_another_file_are_found(plural: World):
    first, second = (plural.rounds()[ROUND].contents[slot] for slot in (0, 1))
    with plural.store(0).get(second, max_size=10_000) as pieces:
        other = b"".join(pieces)
    store = LyingStore(plural.store(0), first, lambda _: other)
    [finding] = audit(plural, store=store).findings
    assert (finding.kind, finding.round) == (FindingKind.FILE, ROUND)
    assert second.sha256 in finding.found


def test_reference_that_no_bytes_match_is_found(plural: World):
    content = plural.rounds()[ROUND].contents[0]
    ledger = LyingLedger(plural.ledger)
    broken = replace(content, size=content.size + 1)
    change_row(ledger, "rounds", is_in_audited_round, slots=change_slot(content=broken))
    findings = audit(plural, ledger).findings
    assert {finding.round for finding in findings} == {ROUND}
    assert any(finding.meaning.startswith("No bytes") for finding in findings)
