"""Audit an experiment: replay its events, compare them with the contract, and check its files."""

from __future__ import annotations

from colearn_ledger.audit.auditing import Progress, Stage, audit_experiment
from colearn_ledger.audit.files import CheckedWeights, Fetching
from colearn_ledger.audit.findings import AuditCounts, AuditReport, Finding, FindingKind
from colearn_ledger.audit.kept_files import KeptFiles, keep_files
from colearn_ledger.audit.reading import ChangingLedger
from colearn_ledger.audit.witnesses import Comparison, NodeNotComparable, Witness, compare_nodes

__all__ = [
    "AuditCounts",
    "AuditReport",
    "ChangingLedger",
    "CheckedWeights",
    "Comparison",
    "Fetching",
    "Finding",
    "FindingKind",
    "KeptFiles",
    "NodeNotComparable",
    "Progress",
    "Stage",
    "Witness",
    "audit_experiment",
    "compare_nodes",
    "keep_files",
]
