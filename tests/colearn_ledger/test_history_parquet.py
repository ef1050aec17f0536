"""A history as a Parquet file, compared with its JSON lines and its CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from colearn_ledger.history import History
from colearn_ledger.history.documents import TooLargeForParquet
from colearn_ledger.optional import MissingPackage
from tests.support.histories import play_classic, play_plural, read_named


@pytest.fixture(params=[play_classic, play_plural], ids=["classic", "plural"], scope="module")
def history(request: pytest.FixtureRequest) -> History:
    return read_named(request.param())


def read_rows(history: History) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(history.to_parquet())).to_pylist()
    return rows


def to_time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def find_scores(round_: dict[str, Any], ballot: dict[str, Any], slot: int) -> dict[str, Any]:
    """Return a learner's scores of a proposal: of its ballot, or of its own proposal."""
    if round_["slots"][slot]["proposer"] == ballot["learner"]:
        return dict(round_["slots"][slot])
    return next(
        (scores for scores in ballot["scores"] if scores["slot"] == slot),
        {"vote_score": None, "test_score": None},
    )


def test_rows_are_those_of_the_json_lines(history: History):
    documents = [json.loads(line) for line in history.to_jsonl()]
    rounds = [document for document in documents if document["type"] == "round"]
    rows = iter(read_rows(history))
    for round_ in rounds:
        for ballot in round_["ballots"]:
            for number, slot in enumerate(round_["slots"]):
                row = next(rows)
                content = slot["content"] or {"cid": None, "sha256": None, "size": None}
                scores = find_scores(round_, ballot, number)
                expected = {
                    "round": round_["round"],
                    "outcome": round_["outcome"],
                    "slot": number,
                    **{name: slot[name] for name in ("proposer", "state", "accepted")},
                    **{name: round_[name] for name in ("eligible", "needed", "by_deadline")},
                    "learner": ballot["learner"],
                    "ballot": ballot["ballot"],
                    "current_vote_score": ballot["current"]["vote_score"],
                    "current_test_score": ballot["current"]["test_score"],
                    "vote_score": scores["vote_score"],
                    "test_score": scores["test_score"],
                    **content,
                    "proposed_at": to_time(slot["proposed_at"]),
                    **{
                        name: to_time(round_[name])
                        for name in (
                            *("started_at", "voting_started_at"),
                            *("reveal_started_at", "closed_at"),
                        )
                    },
                }
                assert {name: row[name] for name in expected} == expected
    assert next(rows, None) is None


def test_columns_and_rows_are_those_of_the_csv(history: History):
    rows = read_rows(history)
    texts = list(csv.DictReader(io.StringIO(history.to_csv())))
    assert [list(row) for row in rows] == [list(row) for row in texts]
    flags = {True: "true", False: "false", None: ""}
    for name in ("accepted", "approves", "by_deadline"):
        assert [flags[row[name]] for row in rows] == [row[name] for row in texts]
    for name in ("approvals", "learner_index"):
        assert [str(row[name]) for row in rows] == [row[name] for row in texts]


def test_columns_have_types(history: History):
    schema = pq.read_schema(io.BytesIO(history.to_parquet()))
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds["round"] == "int64"
    assert kinds["vote_score"] == "double"
    assert kinds["approves"] == "bool"
    assert kinds["learner"] == "string"
    assert kinds["reveal_started_at"] == "timestamp[ms, tz=UTC]"


def test_infinite_scores_remain(history: History):
    first, *others = history.rounds
    scores = replace(first.scores[0], vote_score=float("-inf"))
    changed = replace(first, scores=(scores, *first.scores[1:]))
    rows = read_rows(replace(history, rounds=(changed, *others)))
    assert float("-inf") in [row["vote_score"] for row in rows]


def test_history_without_rounds_has_the_columns(history: History):
    table = pq.read_table(io.BytesIO(replace(history, rounds=()).to_parquet()))
    assert table.num_rows == 0
    assert table.num_columns == 26


def test_time_that_is_far_off_is_explained(history: History):
    first, *others = history.rounds
    late = replace(first, round=replace(first.round, closed_at=2**62))
    with pytest.raises(TooLargeForParquet, match="use another format"):
        replace(history, rounds=(late, *others)).to_parquet()


def test_missing_pyarrow_is_explained(history: History, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackage, match=r"pyarrow.*pip install 'colearn-ledger\[parquet\]'"):
        history.to_parquet()
