"""Verifying certificates: which forgeries are found, and whose signatures are valid."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from Crypto.PublicKey import ECC

from colearn_ledger.audit.certificate import ENVELOPE, STATEMENT
from colearn_ledger.audit.envelope import read_key, sign_payload
from colearn_ledger.audit.statement import HISTORY, MODEL_CARD, WEIGHTS
from colearn_ledger.audit.verifying import NotACertificate, SignatureState, verify_certificate
from tests.support.certified import certify, read_json
from tests.support.signing_keys import CURVES, write_keys
from tests.support.toyworld import World


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """Return a copy of a certificate, to change it."""
    return Path(shutil.copytree(written, tmp_path / "out"))


def change_statement(change: Callable[[Any], None]) -> Callable[[Path], None]:
    """Return a forgery that changes the statement, and then everything that would reveal it."""

    def forge(folder: Path) -> None:
        statement = read_json(folder / STATEMENT)
        change(statement)
        data = json.dumps(statement).encode()
        (folder / STATEMENT).write_bytes(data)
        (folder / ENVELOPE).write_bytes(sign_payload(data, ECC.generate(curve="Ed25519")))

    return forge


def change_history(change: Callable[[Any], None]) -> Callable[[Path], None]:
    """Return a forgery that changes the history, and its digest in the statement."""

    def forge(folder: Path) -> None:
        history = read_json(folder / HISTORY)
        change(history)
        (folder / HISTORY).write_text(json.dumps(history))
        digest = hashlib.sha256((folder / HISTORY).read_bytes()).hexdigest()

        def change_digest(statement: Any) -> None:
            [file] = [f for f in statement["predicate"]["files"] if f["name"] == HISTORY]
            file["digest"]["sha256"] = digest

        change_statement(change_digest)(folder)

    return forge


def swap_weights(folder: Path) -> None:
    """Certify other weights: those of one accepted proposal have another CID and no merge."""
    data = (folder / WEIGHTS).read_bytes() + b" "
    (folder / WEIGHTS).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    change_statement(lambda s: s["subject"][0]["digest"].update(sha256=digest))(folder)


def append(name: str) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(b" ")

    return forge


FORGERIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "changed weights": (append(WEIGHTS), "weights.safetensors was changed"),
    "changed history": (append(HISTORY), "history.json was changed"),
    "changed card": (append(MODEL_CARD), "model-card.md was changed"),
    "changed statement": (append(STATEMENT), "is not statement.json"),
    "missing weights": (
        lambda folder: (folder / WEIGHTS).unlink(),
        "weights.safetensors is missing",
    ),
    "other weights": (swap_weights, "is not the file bafkrei"),
    "fewer rounds": (change_history(lambda h: h["rounds"].pop()), "The number of rounds"),
    "another hash": (
        change_history(lambda h: h["experiment"].update(hash="00" * 32)),
        "The experiment's hash",
    ),
    "another learner": (
        change_history(lambda h: h["learners"][1].update(account="0x00")),
        "The learners in history.json",
    ),
    "another lineage": (
        change_history(lambda h: h["lineage"].pop()),
        "does not lead to the experiment's final weights",
    ),
    "other final files": (
        change_history(lambda h: h["experiment"]["current"].pop()),
        "The final weights in history.json are not weights.safetensors",
    ),
    "no history": (change_history(lambda h: h.pop("rounds")), "is not a history (KeyError"),
    "more rounds stated": (
        change_statement(lambda s: s["predicate"]["experiment"].update(rounds_begun=9)),
        "The number of rounds",
    ),
    "damaged envelope": (
        lambda folder: (folder / ENVELOPE).write_text("{}"),
        "is not a DSSE envelope",
    ),
}


class TestVerification:
    @pytest.mark.parametrize("name", FORGERIES)
    def test_forgery_is_found(self, name: str, folder: Path):
        assert verify_certificate(folder).problems == ()
        forge, expected = FORGERIES[name]
        forge(folder)
        assert any(expected in problem for problem in verify_certificate(folder).problems)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            "[]",
            '{"_type": "https://in-toto.io/Statement/v1"}',
            '{"_type": "https://in-toto.io/Statement/v1", "predicateType": "x", "subject": []}',
        ],
    )
    def test_other_statement_is_not_a_certificate(self, text: str, folder: Path):
        (folder / STATEMENT).write_text(text)
        with pytest.raises(NotACertificate, match=r"statement\.json: the statement"):
            verify_certificate(folder)

    @pytest.mark.parametrize(
        "change",
        [
            lambda s: s.update(subject=[]),
            lambda s: s["subject"][0].update(name="../secret"),
            lambda s: s["subject"][0].update(digest={"md5": "00"}),
            lambda s: s["predicate"].update(lineage=[]),
            lambda s: s["predicate"].update(lineage=[7]),
            lambda s: s["predicate"].update(learners=7),
            lambda s: s["predicate"]["weights"].update(size=-1),
            lambda s: s["predicate"]["lineage"][-1].update(weights=None),
            lambda s: s["predicate"]["experiment"].update(rounds_begun="4"),
            lambda s: s.update(predicateType="urn:other"),
        ],
    )
    def test_malformed_statement_is_not_a_certificate(
        self, change: Callable[[Any], None], folder: Path
    ):
        change_statement(change)(folder)
        with pytest.raises(NotACertificate):
            verify_certificate(folder)

    def test_folder_without_a_statement_is_not_a_certificate(self, tmp_path: Path):
        for path in (tmp_path, tmp_path / "missing"):
            with pytest.raises(NotACertificate):
                verify_certificate(path)

    def test_other_files_are_reported(self, folder: Path):
        (folder / "notes.txt").touch()
        check = verify_certificate(folder)
        assert check.other_files == ("notes.txt",)
        assert check.problems == ()

    def test_huge_statement_is_not_read(self, folder: Path):
        with (folder / STATEMENT).open("r+b") as file:
            file.truncate(2**26 + 1)
        with pytest.raises(NotACertificate, match="is larger than"):
            verify_certificate(folder)


class TestSignatures:
    @pytest.mark.parametrize("curve", CURVES)
    def test_signature_is_verified_with_the_auditor_s_key_only(
        self, curve: str, merged: World, tmp_path: Path
    ):
        private, public = write_keys(tmp_path, curve)
        folder = certify(merged, tmp_path / "out", key=read_key(private, private=True))
        unverified = verify_certificate(folder)
        assert unverified.signature == SignatureState.NOT_VERIFIED
        check = verify_certificate(folder, key=read_key(public, private=False))
        assert (check.signature, check.problems) == (SignatureState.VALID, ())
        for other in CURVES:
            key = ECC.generate(curve=other).public_key()
            check = verify_certificate(folder, key=key)
            assert check.signature == SignatureState.WRONG
            assert check.problems == ("The statement was not signed with this key.",)

    def test_missing_signature_is_a_problem_if_a_key_is_given(self, folder: Path):
        (folder / ENVELOPE).unlink()
        check = verify_certificate(folder, key=ECC.generate(curve="Ed25519").public_key())
        assert check.signature == SignatureState.NONE
        assert "The certificate is not signed" in check.problems[0]
