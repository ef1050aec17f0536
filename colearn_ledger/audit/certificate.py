"""Write a certificate: a folder with the final weights, and what an audit found about them."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from Crypto.PublicKey import ECC

from colearn_ledger.audit.envelope import sign_payload
from colearn_ledger.audit.findings import AuditReport
from colearn_ledger.audit.model_card import write_model_card
from colearn_ledger.audit.statement import HISTORY, MODEL_CARD, WEIGHTS, make_statement
from colearn_ledger.home import sync_folder, write_atomically
from colearn_ledger.ledger import LedgerView
from colearn_ledger.protocol import ContentRef, Experiment, LedgerError, Status
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.current import obtain_current
from colearn_ledger.weights.store import ContentStore

STATEMENT, ENVELOPE = "statement.json", "statement.dsse.json"


class NotCertifiable(LedgerError):
    """An experiment has no final weights that could be certified."""


class FolderTaken(LedgerError):
    """A certificate cannot be written under this name."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a certificate's content comes from.

    Args:
        reference: the experiment's reference.
        report: the report of an audit that checked the files and found nothing.
        ledger: the ledger that was audited.
        store: the store that was audited.
        timeout: limit on the time to fetch each file, in seconds.
        trust: a sentence about what the audit believed of the chain.
    """

    reference: str
    report: AuditReport
    ledger: LedgerView
    store: ContentStore
    timeout: float | None = None
    trust: str = "The answers of the nodes were believed."


def check_destination(folder: Path) -> None:
    """Refuse a folder that contains something, or whose parent does not exist.

    Raises:
        FolderTaken: a certificate cannot be written there.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderTaken(f"{folder} is not a folder; choose another name for the certificate")
    if folder.is_dir() and any(folder.iterdir()):
        raise FolderTaken(f"the folder {folder} is not empty; choose a new one")
    if not folder.absolute().parent.is_dir():
        raise FolderTaken(f"the folder {folder.absolute().parent} does not exist; create it first")


def check_certifiable(experiment: Experiment) -> None:
    """Refuse an experiment without final weights.

    Raises:
        NotCertifiable: it is not over, or accepted nothing.
    """
    if experiment.status not in (Status.COMPLETED, Status.CANCELLED):
        raise NotCertifiable(
            f"experiment {experiment.id} is {experiment.status.name.lower()}, so its weights are "
            "not final; certify it when it is over"
        )
    if not experiment.current:
        raise NotCertifiable(f"experiment {experiment.id} has no weights to certify")


def write_certificate(folder: Path, source: Source, *, key: ECC.EccKey | None = None) -> ContentRef:
    """Write a certificate, and return the reference of the certified weights.

    The folder appears under its name when all of it is on disk.

    Args:
        folder: a folder that does not exist or is empty.
        source: the experiment and the report of its audit.
        key: a private key to sign the statement with.

    Raises:
        NotCertifiable: there are findings, or there are no final weights.
        FolderTaken: the folder exists and is not empty.
        ContentUnavailable: the weights are no longer served.
        OSError: the folder cannot be written.
    """
    report = source.report
    check_certifiable(report.experiment)
    if report.findings:
        raise NotCertifiable("the audit has findings, so no certificate is written")
    check_destination(folder)
    target = folder.absolute()
    building = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    building.mkdir()
    try:
        weights = _write_files(building, source, key)
        sync_folder(building)
        try:
            building.rename(target)
        except OSError as error:
            raise FolderTaken(f"cannot create {folder}: {error.strerror}") from error
        sync_folder(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return weights


def _write_files(folder: Path, source: Source, key: ECC.EccKey | None) -> ContentRef:
    report = source.report
    spec = ExperimentSpec.read(source.store, report.experiment.params.spec, timeout=source.timeout)
    weights = _write_weights(folder, source, spec)
    history = report.history.to_json().encode()
    card = write_model_card(report, source.reference, spec, weights, source.trust).encode()
    files = {HISTORY: history, MODEL_CARD: card}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    statement = make_statement(report, source.reference, weights, digests, source.trust)
    files[STATEMENT] = statement
    if key is not None:
        files[ENVELOPE] = sign_payload(statement, key)
    for name, data in files.items():
        write_atomically(folder / name, data)
    return weights


def _write_weights(folder: Path, source: Source, spec: ExperimentSpec) -> ContentRef:
    """Fetch or merge the final weights, which have to be those that the audit computed."""
    experiment, report = source.report.experiment, source.report
    place = experiment.current_round
    expected = experiment.params.initial if place is None else report.weights.get(place)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder) as name:
        found = obtain_current(
            source.store,
            experiment,
            Path(name),
            schema=spec.schema,
            ledger=source.ledger,
            timeout=source.timeout,
        )
        if found.content != expected:
            raise NotCertifiable(
                "the audit did not compute the final weights, so they cannot be certified"
            )
        found.path.replace(folder / WEIGHTS)
    with (folder / WEIGHTS).open("rb") as file:
        os.fsync(file.fileno())
    return found.content
