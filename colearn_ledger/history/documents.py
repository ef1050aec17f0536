"""Write an experiment's history as JSON, JSON Lines, CSV, a Parquet file, and a DataFrame."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from colearn_ledger.optional import import_optional
from colearn_ledger.protocol import Ballot, LedgerError, Scores, to_dict

if TYPE_CHECKING:
    from colearn_ledger.history.records import BallotRecord, History, RoundRecord

_COLUMNS = [
    "round",
    "outcome",
    "slot",
    "proposer",
    "state",
    "accepted",
    "eligible",
    "needed",
    "approvals",
    "learner",
    "learner_index",
    "ballot",
    "approves",
    "current_vote_score",
    "current_test_score",
    "vote_score",
    "test_score",
    "cid",
    "sha256",
    "size",
    "started_at",
    "proposed_at",
    "voting_started_at",
    "reveal_started_at",
    "closed_at",
    "by_deadline",
]

_TIMES = ("started_at", "proposed_at", "voting_started_at", "reveal_started_at", "closed_at")
_TEXTS = ("outcome", "proposer", "state", "learner", "ballot", "cid", "sha256")
_FLAGS = ("accepted", "approves", "by_deadline")
_SCORES = ("current_vote_score", "current_test_score", "vote_score", "test_score")


class TooLargeForParquet(LedgerError):
    """A history has a number that a Parquet file cannot contain."""


def write_json(history: History, round_index: int | None = None) -> str:
    """Return a history as JSON; see `History.to_json`."""
    document = {
        **_describe_experiment(history),
        "rounds": [_round_to_dict(record) for record in _select(history, round_index)],
        "announcements": [to_dict(each) for each in history.announcements],
        **_describe_whole(history),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def write_jsonl(history: History, round_index: int | None = None) -> Iterator[str]:
    """Yield the lines of a history as JSON Lines; see `History.to_jsonl`."""
    for document in make_lines(history, round_index):
        yield json.dumps(document, allow_nan=False) + "\n"


def make_lines(history: History, round_index: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the documents of the JSON lines: the experiment, each round, each announcement."""
    yield {"type": "experiment", **_describe_experiment(history), **_describe_whole(history)}
    for record in _select(history, round_index):
        yield {"type": "round", **_round_to_dict(record)}
    for each in history.announcements:
        yield {"type": "announcement", **to_dict(each)}


