"""An experiment's history: state and scores joined, as JSON and CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import pytest

from colearn_ledger.history import read_history
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import ContentRef, ExperimentParams, Scores, Vote
from colearn_ledger.reference import LocalLedger


def content(text: str) -> ContentRef:
    digest = hashlib.sha256(text.encode())
    return ContentRef.from_digest(0x55, digest.digest(), digest.hexdigest(), len(text))


@pytest.fixture
def finished_experiment():
    """Run two rounds of three learners: one accepted with a missing score, one declined."""
    wallets = [Wallet.from_key(bytes([i + 1]) * 32) for i in range(3)]
    ledger = LocalLedger.new(wallets[0], clock=lambda: 1_000.0)
    views = [ledger.acting_for(w) for w in wallets]
    params = ExperimentParams("h", content("spec"), None, 2, 3, 3)
    experiment = ledger.create(params).wait().experiment
    for view in views:
        view.join(experiment)
    views[0].propose(experiment, 0, content("w"), Scores(0.5, float("inf")))
    views[1].vote(experiment, 0, Vote(approve=True, scores=Scores(0.25, None)))
    views[2].vote(experiment, 0, Vote(approve=False, scores=Scores(0.125, 0.1)))
    views[1].decline(experiment, 1)
    return ledger, experiment


def test_scores_of_events_are_joined_to_rounds_and_ballots(finished_experiment):
    history = read_history(*finished_experiment)
    first, second = history.rounds
    assert history.scores_complete
    assert first.scores == Scores(0.5, float("inf"))
    assert [r.scores.vote_score for r in first.ballots] == [None, 0.25, 0.125]
    assert second.scores == Scores()


def test_json_is_strict_and_has_null_for_absent_scores(finished_experiment):
    document = json.loads(read_history(*finished_experiment).to_json(), parse_constant=pytest.fail)
    first, second = document["rounds"]
    assert (first["outcome"], second["outcome"]) == ("accepted", "no_proposal")
    assert first["test_score"] == "inf"
    assert [b["ballot"] for b in first["ballots"]] == ["approved", "rejected"]
    assert first["ballots"][0]["test_score"] is None
    assert document["experiment"]["params"]["selection"] == "round_robin"
    assert [learner["index"] for learner in document["learners"]] == [0, 1, 2]


def test_csv_has_a_row_for_each_learner_in_each_round(finished_experiment):
    rows = list(csv.DictReader(io.StringIO(read_history(*finished_experiment).to_csv())))
    assert len(rows) == 6
    assert [r["ballot"] for r in rows[:3]] == ["proposer", "approved", "rejected"]
    assert rows[1]["vote_score"] == "0.25"
    assert rows[1]["test_score"] == ""


def test_history_without_old_events_keeps_ballots_and_outcomes(finished_experiment):
    ledger, experiment = finished_experiment

    class Pruned:
        def __getattr__(self, name):
            return getattr(ledger, name)

        def events(self, *_):
            raise LedgerUnavailable("pruned")

    history = read_history(Pruned(), experiment)
    assert not history.scores_complete
    assert history.rounds[0].round.approvals == 1
    assert history.rounds[0].ballots[1].scores == Scores()


def test_ballots_are_read_by_page_of_learners_and_not_by_round():
    wallets = [Wallet.from_key((i + 1).to_bytes(32, "big")) for i in range(103)]
    ledger = LocalLedger.new(wallets[0], clock=lambda: 1_000.0)
    params = ExperimentParams("h", content("spec"), None, 3, 103, 200)
    experiment = ledger.create(params).wait().experiment
    for wallet in wallets:
        ledger.acting_for(wallet).join(experiment)
    ledger.start(experiment)
    for index in range(3):
        ledger.acting_for(wallets[index]).decline(experiment, index)
    asked = []

    class Recording:
        def __getattr__(self, name):
            asked.append(name)
            return getattr(ledger, name)

    history = read_history(Recording(), experiment)
    everyone = [wallet.address for wallet in wallets]
    assert [[b.ballot.learner for b in r.ballots] for r in history.rounds] == [everyone] * 3
    assert asked.count("ask_all") == 2
    assert "ballots" not in asked
