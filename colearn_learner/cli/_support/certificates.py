"""The options of `colearn audit` that write a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.connect import Place
from colearn_learner.cli._support.output import command_name, note, show_spinner

if TYPE_CHECKING:
    from Crypto.PublicKey.ECC import EccKey

    from colearn_ledger.audit.certificate import Source


@dataclass(frozen=True, slots=True)
class CertificateOptions:
    """The folder to write a certificate to, if one is wanted, and the key to sign it with."""

    certificate: Path | None
    signing_key: Path | None

    def __post_init__(self) -> None:
        if self.signing_key is not None and self.certificate is None:
            raise click.UsageError("--signing-key signs a certificate; use it with --certificate")

    def check(self, *, no_files: bool) -> None:
        """Refuse what could not be written, before anything is read.

        Raises:
            click.UsageError: no files are to be checked.
            FolderTaken, UnusableKey: the folder or the key cannot be used.
        """
        if self.certificate is None:
            return
        from colearn_ledger.audit.certificate import check_destination

        if no_files:
            raise click.UsageError(
                "a certificate is about weights that were checked; leave out --no-files"
            )
        check_destination(self.certificate)
        self._read_key()

    def check_experiment(self, place: Place) -> None:
        """Refuse an experiment without final weights, before it is audited.

        It has to be over as far as the network's confirmations go, because a reorganisation could
        still change the newest blocks.

        Raises:
            NotCertifiable: it is not over, or accepted nothing.
        """
        if self.certificate is not None:
            from colearn_ledger.audit.certificate import check_certifiable

            check_certifiable(place.open_view().experiment(place.experiment))

    def write(self, source: Source) -> None:
        """Write the certificate if one is wanted and the audit found nothing."""
        if self.certificate is None:
            return
        if source.report.findings:
            note("No certificate was written, because there are findings.")
            return
        from colearn_ledger.audit.certificate import write_certificate

        with show_spinner("writing the certificate"):
            write_certificate(self.certificate, source, key=self._read_key())
        signed = "" if self.signing_key is None else ", signed,"
        note(
            f"The certificate{signed} is in {self.certificate}. To check it: {command_name()} "
            f"audit verify {self.certificate}"
        )

    def _read_key(self) -> EccKey | None:
        from colearn_ledger.audit.envelope import read_key

        return None if self.signing_key is None else read_key(self.signing_key, private=True)


def certificate_options(command: Command) -> Command:
    """Add ``--certificate`` and ``--signing-key``; the command gets ``certificate``."""
    folder = click.option(
        "--certificate",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="If there are no findings, write the final weights, an in-toto statement about them, "
        "a model card and the history to a new folder. The experiment has to be over.",
    )
    key = click.option(
        "--signing-key",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        metavar="FILE",
        help="With --certificate: also sign the statement, with a private key of Ed25519 or NIST "
        "P-256 in a PEM file.",
    )
    return folder(key(collect(CertificateOptions, "certificate")(command)))
