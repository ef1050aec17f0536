"""Views of experiments: JSON documents for programs and fields for people."""

from __future__ import annotations

import json
from typing import Any

from colearn_learner.cli._support.connect import Place
from colearn_learner.cli._support.output import format_time
from colearn_ledger.history import History
from colearn_ledger.networks.profiles import Network
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import Account, Experiment, Learner


def reference_of(network: Network, contract: Account, shown: Experiment) -> ExperimentReference:
    """Return the reference of an experiment on a network."""
    return ExperimentReference(network.chain, contract, shown.id)


def document(place: Place, shown: Experiment, learners: list[Learner]) -> dict[str, Any]:
    """Return the complete state of an experiment and its learners, for JSON."""
    history = json.loads(History(shown, tuple(learners), (), scores_complete=True).to_json())
    return {
        "reference": str(place.reference),
        **history["experiment"],
        "round": shown.round,
        "learners": history["learners"],
    }


def summary(reference: ExperimentReference, shown: Experiment) -> dict[str, Any]:
    """Return a summary of an experiment, for JSON."""
    return {
        "reference": str(reference),
        "id": shown.id,
        "name": shown.params.name,
        "creator": shown.creator,
        "status": shown.status.name.lower(),
        "round": shown.round,
        "rounds": shown.params.rounds,
        "active_learners": shown.active_learners,
        "max_learners": shown.params.max_learners,
    }


def fields(place: Place, shown: Experiment) -> list[tuple[str, str]]:
    """Return names and values of an experiment's main properties, for people."""
    p = shown.params
    secret = f"secret, {p.reveal_window} s to reveal" if p.reveal_window else "open"
    return [
        ("reference", str(place.reference)),
        ("name", p.name),
        ("status", shown.status.name.lower()),
        ("creator", shown.creator),
        ("round", progress(shown)),
        ("learners", f"{shown.active_learners} active, {p.min_learners} to {p.max_learners}"),
        ("approval", f"{p.approval_bps / 100:g} % of the voters"),
        ("windows", f"{p.propose_window} s to propose, {p.vote_window} s to vote"),
        ("ballots", secret + (", settled early" if p.settle_early else "")),
        ("proposers", p.selection.name.lower().replace("_", " ")),
        ("admission", p.admission.name.lower() + (", also after the start" if p.late_join else "")),
        ("max strikes", str(p.max_strikes or "none")),
        ("created", format_time(shown.created_at)),
        ("started", format_time(shown.started_at)),
        ("ended", format_time(shown.ended_at)),
        ("specification", p.spec.cid),
        ("weights", shown.current.cid if shown.current else "-"),
    ]


def progress(shown: Experiment) -> str:
    """Return the current round and the number of rounds as text; rounds count from 0."""
    current = "-" if shown.round is None else str(shown.round)
    return f"{current} (0 to {shown.params.rounds - 1})"
