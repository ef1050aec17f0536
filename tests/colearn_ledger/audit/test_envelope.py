"""Signed statements have the form of DSSE, and only usable keys are accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from Crypto.PublicKey import ECC

from colearn_ledger.audit.envelope import (
    InvalidEnvelope,
    UnusableKey,
    compute_key_id,
    is_signed_by,
    open_envelope,
    read_key,
    sign_payload,
)

PAYLOAD = b'{"a": 1}'
SEED = bytes(range(32))
EXPECTED = {
    "payload": "eyJhIjogMX0=",
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [
        {
            "keyid": "63d00ee3cf4f5c61ad94efa696c68f13b608fe56ecea13fb144a6fd18e9235b9",
            "sig": "F//V9QJKl8lDq52kEtYIKX9Gjln9WQReGuIPB2K6NGucsUf8QZZlhHWhcnlypW0HRsDTG87PIGlx"
            "+DuUr2v7BA==",
        }
    ],
}
"""What securesystemslib 1.6.0 writes for this payload and seed."""


def test_envelope_is_that_of_securesystemslib():
    key = ECC.construct(curve="Ed25519", seed=SEED)
    assert json.loads(sign_payload(PAYLOAD, key)) == EXPECTED


def test_key_id_of_p256_is_that_of_securesystemslib():
    key = ECC.construct(curve="P-256", d=7)
    expected = "2b295981fe4f7f65f7ea622bc720720aff3da878049ac8fcfd4635fb10c7e7b1"
    assert compute_key_id(key) == compute_key_id(key.public_key()) == expected


@pytest.mark.parametrize("curve", ["Ed25519", "P-256"])
def test_signature_is_valid_for_its_payload_and_key_only(curve: str):
    key = ECC.generate(curve=curve)
    payload, [signature] = open_envelope(sign_payload(PAYLOAD, key))
    assert payload == PAYLOAD
    public = key.public_key()
    assert is_signed_by(PAYLOAD, signature, public)
    assert not is_signed_by(PAYLOAD + b" ", signature, public)
    assert not is_signed_by(PAYLOAD, signature, ECC.generate(curve=curve).public_key())
    assert not is_signed_by(PAYLOAD, signature[:-1], public)
    assert not is_signed_by(PAYLOAD, b"", public)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "not base64"},
        {"payload": "é"},
        {"payload": 7},
        {"payloadType": "text/plain"},
        {"signatures": 7},
        {"signatures": [{}]},
        {"signatures": [{"sig": None}]},
    ],
)
def test_malformed_envelope_is_refused(change: dict[str, object]):
    with pytest.raises(InvalidEnvelope):
        open_envelope(json.dumps({**EXPECTED, **change}).encode())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no key", "contains no key"),
        ("\xff", "is not a PEM file"),
        (ECC.generate(curve="P-384").export_key(format="PEM"), "of the curve NIST P-384"),
        (ECC.generate(curve="P-256").public_key().export_key(format="PEM"), "a public key"),
        (
            ECC.generate(curve="P-256").export_key(
                format="PEM", passphrase="x", protection="PBKDF2WithHMAC-SHA1AndAES128-CBC"
            ),
            "is encrypted",
        ),
    ],
)
def test_unusable_key_is_refused(text: str, reason: str, tmp_path: Path):
    path = tmp_path / "key.pem"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UnusableKey, match=reason):
        read_key(path, private=True)


def test_missing_key_is_refused(tmp_path: Path):
    with pytest.raises(UnusableKey, match="cannot read the key"):
        read_key(tmp_path / "missing.pem", private=False)