def write_csv(history: History) -> str:
    """Return a history as CSV; see `History.to_csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in _rows(history):
        writer.writerow({name: _to_text(name, value) for name, value in row.items()})
    return text.getvalue()


def make_frame(history: History) -> Any:
    """Return a history as a DataFrame; see `History.to_pandas`."""
    pandas = import_optional("pandas", extra="pandas", purpose="data frames")
    frame = pandas.DataFrame(list(_rows(history)), columns=_COLUMNS)
    for name in _TIMES:
        frame[name] = pandas.to_datetime(frame[name], unit="s", utc=True)
    for name in _SCORES:
        frame[name] = frame[name].astype(float)
    return frame


def write_parquet(history: History) -> bytes:
    """Return a history as a Parquet file; see `History.to_parquet`."""
    arrow = import_optional("pyarrow", extra="parquet", purpose="Parquet files")
    parquet = import_optional("pyarrow.parquet", extra="parquet", purpose="Parquet files")
    kinds = {
        **dict.fromkeys(_COLUMNS, arrow.int64()),
        **dict.fromkeys(_TEXTS, arrow.string()),
        **dict.fromkeys(_FLAGS, arrow.bool_()),
        **dict.fromkeys(_SCORES, arrow.float64()),
        **dict.fromkeys(_TIMES, arrow.timestamp("ms", tz="UTC")),
    }
    rows = [
        {name: _to_milliseconds(value) if name in _TIMES else value for name, value in row.items()}
        for row in _rows(history)
    ]
    file = io.BytesIO()
    try:
        table = arrow.Table.from_pylist(rows, schema=arrow.schema(list(kinds.items())))
        parquet.write_table(table, file)
    except (arrow.ArrowException, OverflowError) as error:
        raise TooLargeForParquet(
            f"a number of the history exceeds 64 bits; use another format ({error})"
        ) from error
    return file.getvalue()


def _to_milliseconds(seconds: int | None) -> int | None:
    return None if seconds is None else 1_000 * seconds


def _describe_experiment(history: History) -> dict[str, Any]:
    return {
        "experiment": _to_dict_without(history.experiment, "round", "seed"),
        "learners": [
            _to_dict_without(learner, "experiment", "encryption_key")
            for learner in history.learners
        ],
    }


def _describe_whole(history: History) -> dict[str, Any]:
    """Return what is computed from all rounds, whichever of them are shown."""
    contributions = history.contributions()
    fees = {} if history.fees is None else {"fees": [to_dict(each) for each in history.fees]}
    return {
        "lineage": [to_dict(version) for version in history.lineage()],
        "contributions": [_to_dict_without(each, "gain") for each in contributions],
        **fees,
        "scores_complete": history.scores_complete,
    }


def _select(history: History, round_index: int | None) -> Sequence[RoundRecord]:
    return history.rounds if round_index is None else (history.rounds[round_index],)


def _rows(history: History) -> Iterator[dict[str, Any]]:
    index_of = {learner.account: learner.index for learner in history.learners}
    for record in history.rounds:
        for row in record.ballots:
            yield from _rows_of_ballot(record, row, index_of[row.ballot.learner])


def _to_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if name in _TIMES:
        return _format_time(value)
    return repr(value) if isinstance(value, float) else str(value)


def _format_time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # a chain's clock may be far off
        return str(seconds)


def _rows_of_ballot(
    record: RoundRecord, row: BallotRecord, learner_index: int
) -> Iterator[dict[str, Any]]:
    round_, ballot = record.round, _ballot_name(record, row.ballot)
    scores = record.scores_of(row)
    for index, slot in enumerate(round_.slots):
        own = scores.get(index, Scores())
        votes = ballot == "cast" and slot.content is not None
        votes = votes and slot.proposer != row.ballot.learner
        yield {
            "round": round_.index,
            "outcome": round_.outcome.name.lower(),
            "slot": index,
            "proposer": slot.proposer,
            "state": slot.state.name.lower(),
            "accepted": slot.accepted,
            "eligible": round_.eligible,
            "needed": round_.needed,
            "approvals": slot.approvals,
            "learner": row.ballot.learner,
            "learner_index": learner_index,
            "ballot": ballot,
            "approves": bool(row.ballot.approvals >> index & 1) if votes else None,
            "current_vote_score": row.current.vote_score,
            "current_test_score": row.current.test_score,
            "vote_score": own.vote_score,
            "test_score": own.test_score,
            "cid": slot.content.cid if slot.content else None,
            "sha256": slot.content.sha256 if slot.content else None,
            "size": slot.content.size if slot.content else None,
            "started_at": round_.started_at,
            "proposed_at": slot.proposed_at,
            "voting_started_at": round_.voting_started_at,
            "reveal_started_at": round_.reveal_started_at,
            "closed_at": round_.closed_at,
            "by_deadline": round_.by_deadline,
        }


def _ballot_name(record: RoundRecord, ballot: Ballot) -> str:
    """Return the ballot's state, or the reason why the learner has no vote."""
    if ballot.eligible:
        return ballot.state.name.lower()
    only_proposal = record.find_slot(ballot.learner) in record.round.contents
    return "proposer" if only_proposal else "not_eligible"


def _round_to_dict(record: RoundRecord) -> dict[str, Any]:
    round_ = _to_dict_without(record.round, "experiment", "commitments", "deadline", "slots")
    slots = zip(record.round.slots, record.scores, strict=True)
    return {
        "round": round_.pop("index"),
        **round_,
        "accepted": list(record.accepted),
        "slots": [{**to_dict(slot), **to_dict(scores)} for slot, scores in slots],
        "ballots": [_ballot_to_dict(record, row) for row in record.ballots],
        "counted": record.round.ballots,
    }


def _ballot_to_dict(record: RoundRecord, row: BallotRecord) -> dict[str, Any]:
    by_slot = [{"slot": slot, **to_dict(scores)} for slot, scores in row.proposals.items()]
    return {
        "learner": row.ballot.learner,
        "ballot": _ballot_name(record, row.ballot),
        "approvals": record.approved_slots(row.ballot),
        "current": to_dict(row.current),
        "scores": by_slot,
    }


def _to_dict_without(value: Any, *left_out: str) -> dict[str, Any]:
    """Return a value as a dictionary, without the fields that the format excludes."""
    return {name: field for name, field in to_dict(value).items() if name not in left_out}
