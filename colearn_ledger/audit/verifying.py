"""Check a certificate without a connection: its statement, files and signature fit together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from Crypto.PublicKey import ECC

from colearn_ledger.audit.certificate import ENVELOPE, STATEMENT
from colearn_ledger.audit.envelope import InvalidEnvelope, is_signed_by, open_envelope
from colearn_ledger.audit.statement import (
    HISTORY,
    WEIGHTS,
    InvalidStatement,
    Statement,
    read_statement,
)
from colearn_ledger.protocol import LedgerError
from colearn_ledger.text.strict_json import InvalidJson, load
from colearn_ledger.weights.codec import read_merge_record
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.fetching import is_intact
from colearn_ledger.weights.unixfs import CHUNK_SIZE

_MAX_STATEMENT = 2**26  # bytes
_MAX_HISTORY = 2**30


class NotACertificate(LedgerError):
    """A folder cannot be checked, because it does not contain a certificate."""


class SignatureState(StrEnum):
    """Whether a certificate is signed, and by the given key."""

    NONE = "none"
    NOT_VERIFIED = "not verified"
    VALID = "valid"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """The result of checking a certificate.

    Args:
        statement: what the statement states.
        problems: what is wrong, in one sentence each; empty if everything fits together.
        signature: the state of the signature; not verified if no key was given.
        other_files: files in the folder that the statement does not cover.
    """

    statement: Statement
    problems: tuple[str, ...]
    signature: SignatureState
    other_files: tuple[str, ...]


def verify_certificate(folder: Path, *, key: ECC.EccKey | None = None) -> CertificateCheck:
    """Check a certificate.

    Args:
        folder: the certificate.
        key: the auditor's public key; `None` does not verify the signature.

    Raises:
        NotACertificate: the folder has no statement of an audit that can be read.
        OSError: a file cannot be read.
    """
    if not folder.is_dir():
        raise NotACertificate(f"{folder} is not a folder; give the folder of a certificate")
    data = _read_statement_file(folder)
    try:
        statement = read_statement(data)
    except InvalidStatement as error:
        raise NotACertificate(f"{folder / STATEMENT}: {error}") from error
    problems = [*_check_files(folder, statement)]
    if not problems:
        problems += _check_weights(folder, statement)
        problems += _check_history(folder, statement)
    signature, signature_problems = _check_signature(folder, data, key)
    known = {STATEMENT, ENVELOPE, *statement.digests}
    others = sorted(path.name for path in folder.iterdir() if path.name not in known)
    return CertificateCheck(statement, (*problems, *signature_problems), signature, tuple(others))


def _read_statement_file(folder: Path) -> bytes:
    path = folder / STATEMENT
    try:
        return _read_file(path, _MAX_STATEMENT)
    except FileNotFoundError as error:
        raise NotACertificate(f"{folder} has no {STATEMENT}, so it is not a certificate") from error


def _read_file(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise NotACertificate(f"{path} is larger than {limit:,} bytes; it is not read")
    return data


def _check_files(folder: Path, statement: Statement) -> Iterator[str]:
    for name, expected in statement.digests.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing."
        elif (found := _hash_file(path)) != expected:
            yield f"{name} was changed: its sha256 is {found}, the statement has {expected}."


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_SIZE):
            digest.update(piece)
    return digest.hexdigest()


def _check_weights(folder: Path, statement: Statement) -> Iterator[str]:
    """Compare the weights with the reference in the statement: CID, sha256 and size."""
    weights = statement.weights
    if not is_intact(folder / WEIGHTS, weights):
        yield f"{WEIGHTS} is not the file {weights.cid} that the statement certifies."


def _check_history(folder: Path, statement: Statement) -> Iterator[str]:
    """Compare the history with the statement, and its last weights with the certified ones."""
    try:
        history = load(_read_file(folder / HISTORY, _MAX_HISTORY))
        experiment, learners = history["experiment"], history["learners"]
        compared: Mapping[str, tuple[Any, Any]] = {
            "the experiment's hash": (experiment["hash"], statement.hash),
            "the name": (experiment["params"]["name"], statement.name),
            "the number of rounds": (len(history["rounds"]), statement.rounds),
            "the learners": ([each["account"] for each in learners], statement.learners),
            "the lineage of the weights": (history["lineage"], statement.lineage),
        }
        for what, (found, stated) in compared.items():
            if found != stated:
                yield f"{what.capitalize()} in {HISTORY} is not as in the statement."
        current = experiment["current"]
        if current != _find_final_files(history):
            yield f"The lineage in {HISTORY} does not lead to the experiment's final weights."
        if not _is_made_of(folder / WEIGHTS, statement, [each["sha256"] for each in current]):
            yield f"The final weights in {HISTORY} are not {WEIGHTS}."
    except (InvalidJson, KeyError, TypeError, IndexError, AttributeError) as error:
        yield f"{HISTORY} is not a history ({type(error).__name__}: {str(error)[:100]})."


def _find_final_files(history: Any) -> list[Any]:
    """Return the files of which the last version of the weights was made."""
    last = history["lineage"][-1]
    if last["initial"] is not None:
        return [last["initial"]]
    return [each["content"] for each in last["proposals"]]


def _is_made_of(path: Path, statement: Statement, current: list[str]) -> bool:
    """Return whether the weights are one file, or according to their header merged from several."""
    if len(current) == 1:
        return current == [statement.weights.sha256]
    try:
        with path.open("rb") as file:
            record = read_merge_record(file)
    except WeightsError:
        return False
    return record is not None and [each.sha256 for each in record.contents] == current


def _check_signature(
    folder: Path, statement: bytes, key: ECC.EccKey | None
) -> tuple[SignatureState, list[str]]:
    """Return the state of the signature, and what is wrong with it."""
    if not (folder / ENVELOPE).exists():
        missing = f"The certificate is not signed: {ENVELOPE} is missing."
        return SignatureState.NONE, [] if key is None else [missing]
    try:
        payload, signatures = open_envelope(_read_file(folder / ENVELOPE, 2 * _MAX_STATEMENT))
    except InvalidEnvelope as error:
        return SignatureState.WRONG, [f"{ENVELOPE}: {error}."]
    if payload != statement:
        other = f"The signed statement in {ENVELOPE} is not {STATEMENT}."
        return SignatureState.WRONG, [other]
    if key is None:
        return SignatureState.NOT_VERIFIED, []
    if not any(is_signed_by(payload, each, key) for each in signatures):
        return SignatureState.WRONG, ["The statement was not signed with this key."]
    return SignatureState.VALID, []
