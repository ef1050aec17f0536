"""Audit an experiment from a ledger and a store, without a wallet and without trusting anybody."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from colearn_ledger.audit.comparing import compare_state
from colearn_ledger.audit.files import Fetching, FileAuditor, OnWeights
from colearn_ledger.audit.findings import AuditReport, Finding
from colearn_ledger.audit.reading import ReportDone, Snapshot, read_origins, read_snapshot
from colearn_ledger.audit.replay import Replay, Replayed
from colearn_ledger.ledger import LedgerView, Origin
from colearn_ledger.protocol import ContentRef, ExperimentId, SigningDomain
from colearn_ledger.weights.store import ContentStore


class Stage(StrEnum):
    """What an audit is doing."""

    EVENTS = "reading events"
    STATE = "reading rounds and ballots"
    TRANSACTIONS = "reading transactions"
    REPLAY = "replaying events"
    FILES = "checking files"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an audit is; ``total`` is ``None`` while it is not known.

    A stage reports what is done of it, at the latest when it ends, before the next one begins.
    """

    stage: Stage
    done: int
    total: int | None = None


ReportProgress = Callable[[Progress], None]

_DEFAULT = Fetching()


def audit_experiment(
    ledger: LedgerView,
    store: ContentStore | None,
    experiment: ExperimentId,
    *,
    fetching: Fetching = _DEFAULT,
    report_progress: ReportProgress = lambda _: None,
    on_weights: OnWeights | None = None,
) -> AuditReport:
    """Audit an experiment. A view of the ledger suffices; no wallet is needed.

    Args:
        ledger: the ledger.
        store: the store with the experiment's files; ``None`` checks no files.
        experiment: the id of the experiment.
        fetching: how files are fetched.
        report_progress: called while the audit goes on. An error that it raises ends the audit.
        on_weights: called with all weights that fit the schema, in order, for example to score
            them.

    Raises:
        UnknownExperiment: the ledger has no such experiment.
        LedgerUnavailable: the ledger did not answer, or has dropped old events.
        ChangingLedger: the experiment changed during every attempt to read it.
        SubnormalsFlushed: this thread flushes subnormal numbers to zero.
    """

    def report(stage: Stage, total: int | None = None) -> ReportDone:
        return lambda done: report_progress(Progress(stage, done, total))

    snapshot = read_snapshot(
        ledger,
        experiment,
        report_done=report(Stage.EVENTS),
        report_rounds=report(Stage.STATE),
    )
    events = snapshot.events
    origins = read_origins(ledger, events, report_done=report(Stage.TRANSACTIONS, len(events)))
    report(Stage.REPLAY, len(events))(0)
    replayed, findings = _replay(ledger.domain, snapshot, origins)
    counts = replayed.counts
    report(Stage.REPLAY, len(events))(counts.events)
    counts.rounds = len(snapshot.rounds)
    counts.ballots = sum(map(len, snapshot.ballots))
    unchecked = _list_unchecked(snapshot, replayed)
    weights: dict[int, ContentRef] = {}
    if store is None:
        unchecked.append("All files: no store was given.")
    else:
        audit = FileAuditor(
            store,
            snapshot,
            counts,
            fetching=fetching,
            report_done=report(Stage.FILES, _count_files(snapshot)),
            on_weights=on_weights,
        ).run(replayed.announced)
        findings += audit.findings
        unchecked += audit.unchecked
        weights = {place: content for place, content in audit.current.items() if content}
    return AuditReport(
        snapshot.experiment,
        tuple(findings),
        tuple(unchecked),
        counts,
        history=snapshot.make_history(),
        weights=weights,
    )


def _replay(
    domain: SigningDomain, snapshot: Snapshot, origins: Sequence[Origin | None]
) -> tuple[Replayed, list[Finding]]:
    """Replay the events, and compare the state. If a chain is of one of two kinds, try both."""
    replayed = Replay(domain, snapshot.events, origins).run()
    findings = [*replayed.findings, *compare_state(snapshot, replayed)]
    if not findings or not any(each and each.other_entropy for each in origins):
        return replayed, findings
    changed = [each and replace(each, entropy=each.other_entropy) for each in origins]
    other = Replay(domain, snapshot.events, changed).run()
    others = [*other.findings, *compare_state(snapshot, other)]
    is_other = _rank(other, others) < _rank(replayed, findings)
    return (other, others) if is_other else (replayed, findings)


def _rank(replayed: Replayed, findings: Sequence[Finding]) -> tuple[float, float, int]:
    """Return a value that is smaller the later the first finding is, then the fewer there are.

    The events decide first: a false state must not make another entropy than theirs look right.
    """
    return -_find_first_round(replayed.findings), -_find_first_round(findings), len(findings)


def _find_first_round(findings: Sequence[Finding]) -> float:
    rounds = (-1 if each.round is None else each.round for each in findings)
    return min(rounds, default=math.inf)


def _count_files(snapshot: Snapshot) -> int:
    proposals = sum(len(round_.contents) for round_ in snapshot.rounds)
    return 1 + (snapshot.experiment.params.initial is not None) + proposals


def _list_unchecked(snapshot: Snapshot, replayed: Replayed) -> list[str]:
    """Return sentences about what the replay could not check."""
    sentences = []
    if replayed.complete_rounds is not None:
        sentences.append(
            f"The events and the state from round {replayed.complete_rounds} on: they depend on "
            "the event that the rules do not allow."
        )
    if replayed.without_call:
        sentences.append(
            f"{replayed.without_call} events were not compared with the calls that emitted them, "
            "because the ledger does not show these calls: their senders, the scores, the "
            "signatures of signed ballots and the salts of revealed ones."
        )
    if not replayed.seed_is_known:
        sentences.append(
            "The seeds of the random selections: they depend on the chain's entropy or on salts, "
            "which this ledger does not show; each drawn learner was one that could be drawn."
        )
    return sentences
