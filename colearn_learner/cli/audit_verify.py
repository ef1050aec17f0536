"""The command `colearn audit verify`: check a certificate without a connection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import note, print_fields, print_json, print_line
from colearn_learner.errors import LearnerError
from colearn_ledger.protocol import LedgerError

if TYPE_CHECKING:
    from colearn_ledger.audit.verifying import CertificateCheck

_WRONG, _UNABLE = 1, 2


class UnableToVerify(LearnerError):
    """The certificate could not be checked."""

    exit_code = _UNABLE


@dataclass(frozen=True, slots=True)
class _Options:
    """The certificate, the auditor's key, and how to report."""

    folder: Path
    public_key: Path | None
    as_json: bool


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Also verify the statement's signature, with the auditor's public key of Ed25519 or NIST "
    "P-256 in a PEM file.",
)
@json_option
@collect(_Options, "options")
@report_errors
def verify(*, options: _Options) -> None:
    """Check a certificate of an audit without a connection.

    The files have to be those of the statement, and the history has to agree with it and to lead to
    the weights. This does not repeat the audit: a forger can write files that fit together, so
    verify the signature of an auditor whom you trust, or audit the experiment yourself.

    Exit codes: 0 everything fits together, 1 something is wrong, 2 it could not be checked.
    """
    from colearn_ledger.audit.envelope import read_key
    from colearn_ledger.audit.verifying import verify_certificate

    try:
        key = None if options.public_key is None else read_key(options.public_key, private=False)
        check = verify_certificate(options.folder, key=key)
    except (LedgerError, OSError) as error:
        raise UnableToVerify(f"the certificate could not be checked: {error}") from error
    if options.as_json:
        print_json(_describe(check))
    else:
        _print(check)
    if check.problems:
        raise click.exceptions.Exit(_WRONG)


def _describe(check: CertificateCheck) -> dict[str, object]:
    return {
        "reference": check.statement.reference,
        "name": check.statement.name,
        "audited_at": check.statement.audited_at,
        "weights": asdict(check.statement.weights),
        "signature": check.signature.value,
        "problems": list(check.problems),
        "other_files": list(check.other_files),
    }


def _print(check: CertificateCheck) -> None:
    from colearn_ledger.audit.verifying import SignatureState

    stated = check.statement
    print_fields(
        [
            ("experiment", stated.reference),
            ("name", stated.name),
            ("rounds", str(stated.rounds)),
            ("audited", stated.audited_at),
            ("weights", f"{stated.weights.size:,} bytes, sha256 {stated.weights.sha256}"),
            ("signature", check.signature.value),
        ]
    )
    if check.other_files:
        note(f"The statement does not cover: {', '.join(check.other_files)}")
    if check.signature == SignatureState.NOT_VERIFIED:
        note("The signature was not verified; give the auditor's key with --public-key.")
    print_line()
    for problem in check.problems:
        print_line(problem, mark="✘ ", colour="red")
    if not check.problems:
        print_line("The files fit together.", mark="✔ ", colour="green")
