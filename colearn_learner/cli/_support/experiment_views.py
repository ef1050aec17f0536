"""Views of experiments: JSON documents for programs and fields for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from colearn_learner.cli._support.connect import Place
from colearn_learner.cli._support.output import format_time
from colearn_ledger.history import History
from colearn_ledger.networks.profiles import Network
from colearn_ledger.networks.references import ExperimentReference
from colearn_ledger.protocol import Account, Experiment, Learner, Merge, Round, to_dict
from colearn_ledger.text.shortening import shorten


def reference_of(network: Network, contract: Account, shown: Experiment) -> ExperimentReference:
    """Return the reference of an experiment on a network."""
    return ExperimentReference(network.chain, contract, shown.id)


def document(
    place: Place, shown: Experiment, round_: Round | None, learners: list[Learner]
) -> dict[str, Any]:
    """Return the complete state of an experiment, its current round and learners, for JSON."""
    history = json.loads(History(shown, tuple(learners), (), scores_complete=True).to_json())
    return {
        "reference": str(place.reference),
        **history["experiment"],
        "round": shown.round,
        "phase": round_.phase.name.lower() if round_ else None,
        "slots": [to_dict(slot) for slot in round_.slots] if round_ else [],
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
    requested = ", cancel requested" if shown.cancel_requested else ""
    return [
        ("reference", str(place.reference)),
        ("hash", shown.hash.hex()),
        ("name", p.name),
        ("status", shown.status.name.lower() + requested),
        ("creator", shown.creator),
        ("round", progress(shown)),
        ("learners", f"{shown.active_learners} active, {p.min_learners} to {p.max_learners}"),
        ("approval", f"{p.approval_bps / 100:g} % of the voters"),
        ("windows", f"{p.propose_window} s to propose, {p.vote_window} s to vote"),
        ("ballots", secret + (", settled early" if p.settle_early else "")),
        ("proposers", _proposers(shown)),
        ("admission", p.admission.name.lower() + (", also after the start" if p.late_join else "")),
        ("max strikes", str(p.max_strikes or "none")),
        ("patience", f"{p.patience} rounds" if p.patience else "unlimited"),
        ("created", format_time(shown.created_at)),
        ("started", format_time(shown.started_at)),
        ("ended", format_time(shown.ended_at)),
        ("specification", p.spec.cid),
        *_weights(shown),
    ]


def _proposers(shown: Experiment) -> str:
    p = shown.params
    selection = p.selection.name.lower().replace("_", " ")
    if p.proposers == 1:
        return f"1 a round, {selection}"
    merge = "mean of the accepted" if p.merge == Merge.MEAN else "best of the accepted"
    return f"{p.proposers} a round, {selection}, {merge}"


def _weights(shown: Experiment) -> list[tuple[str, str]]:
    """Return a field for each file of the current weights."""
    cids = [content.cid for content in shown.current]
    if len(cids) < 2:
        return [("weights", cids[0] if cids else "-")]
    return [("weights", f"mean of {len(cids)} files"), *(("", cid) for cid in cids)]


def learner_rows(learners: Sequence[Learner], names: Mapping[Account, str]) -> list[list[str]]:
    """Return a row for each learner: index, name, account, whether it is active, strikes."""
    return [
        [
            str(each.index),
            names.get(each.account, "-"),
            each.account,
            "yes" if each.active else "no",
            str(each.strikes),
        ]
        for each in learners
    ]


def slot_rows(
    round_: Round, learners: Sequence[Learner], names: Mapping[Account, str]
) -> list[list[str]]:
    """Return a row for each slot of a round: slot, learner, state, approvals, weights."""
    index_of = {learner.account: learner.index for learner in learners}
    return [
        [
            str(number),
            f"{index_of.get(slot.proposer, '?')} "
            f"{names.get(slot.proposer) or shorten(slot.proposer)}",
            "accepted" if slot.accepted else slot.state.name.lower(),
            f"{slot.approvals}, {round_.needed} needed" if slot.content else "-",
            shorten(slot.content.cid) if slot.content else "-",
        ]
        for number, slot in enumerate(round_.slots)
    ]


def progress(shown: Experiment) -> str:
    """Return the current round and the number of rounds as text; rounds count from 0."""
    current = "-" if shown.round is None else str(shown.round)
    return f"{current} (0 to {shown.params.rounds - 1})"
