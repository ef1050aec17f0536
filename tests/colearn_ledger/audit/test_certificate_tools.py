"""The tools of in-toto and model-signing verify certificates, and refuse changed ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from colearn_ledger.audit.envelope import read_key
from tests.support.attestation_tools import prepare_tools
from tests.support.audited import play
from tests.support.certified import certify
from tests.support.installing import skip_if_not_installable
from tests.support.signing_keys import CURVES, write_keys
from tests.support.toyworld import World

VERIFY = """
import hashlib, json, sys
from pathlib import Path
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1 import statement_pb2
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

folder, public = Path(sys.argv[1]), Path(sys.argv[2])
key = SSlibKey.from_crypto(load_pem_public_key(public.read_bytes()))
envelope = Envelope.from_dict(json.loads((folder / "statement.dsse.json").read_text()))
envelope.verify([key], threshold=1)
document = json.loads(envelope.payload)
assert document == json.loads((folder / "statement.json").read_text())
statement = Statement.copy_from_pb(ParseDict(document, statement_pb2.Statement()))
statement.validate()
[subject] = statement.pb.subject
digest = hashlib.sha256((folder / subject.name).read_bytes()).hexdigest()
assert subject.digest["sha256"] == digest, "other weights"
print(statement.pb.predicate_type)
"""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def tools() -> Path:
    with skip_if_not_installable():
        return prepare_tools()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return play(tmp_path_factory.mktemp("world"), "local", "plural mean")


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(each) for each in command], capture_output=True, text=True)


@pytest.mark.parametrize("curve", CURVES)
def test_in_toto_verifies_the_signed_statement(
    curve: str, tools: Path, world: World, tmp_path: Path
):
    private, public = write_keys(tmp_path, curve)
    folder = certify(world, tmp_path / "out", key=read_key(private, private=True))
    verified = run(tools / "python", "-c", VERIFY, folder, public)
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout == "urn:colearn-ledger:experiment-audit:v1\n"
    with (folder / "weights.safetensors").open("ab") as file:
        file.write(b"x")
    assert "other weights" in run(tools / "python", "-c", VERIFY, folder, public).stderr
    (tmp_path / "other").mkdir()
    _, other = write_keys(tmp_path / "other", curve)
    assert "VerificationError" in run(tools / "python", "-c", VERIFY, folder, other).stderr


def test_model_signing_signs_and_verifies_the_folder(tools: Path, world: World, tmp_path: Path):
    private, public = write_keys(tmp_path, "P-256")
    folder = certify(world, tmp_path / "out", key=read_key(private, private=True))
    signature = tmp_path / "out.sig"
    program = tools / "model_signing"
    signed = run(
        *(program, "sign", "key", folder, "--private_key", private, "--signature", signature)
    )
    assert signed.returncode == 0, signed.stderr
    verify = (program, "verify", "key", folder, "--public_key", public, "--signature", signature)
    verified = run(*verify)
    assert verified.returncode == 0, verified.stderr
    with (folder / "model-card.md").open("a") as file:
        file.write("x")
    assert run(*verify).returncode != 0
