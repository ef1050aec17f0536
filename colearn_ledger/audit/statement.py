"""Make the in-toto statement about an experiment's final weights, and read one.

Sources: the in-toto attestation framework 1.1 (github.com/in-toto/attestation), spec/v1.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from colearn_ledger.audit.findings import AuditReport
from colearn_ledger.history.lineage import trace_lineage
from colearn_ledger.protocol import ContentRef, InvalidDocument, LedgerError, from_dict, to_dict
from colearn_ledger.text.strict_json import InvalidJson, load

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:colearn-ledger:experiment-audit:v1"

WEIGHTS, HISTORY, MODEL_CARD = "weights.safetensors", "history.json", "model-card.md"


class InvalidStatement(LedgerError):
    """A document is not a statement of `colearn audit`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a statement states, as far as it can be compared with the other files.

    Args:
        reference: the experiment.
        name: its name.
        digests: the sha256 of each file, by name.
        weights: the final weights.
        rounds: the number of rounds that have begun.
        hash: the experiment's hash, in hexadecimal.
        learners: the learners' accounts, in order of index.
        lineage: each version of the weights, as in the history, without ``weights``.
        audited_at: the time of the audit, in UTC.
    """

    reference: str
    name: str
    digests: Mapping[str, str]
    weights: ContentRef
    rounds: int
    hash: str
    learners: list[Any]
    lineage: list[Any]
    audited_at: str


def make_statement(
    report: AuditReport,
    reference: str,
    weights: ContentRef,
    digests: Mapping[str, str],
    trust: str,
) -> bytes:
    """Return the statement as JSON.

    Args:
        report: the report of an audit without findings.
        reference: the experiment's reference.
        weights: the final weights.
        digests: the sha256 of the history and of the model card, by name.
        trust: a sentence about what the audit believed of the chain.
    """
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [_describe_file(WEIGHTS, weights.sha256)],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "experiment": _describe_experiment(report, reference),
            "weights": to_dict(weights),
            "lineage": _describe_lineage(report),
            "learners": [_describe_learner(each) for each in report.history.learners],
            "audit": {
                "audited_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "trust": trust,
                **{name: report.to_dict()[name] for name in ("checked", "unchecked", "findings")},
            },
            "files": [_describe_file(name, digest) for name, digest in digests.items()],
            "versions": {
                "colearn-ledger": version("colearn-ledger"),
                "python": platform.python_version(),
            },
        },
    }
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def read_statement(data: bytes) -> Statement:
    """Return what a statement states. Whether it is true is not checked.

    Raises:
        InvalidStatement: the data is not a statement of `colearn audit`.
    """
    try:
        document = load(data)
        if document["_type"] != STATEMENT_TYPE or document["predicateType"] != PREDICATE_TYPE:
            raise InvalidStatement(
                f"the statement is not of the types {STATEMENT_TYPE} and {PREDICATE_TYPE}"
            )
        return _read_predicate(document["predicate"], document["subject"])
    except InvalidJson as error:
        raise InvalidStatement(f"the statement is not strict JSON: {error}") from error
    except (LookupError, TypeError, AttributeError, InvalidDocument) as error:
        detail = f"{type(error).__name__}: {error}"[:200]
        raise InvalidStatement(
            f"the statement lacks fields or has wrong ones ({detail})"
        ) from error


def _read_predicate(predicate: Any, subjects: Any) -> Statement:
    experiment, learners, lineage = (
        predicate[name] for name in ("experiment", "learners", "lineage")
    )
    files = [_read_file(each) for each in (*subjects, *predicate["files"])]
    if sorted(name for name, _ in files) != sorted((WEIGHTS, HISTORY, MODEL_CARD)):
        raise InvalidStatement(
            f"the statement is not about exactly {WEIGHTS}, {HISTORY} and {MODEL_CARD}"
        )
    if len(subjects) != 1 or subjects[0]["name"] != WEIGHTS:
        raise InvalidStatement(f"the subject of the statement is not {WEIGHTS}")
    if lineage[-1]["weights"] != predicate["weights"]:
        raise InvalidStatement("the lineage does not end with the certified weights")
    texts = {name: experiment[name] for name in ("reference", "name", "hash")}
    texts["audited_at"] = predicate["audit"]["audited_at"]
    rounds = experiment["rounds_begun"]
    if not all(isinstance(text, str) for text in texts.values()) or type(rounds) is not int:
        raise InvalidStatement("the statement's description of the experiment has wrong types")
    return Statement(
        digests=dict(files),
        weights=from_dict(ContentRef, predicate["weights"]),
        rounds=rounds,
        learners=[each["account"] for each in learners],
        lineage=[{k: v for k, v in each.items() if k != "weights"} for each in lineage],
        **texts,
    )


def _read_file(document: Any) -> tuple[str, str]:
    name, digest = document["name"], document["digest"]["sha256"]
    if not isinstance(name, str) or not isinstance(digest, str):
        raise InvalidStatement("a file of the statement has no name or no sha256")
    return name, digest


def _describe_file(name: str, sha256: str) -> dict[str, Any]:
    """Return a resource descriptor of in-toto."""
    return {"name": name, "digest": {"sha256": sha256}}


def _describe_experiment(report: AuditReport, reference: str) -> dict[str, Any]:
    found = report.experiment
    return {
        "reference": reference,
        "hash": found.hash.hex(),
        "name": found.params.name,
        "creator": found.creator,
        "status": found.status.name.lower(),
        "spec": to_dict(found.params.spec),
        "rounds_planned": found.params.rounds,
        "rounds_begun": len(report.history.rounds),
        "rounds_accepted": sum(bool(record.accepted) for record in report.history.rounds),
        "ended_at": found.ended_at,
    }


def _describe_learner(learner: Any) -> dict[str, Any]:
    described = to_dict(learner)
    return {name: described[name] for name in ("account", "index", "from_round", "until_round")}


def _describe_lineage(report: AuditReport) -> list[dict[str, Any]]:
    """Return each version as in the history's JSON, with the file that it is."""
    described = []
    for each in trace_lineage(report.history):
        weights = each.initial if each.round is None else report.weights.get(each.round)
        described.append(
            {**to_dict(each), "weights": None if weights is None else to_dict(weights)}
        )
    return described
