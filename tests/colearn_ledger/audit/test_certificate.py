"""Certificates: what is in them, and when none is written."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.audit import certificate
from colearn_ledger.audit.certificate import (
    STATEMENT,
    FolderTaken,
    NotCertifiable,
    Source,
    write_certificate,
)
from colearn_ledger.audit.statement import HISTORY, MODEL_CARD, WEIGHTS
from colearn_ledger.audit.verifying import SignatureState, verify_certificate
from colearn_ledger.history import read_history
from colearn_ledger.weights.store import ContentUnavailable
from tests.support.audit_commands import REFERENCE
from tests.support.audited import audit, play
from tests.support.certified import certify, read_json
from tests.support.lying_ledger import LyingLedger
from tests.support.toyworld import TowardsTarget, World

FILES = {WEIGHTS, HISTORY, MODEL_CARD, STATEMENT}


class TestWriting:
    @pytest.mark.parametrize(
        "shape", ["open", "plural mean", "plural best", "without initial weights"]
    )
    def test_certificate_of_each_shape_is_complete_and_fits_together(
        self, shape: str, tmp_path: Path
    ):
        world = play(tmp_path / "world", "local", shape)
        folder = certify(world, tmp_path / "out")
        assert {path.name for path in folder.iterdir()} == FILES
        check = verify_certificate(folder)
        assert check.problems == ()
        assert check.signature == SignatureState.NONE
        assert check.other_files == ()

    def test_statement_is_about_the_final_weights(self, merged: World, written: Path):
        statement = read_json(written / STATEMENT)
        digest = hashlib.sha256((written / WEIGHTS).read_bytes()).hexdigest()
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["subject"] == [{"name": WEIGHTS, "digest": {"sha256": digest}}]
        predicate = statement["predicate"]
        assert predicate["experiment"]["reference"] == REFERENCE
        assert predicate["experiment"]["rounds_begun"] == 4
        last = predicate["lineage"][-1]
        assert last["weights"]["sha256"] == digest
        current = merged.ledger.experiment(merged.experiment).current
        assert [each["content"]["cid"] for each in last["proposals"]] == [c.cid for c in current]
        accounts = [learner["account"] for learner in predicate["learners"]]
        assert accounts == [view.account for view in merged.views]
        assert predicate["audit"]["findings"] == []
        assert predicate["audit"]["checked"]["merges"] == 4

    def test_what_was_not_checked_is_in_the_statement_and_on_the_card(
        self, merged: World, tmp_path: Path
    ):
        ledger = LyingLedger(merged.ledger)
        ledger.rewrite_origin = lambda _: None
        report = audit(merged, ledger)
        write_certificate(
            tmp_path / "out", Source(REFERENCE, report, merged.ledger, merged.store(0))
        )
        [sentence] = read_json(tmp_path / "out" / STATEMENT)["predicate"]["audit"]["unchecked"]
        assert "were not compared with the calls" in sentence
        assert sentence in (tmp_path / "out" / MODEL_CARD).read_text()

    def test_history_is_that_of_the_ledger(self, merged: World, written: Path):
        history = read_history(merged.ledger, merged.experiment)
        assert (written / HISTORY).read_text() == history.to_json()

    def test_card_names_model_parties_lineage_and_limits(self, merged: World, written: Path):
        card = (written / MODEL_CARD).read_text()
        assert card.startswith("# toy\n")
        for expected in (REFERENCE, "> toy", "higher is better", "4 of 4, 4 accepted"):
            assert expected in card
        assert all(f"`{view.account}`" in card for view in merged.views)
        assert "| 1 | 0 | 0, 1, 2 | `" in card
        assert "## Limits" in card
        assert "colearn audit verify" in card

    def test_card_escapes_the_texts_of_strangers(self, tmp_path: Path):
        hostile = "![x](https://evil.example)\n# <script>|`owned`\x1b[31m"
        world = World(
            tmp_path / "world",
            [TowardsTarget(1.0) for _ in range(3)],
            {"rounds": 1, "name": "# <b>|toy"},
            spec={"text": hostile},
        )
        world.drive(world.agents())
        card = (certify(world, tmp_path / "out") / MODEL_CARD).read_text()
        assert card.startswith("# \\# \\<b\\>\\|toy\n")
        assert r"> !\[x\](https\://evil.example)" in card
        assert r"> \# \<script\>\|\`owned\`\\x1b\[31m" in card
        assert "\x1b" not in card


class TestRefusals:
    def test_findings_prevent_a_certificate(self, merged: World, tmp_path: Path):
        ledger = LyingLedger(merged.ledger)
        ledger.rewrites["current_weights"] = lambda found: found[:1]
        report = audit(merged, ledger)
        with pytest.raises(NotCertifiable, match="has findings"):
            write_certificate(
                tmp_path / "out", Source(REFERENCE, report, merged.ledger, merged.store(0))
            )
        assert [*tmp_path.iterdir()] == []

    def test_running_experiment_has_no_final_weights(self, tmp_path: Path):
        world = World(tmp_path / "world", [TowardsTarget(1.0) for _ in range(3)])
        for agent in world.agents():
            agent.step()
        with pytest.raises(NotCertifiable, match="is running, so its weights are not final"):
            certify(world, tmp_path / "out")

    def test_experiment_without_weights_cannot_be_certified(self, tmp_path: Path):
        world = World(tmp_path / "world", [TowardsTarget(1.0)] * 3, {"initial": None})
        world.views[0].cancel(world.experiment).wait()
        with pytest.raises(NotCertifiable, match="has no weights"):
            certify(world, tmp_path / "out")

    def test_audit_that_did_not_check_the_files_cannot_be_certified(
        self, merged: World, tmp_path: Path
    ):
        report = replace(audit(merged), weights={})
        with pytest.raises(NotCertifiable, match="did not compute the final weights"):
            write_certificate(
                tmp_path / "out", Source(REFERENCE, report, merged.ledger, merged.store(0))
            )
        assert [*tmp_path.iterdir()] == []

    def test_folder_with_files_is_left_alone(self, merged: World, tmp_path: Path):
        (tmp_path / "notes").write_text("mine")
        with pytest.raises(FolderTaken, match="is not empty"):
            certify(merged, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["notes"]

    def test_empty_folder_is_used(self, merged: World, tmp_path: Path):
        (tmp_path / "out").mkdir()
        assert {path.name for path in certify(merged, tmp_path / "out").iterdir()} == FILES

    @pytest.mark.parametrize("name", ["file", "missing/out"])
    def test_impossible_folder_is_refused(self, name: str, merged: World, tmp_path: Path):
        (tmp_path / "file").touch()
        with pytest.raises(FolderTaken):
            certify(merged, tmp_path / name)

    def test_folder_that_is_filled_meanwhile_is_left_alone(
        self, merged: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def make_statement(*_: Any) -> bytes:
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "notes").write_text("mine")
            return b"{}"

        monkeypatch.setattr(certificate, "make_statement", make_statement)
        with pytest.raises(FolderTaken, match="cannot create"):
            certify(merged, tmp_path / "out")
        assert [path.name for path in tmp_path.rglob("*")] == ["out", "notes"]

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    def test_failure_leaves_nothing(
        self,
        error: BaseException,
        merged: World,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        def fail(*_: Any) -> bytes:
            raise error

        monkeypatch.setattr(certificate, "make_statement", fail)
        with pytest.raises(type(error)):
            certify(merged, tmp_path / "out")
        assert [*tmp_path.iterdir()] == []

    def test_weights_that_are_no_longer_served_leave_nothing(self, tmp_path: Path):
        world = play(tmp_path / "world", "local", "plural mean")
        source = Source(REFERENCE, audit(world), world.ledger, world.store(0))
        for path in (world.folder / "store").rglob("*"):
            if path.is_file() and path.stat().st_size > 500:  # the merged files
                path.unlink()
        for content in world.ledger.experiment(world.experiment).current:
            for path in (world.folder / "store").rglob(f"{content.cid}*"):
                path.unlink()
        with pytest.raises(ContentUnavailable, match="3 of the 3 accepted files"):
            write_certificate(tmp_path / "out", source)
        assert not (tmp_path / "out").exists()
