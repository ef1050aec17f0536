"""Keys of auditors, for tests of certificates."""

from __future__ import annotations

from pathlib import Path

from Crypto.PublicKey import ECC

CURVES = ("Ed25519", "P-256")


def write_keys(folder: Path, curve: str) -> tuple[Path, Path]:
    """Write a new key into PEM files, and return those of the private and of the public one."""
    key = ECC.generate(curve=curve)
    private, public = folder / f"{curve}.pem", folder / f"{curve}.pub"
    private.write_text(key.export_key(format="PEM") + "\n")
    public.write_text(key.public_key().export_key(format="PEM") + "\n")
    return private, public
