"""The outputs of `colearn history` beside the table of rounds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from colearn_ledger.ledger import TransactionCost
from tests.support.commands import colearn, run_json
from tests.support.local_network import LocalNetwork, open_network


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalNetwork:
    """Play two rounds of three proposers in which slots 0 and 2 are accepted."""
    network = open_network(tmp_path, monkeypatch, 3, proposers=3)
    for _ in range(2):
        network.made.play(lambda _, slot: slot != 1)
    return network


def test_json_lines_contain_the_json(three: LocalNetwork):
    shown = colearn("history", three.reference, "--format", "jsonl")
    assert (shown.exit_code, shown.stderr) == (0, "")
    first, *rounds = [json.loads(line) for line in shown.stdout.splitlines()]
    document = run_json("history", three.reference)
    assert [{k: v for k, v in each.items() if k != "type"} for each in rounds] == document["rounds"]
    assert first["lineage"] == document["lineage"]
    one = colearn("history", three.reference, "--format", "jsonl", "--round", 1).stdout
    assert [json.loads(line)["type"] for line in one.splitlines()] == ["experiment", "round"]


def test_parquet_has_the_rows_of_the_csv(three: LocalNetwork):
    shown = colearn("history", three.reference, "--format", "parquet")
    assert (shown.exit_code, shown.stderr) == (0, "")
    rows = pq.read_table(io.BytesIO(shown.stdout_bytes)).to_pylist()
    texts = colearn("history", three.reference, "--format", "csv").stdout
    expected = list(csv.DictReader(io.StringIO(texts)))
    assert [row["sha256"] or "" for row in rows] == [row["sha256"] for row in expected]
    one = colearn("history", three.reference, "--format", "parquet", "--round", 1).stdout_bytes
    assert {row["round"] for row in pq.read_table(io.BytesIO(one)).to_pylist()} == {1}


def test_binary_file_is_not_written_to_a_terminal(
    three: LocalNetwork, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    shown = colearn("history", three.reference, "--format", "parquet")
    assert shown.exit_code == 2
    assert "write it to a file with > FILE" in shown.stderr
    assert shown.stdout_bytes == b""


def test_lineage_names_the_proposers_of_each_version(
    three: LocalNetwork, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    # the lineage needs no scores, so no specification either
    shown = colearn("history", three.reference, "--lineage", "--store", "folder:/none")
    assert (shown.exit_code, shown.stderr) == (0, "")
    rows = [line.split() for line in shown.stdout.splitlines()[3:8]]
    assert [row[:-1] for row in rows] == [
        *(["0", "-", "-", "-", "(initial)"], ["1", "0", "0", "0", "0"], ["2", "2"]),
        *(["2", "1", "1", "0", "0"], ["2", "2"]),
    ]


def test_contributions_have_gains_in_the_direction_of_the_specification(three: LocalNetwork):
    shown = colearn("history", three.reference, "--contributions")
    assert (shown.exit_code, shown.stderr) == (0, "")
    rows = {row[0]: row[-1] for line in shown.stdout.splitlines() if (row := line.split())}
    # every voter scores slot s higher by (s + 1) / 100 than the weights before
    assert {name: rows[name] for name in "012"} == {"0": "+0.02000", "1": "-", "2": "+0.06000"}
    unknown = colearn("history", three.reference, "--contributions", "--store", "folder:/none")
    assert "The score's name is unknown" in unknown.stderr
    assert " change\n" in unknown.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--lineage --contributions", "choose one of --lineage, --contributions and --fees"),
        ("--lineage --fees", "choose one of --lineage, --contributions and --fees"),
        ("--fees --format csv", "--fees is a table, or `fees` in --format json; not csv"),
        ("--fees --plot x.png", "--fees is not drawn; leave out --plot"),
        ("--lineage --plot x.png", "--lineage is not drawn; leave out --plot"),
        ("--lineage --round 1", "--lineage is about all rounds; leave out --round"),
        ("--contributions --round 0", "--contributions is about all rounds; leave out --round"),
        ("--contributions --json", "the JSON always has `contributions`"),
        ("--lineage --format jsonl", "the JSON always has `lineage`; leave out --lineage"),
        ("--lineage --format csv", "--lineage is a table"),
        ("--fees --format parquet", "in --format json; not parquet"),
        ("--json --format csv", "--json means --format json, not csv; leave one out"),
        ("--json --format jsonl", "--json means --format json, not jsonl; leave one out"),
        ("--json --format table", "--json means --format json, not table; leave one out"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    three: LocalNetwork, options: str, message: str
):
    refused = colearn("history", three.reference, *options.split())
    assert refused.exit_code == 2
    assert message in " ".join(refused.stderr.split())
    assert refused.stdout == ""


def test_fees_are_shown_of_all_rounds_or_of_one(
    three: LocalNetwork, monkeypatch: pytest.MonkeyPatch
):
    def price(_: object, transactions: Sequence[str]) -> list[TransactionCost]:
        return [TransactionCost(three.made.accounts[1], 50_000, 10**14, "wei")] * len(transactions)

    monkeypatch.setattr(type(three.made.ledger), "costs", price)
    shown = colearn("history", three.reference, "--fees", "--store", "folder:/none")
    assert (shown.exit_code, shown.stderr) == (0, "")
    [whole] = [line.split() for line in shown.stdout.splitlines() if line.endswith(" gwei")]
    one = colearn("history", three.reference, "--fees", "--round", 1).stdout
    assert one.startswith("Fees in round 1 of experiment 1, plural: ")
    [row] = [line.split() for line in one.splitlines() if line.endswith(" gwei")]
    # three proposals and three ballots; before, as many, four calls to create and join
    assert (row, whole[1]) == (["1", "6", "300,000", "600,000", "gwei"], "16")
    document = run_json("history", three.reference, "--fees")
    assert [each["round"] for each in document["fees"]] == [None, 0, 1]


def test_fees_of_a_ledger_without_gas_are_explained(three: LocalNetwork):
    shown = colearn("history", three.reference, "--fees")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "No account has paid a fee here." in shown.stdout
