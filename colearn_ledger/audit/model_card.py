"""Write a model card about certified weights, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from colearn_ledger.audit.findings import AuditReport
from colearn_ledger.audit.statement import HISTORY, WEIGHTS
from colearn_ledger.history.lineage import WeightsVersion, trace_lineage
from colearn_ledger.history.numbers import ScoreFormat
from colearn_ledger.history.summary import summarise_rounds
from colearn_ledger.history.table import count
from colearn_ledger.protocol import ContentRef, ExperimentParams, Merge
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.text.escaping import escape_controls

_MOST_ROWS = 100
"""The most parties, versions or tensors in a table; the history has all of them."""

_LIMITS = (
    "The certificate is about how the weights came about. It does not show that the model is good, "
    "fair, safe, or fit for a purpose.",
    "Scores are what learners reported about their own records. Nobody can check them.",
    "Nobody saw the training data. The card cannot describe who or what is in it.",
    "Accounts are not people: one party may have several.",
)


def write_model_card(
    report: AuditReport, reference: str, spec: ExperimentSpec, weights: ContentRef, trust: str
) -> str:
    """Return the model card.

    Args:
        report: the report of an audit without findings.
        reference: the experiment's reference.
        spec: the experiment's specification.
        weights: the final weights.
        trust: a sentence about what the audit believed of the chain.
    """
    parts = [
        *_introduce(report, reference, weights),
        *_describe_model(spec),
        *_describe_parties(report),
        *_describe_training(report, spec),
        *_describe_lineage(report),
        *_describe_audit(report),
        _escape(trust),
        "## Limits",
        _list(_LIMITS),
        *_explain_verification(),
    ]
    return "\n\n".join(parts) + "\n"


def _introduce(report: AuditReport, reference: str, weights: ContentRef) -> Iterator[str]:
    found, history = report.experiment, report.history
    accepted = sum(bool(record.accepted) for record in history.rounds)
    yield f"# {_escape(found.params.name)}"
    yield (
        f"Weights of a model that {count(len(history.learners), 'learner')} trained together, each "
        "on its own records. Learners proposed new weights, the others tested them on their own "
        "records and voted, and a contract counted the votes. An audit replayed all of it and "
        "found no contradiction."
    )
    yield _table(
        ("", ""),
        [
            ("experiment", _code(reference)),
            ("status", found.status.name.lower()),
            ("rounds", f"{len(history.rounds)} of {found.params.rounds}, {accepted} accepted"),
            ("file", f"{_code(WEIGHTS)}, {weights.size:,} bytes"),
            ("sha256", _code(weights.sha256)),
            ("CID", _code(weights.cid)),
        ],
    )


def _describe_model(spec: ExperimentSpec) -> Iterator[str]:
    yield "## Model and task"
    yield "The creator of the experiment described them as follows. Nobody checked this text."
    yield _quote("\n\n".join(text for text in (spec.model, spec.text) if text.strip()))
    direction = "higher" if spec.higher_is_better else "lower"
    yield f"Scores measure {_escape(spec.score_name)}; {direction} is better."
    tensors = list(spec.schema.tensors.items())
    rows = [
        (_escape(name), _code(each.dtype), " × ".join(map(str, each.shape)) or "one number")
        for name, each in tensors[:_MOST_ROWS]
    ]
    yield _table(("tensor", "type", "shape"), rows)
    yield from _mention_others(len(tensors), "tensor")


def _describe_parties(report: AuditReport) -> Iterator[str]:
    yield "## Parties"
    contributions = report.history.contributions()
    rows = [
        (
            str(learner.index),
            _code(learner.account),
            str(learner.from_round),
            "-" if learner.until_round is None else str(learner.until_round),
            f"{each.proposals_accepted} of {each.proposals_made}",
            str(each.ballots_cast),
        )
        for learner, each in zip(report.history.learners, contributions, strict=True)
    ]
    yield _table(
        ("learner", "account", "from round", "left before", "accepted proposals", "ballots"),
        rows[:_MOST_ROWS],
    )
    yield from _mention_others(len(rows), "learner")


def _describe_training(report: AuditReport, spec: ExperimentSpec) -> Iterator[str]:
    yield "## How it was trained"
    yield _list(_describe_rules(report.experiment.params, spec))
    summaries = summarise_rounds(report.history)
    scores = [s.before.mean.vote_score for s in summaries]
    scores += [s.after.mean.vote_score for s in summaries[-1:]]
    known = [score for score in scores if score is not None]
    if known:
        form = ScoreFormat.fitting(known)
        yield (
            f"The mean of the learners' own scores ({_escape(spec.score_name)}) was "
            f"{form.format(known[0])} at first and {form.format(known[-1])} at last."
        )


def _describe_rules(params: ExperimentParams, spec: ExperimentSpec) -> Iterator[str]:
    merge = "their mean" if params.merge == Merge.MEAN else "the one with the most approvals"
    if params.proposers == 1:
        yield "One learner proposed in each round."
    else:
        yield (
            f"Up to {params.proposers} learners proposed in each round. The accepted proposals "
            f"became {merge}."
        )
    yield f"Proposers were selected by {params.selection.name.lower().replace('_', ' ')}."
    yield (
        f"A proposal needed the approval of {params.approval_bps / 100:g} % of the voters. Ballots "
        f"were {'secret until all were in' if params.reveal_window else 'open'}."
    )
    yield f"Agents voted by the rule {_code(spec.vote_rule.value)} unless they chose another one."
    if params.initial is None:
        yield "Training began without weights; the first accepted proposal was the start."
    else:
        yield f"Training began with the weights {_code(params.initial.cid)}."
    if spec.continues is not None:
        yield f"It continues the experiment {_code(spec.continues)}, according to its creator."


def _describe_lineage(report: AuditReport) -> Iterator[str]:
    yield "## Lineage"
    versions = trace_lineage(report.history)
    index_of = {learner.account: learner.index for learner in report.history.learners}
    rows = [
        (
            str(each.version),
            "-" if each.round is None else str(each.round),
            ", ".join(str(index_of[p.proposer]) for p in each.proposals) or "-",
            _code(_find_sha256(report, each)),
        )
        for each in versions
    ]
    yield (
        "Each version was trained from the one before. The version of several proposals is their "
        "mean, which the audit computed again."
    )
    yield _table(("version", "round", "proposed by learner", "sha256"), rows[-_MOST_ROWS:])
    yield from _mention_others(len(rows), "version")


def _find_sha256(report: AuditReport, version: WeightsVersion) -> str:
    content = version.initial if version.round is None else report.weights.get(version.round)
    return "unknown" if content is None else content.sha256


def _describe_audit(report: AuditReport) -> Iterator[str]:
    counts = report.counts
    yield "## What was audited"
    yield (
        f"{counts.events:,} events were replayed in {count(counts.rounds, 'round')}; "
        f"{counts.ballots:,} records of ballots and {counts.transactions:,} calls were compared; "
        f"{counts.signatures:,} signed ballots, {counts.reveals:,} reveals and "
        f"{counts.selections:,} draws were verified; {counts.files:,} files were checked, and "
        f"{counts.merges:,} merges computed again."
    )
    if report.unchecked:
        yield "Not checked:"
        yield _list(_escape(sentence) for sentence in report.unchecked)


def _explain_verification() -> Iterator[str]:
    yield "## How to verify"
    yield (
        "Without a connection, this checks that all files belong together and agree with each "
        "other, and the signature if there is one:"
    )
    yield _block("colearn audit verify FOLDER --public-key auditor.pub")
    yield (
        "It does not replace an audit, which anybody can repeat from the chain and the store, with "
        f"the reference above. {_code(HISTORY)} contains each proposal, ballot and outcome."
    )
    yield _block("colearn audit REFERENCE")


def _mention_others(number: int, what: str) -> Iterator[str]:
    if number > _MOST_ROWS:
        yield f"{_MOST_ROWS} of {count(number, what)} are shown."


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _block(text: str) -> str:
    return f"```sh\n{text}\n```"


def _quote(text: str) -> str:
    lines = text.splitlines() or ["(nothing)"]
    return "\n".join(f"> {_escape(line)}".rstrip() for line in lines)


def _code(text: str) -> str:
    return "`" + escape_controls(text).replace("`", "'").replace("|", "¦") + "`"


def _escape(text: str) -> str:
    """Escape what Markdown or HTML would interpret in one line of a stranger's text."""
    escaped = re.sub(r"([\\`*_\[\]<>#|~$&])", r"\\\1", escape_controls(text))
    escaped = escaped.replace("://", "\\://")  # otherwise it would become a link
    return re.sub(r"^(\s*)(\d*)([-+=.)])", r"\1\2\\\3", escaped)
