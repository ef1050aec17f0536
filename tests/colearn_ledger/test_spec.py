from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_ledger.spec import ExperimentSpec, SpecError, VoteRule
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentTooLarge, ContentUnavailable
from colearn_ledger.weights.stores.directory import DirectoryStore
from colearn_ledger.weights.unixfs import content_of

SCHEMA = WeightsSchema.of({"w": np.ones((30, 1)), "b": np.zeros(1)}, max_bytes=10_000)
SPEC = ExperimentSpec("logistic regression", SCHEMA, "accuracy", True, "Five hospitals. ✓")


def document(**changes: Any) -> bytes:
    return json.dumps({**json.loads(SPEC.to_bytes()), **changes}).encode()


def without(field: str) -> bytes:
    return json.dumps({k: v for k, v in json.loads(SPEC.to_bytes()).items() if k != field}).encode()


def backwards(value: Any) -> Any:
    """Return JSON values with the keys of every object in reverse order."""
    if not isinstance(value, dict):
        return value
    return {key: backwards(value[key]) for key in reversed(value)}


def test_written_specification_is_read_back():
    assert ExperimentSpec.from_bytes(SPEC.to_bytes()) == SPEC


def test_voting_fields_are_read_back():
    spec = dataclasses.replace(
        SPEC,
        vote_rule=VoteRule.LEAVE_ONE_OUT,
        tolerance=0.01,
        max_distance=3,
        continues="eip155:31337:0x5FbDB2315678afecb367f032d93F642f64180aa3/7",
    )
    read = ExperimentSpec.from_bytes(spec.to_bytes())
    assert read == spec
    assert type(read.vote_rule) is VoteRule
    assert ExperimentSpec.from_bytes(document(max_distance=3)).max_distance == 3.0


@pytest.mark.parametrize("field", ["vote_rule", "tolerance", "max_distance", "continues"])
def test_voting_fields_have_defaults(field: str):
    assert ExperimentSpec.from_bytes(without(field)) == SPEC
    assert SPEC.vote_rule == VoteRule.BETTER_ALONE


def test_vote_rule_can_be_given_as_text():
    spec = ExperimentSpec("m", SCHEMA, "loss", False, vote_rule="leave-one-out")
    assert spec.vote_rule is VoteRule.LEAVE_ONE_OUT


@given(st.text(), st.text(min_size=1), st.booleans(), st.text())
def test_any_text_is_read_back(model: str, score: str, higher: bool, text: str):
    spec = ExperimentSpec(model, SCHEMA, score, higher, text)
    assert ExperimentSpec.from_bytes(spec.to_bytes()) == spec


def test_bytes_are_canonical_json():
    data = SPEC.to_bytes()
    shuffled = ExperimentSpec.from_bytes(json.dumps(backwards(json.loads(data))).encode())
    assert shuffled.to_bytes() == data
    assert data == ExperimentSpec.from_bytes(document()).to_bytes()
    assert data.startswith(b'{"continues":null,"higher_is_better":true,"max_distance":5.0,"model":')
    assert "✓".encode() in data


def test_specification_is_stored_and_read_from_a_store(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    content = SPEC.put(store)
    assert ExperimentSpec.read(store, content) == SPEC
    with pytest.raises(ContentTooLarge):
        ExperimentSpec.read(store, content, max_size=100)
    with pytest.raises(ContentUnavailable):
        ExperimentSpec.read(store, content_of(b"another"))
    with pytest.raises(SpecError):
        ExperimentSpec.read(store, store.put([b"not a specification"]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not strict JSON"),
        (b"\xff", "not strict JSON"),
        (b"[" * 100_000, "not strict JSON"),
        (SPEC.to_bytes()[:-1], "not strict JSON"),
        (b'{"version":1,"version":1}', "twice"),
        (b'{"version":NaN}', "NaN"),
        (b"[]", "not a JSON object"),
        (b"{}", "version"),
        (document(version=2), "version 1"),
        (document(version=True), "version 1"),
        (document(owner="me"), "unknown fields: .'owner'"),
        (without("model"), "missing or unknown fields: .'model'"),
        (without("text"), "'text'"),
        (document(model=5), "model is not a string"),
        (document(text=None), "text is not a string"),
        (document(score_name=["accuracy"]), "score_name is not a string"),
        (document(score_name=""), "has no score_name"),
        (document(higher_is_better=1), "true or false"),
        (document(vote_rule="majority"), "'majority' is not one of better-alone, leave-one-out"),
        (document(vote_rule={}), "vote_rule {} is not one of"),
        (document(tolerance=-0.1), "tolerance is not a number of at least 0"),
        (document(tolerance=True), "tolerance is not a number"),
        (document(tolerance="1"), "tolerance is not a number"),
        (document(max_distance=0.9), "max_distance is not a number of at least 1"),
        (document(max_distance=10**400), "max_distance is not a number"),
        (document(max_distance=None), "max_distance is not a number"),
        (document(continues=""), "continues is not a reference"),
        (document(continues=3), "continues is not a reference"),
        (document(weights={}), "weights: a schema has exactly"),
        (document(weights=None), "weights: a schema has exactly"),
        (document(text="\ud800"), "not strict JSON"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_malformed_documents_are_refused_with_a_reason(data: bytes, reason: str):
    with pytest.raises(SpecError, match=reason):
        ExperimentSpec.from_bytes(data)


def test_oversized_document_is_refused():
    data = ExperimentSpec("m", SCHEMA, "loss", False, "x" * 2**20).to_bytes()
    with pytest.raises(SpecError, match="are allowed"):
        ExperimentSpec.from_bytes(data)
    assert ExperimentSpec.from_bytes(data, max_size=2**21).score_name == "loss"


def test_text_that_utf8_cannot_encode_is_refused():
    with pytest.raises(SpecError, match="cannot be written"):
        ExperimentSpec("m", SCHEMA, "loss", False, "\ud800").to_bytes()
