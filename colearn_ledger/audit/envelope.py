"""Sign statements as DSSE envelopes, and verify them, with Ed25519 or ECDSA keys in PEM files.

The wallets' keys are on secp256k1, which the tools of in-toto do not support. The ids of keys are
those that `securesystemslib` computes. Sources: the DSSE protocol 1.0.2
(github.com/secure-systems-lab/dsse), and `securesystemslib.signer`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS, eddsa

from colearn_ledger.protocol import LedgerError
from colearn_ledger.text.strict_json import load

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MAX_KEY = 16_384  # bytes
_MOST_SIGNATURES = 64
_ED25519, _P256 = "Ed25519", "NIST P-256"


class UnusableKey(LedgerError):
    """A file does not contain a key that can sign or verify statements."""


class InvalidEnvelope(LedgerError):
    """A file is not a DSSE envelope of an in-toto statement."""


def read_key(path: Path, *, private: bool) -> ECC.EccKey:
    """Read a key of Ed25519 or NIST P-256 from a PEM file.

    Args:
        path: the file.
        private: whether a private key is needed; otherwise the public part of a private one is
            returned, too.

    Raises:
        UnusableKey: the file cannot be read, or contains no such key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_KEY + 1).decode("ascii")
    except OSError as error:
        raise UnusableKey(f"cannot read the key {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnusableKey(f"{path} is not a PEM file") from error
    if "ENCRYPTED" in text:
        raise UnusableKey(
            f"the key in {path} is encrypted, which is not supported; sign the folder with "
            "`model_signing sign key` instead"
        )
    try:
        key = ECC.import_key(text)
    except (ValueError, IndexError, TypeError) as error:
        raise UnusableKey(
            f"{path} contains no key of Ed25519 or NIST P-256 in the PEM format; make one with "
            f"`openssl genpkey -algorithm ed25519 -out {path.name}`"
        ) from error
    if key.curve not in (_ED25519, _P256):
        raise UnusableKey(
            f"the key in {path} is of the curve {key.curve}; a key of Ed25519 or NIST P-256 is "
            "needed"
        )
    if private and not key.has_private():
        raise UnusableKey(f"{path} contains a public key; a private one is needed to sign")
    return key if private else key.public_key()


def sign_payload(payload: bytes, key: ECC.EccKey) -> bytes:
    """Return a DSSE envelope with a payload and its signature."""
    message = _encode_for_signing(payload)
    if key.curve == _ED25519:
        signature = eddsa.new(key, "rfc8032").sign(message)
    else:
        signer = DSS.new(key, "deterministic-rfc6979", encoding="der")
        signature = signer.sign(SHA256.new(message))
    document = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": compute_key_id(key), "sig": base64.b64encode(signature).decode()}],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def open_envelope(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return the payload of an envelope and its signatures, which are not verified.

    Raises:
        InvalidEnvelope: the data is not an envelope of an in-toto statement.
    """
    try:
        document = load(data)
        if document["payloadType"] != PAYLOAD_TYPE:
            raise InvalidEnvelope("the signed envelope does not contain an in-toto statement")
        payload = _decode(document["payload"])
        signatures = [_decode(each["sig"]) for each in document["signatures"][:_MOST_SIGNATURES]]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidEnvelope(f"the signed statement is not a DSSE envelope: {error}") from error
    return payload, signatures


def is_signed_by(payload: bytes, signature: bytes, key: ECC.EccKey) -> bool:
    """Return whether a signature of a payload was made with a key."""
    message = _encode_for_signing(payload)
    try:
        if key.curve == _ED25519:
            eddsa.new(key, "rfc8032").verify(message, signature)
        else:
            verifier = DSS.new(key, "fips-186-3", encoding="der")
            verifier.verify(SHA256.new(message), signature)
    except ValueError:
        return False
    return True


def compute_key_id(key: ECC.EccKey) -> str:
    """Return the id that `securesystemslib` gives to a key."""
    public = key.public_key()
    if key.curve == _ED25519:
        kind, scheme, value = "ed25519", "ed25519", public.export_key(format="raw").hex()
    else:
        kind, scheme = "ecdsa", "ecdsa-sha2-nistp256"
        value = public.export_key(format="PEM") + "\n"
    # its canonical JSON does not escape the ends of lines
    text = f'{{"keytype":"{kind}","keyval":{{"public":"{value}"}},"scheme":"{scheme}"}}'
    return hashlib.sha256(text.encode()).hexdigest()


def _encode_for_signing(payload: bytes) -> bytes:
    """Return the bytes that a signature covers, the pre-authentication encoding of DSSE."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _decode(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)
