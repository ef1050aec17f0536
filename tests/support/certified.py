"""Certificates of audited experiments, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from colearn_ledger.audit.certificate import Source, write_certificate
from tests.support.audit_commands import REFERENCE
from tests.support.audited import audit
from tests.support.toyworld import World


def certify(world: World, folder: Path, **options: Any) -> Path:
    """Audit an experiment, and write a certificate with the options of `write_certificate`."""
    source = Source(REFERENCE, audit(world), world.ledger, world.store(0))
    write_certificate(folder, source, **options)
    return folder


def read_json(path: Path) -> Any:
    """Return the JSON of a file of a certificate."""
    return json.loads(path.read_text())
