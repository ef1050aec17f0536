"""Compute the hashes of docs/protocol.md, and recover signers."""

from __future__ import annotations

import struct
from hashlib import sha256
from types import SimpleNamespace as Row

from coincurve import PublicKey
from Crypto.Hash import keccak


def hash_bytes(*data: bytes) -> bytes:
    """Return the sha256 of parts, one after another."""
    return sha256(b"".join(data)).digest()


def hash_evm(*data: bytes) -> bytes:
    """Return the hash that the EVM uses, of parts one after another."""
    return keccak.new(digest_bits=256, data=b"".join(data)).digest()


def pack(value: int | str, size: int = 32) -> bytes:
    """Return a number or an address in big-endian bytes."""
    return (int(value, 16) if isinstance(value, str) else int(value)).to_bytes(size, "big")


def is_well_formed(c: Row) -> bool:
    """Return whether a content reference can be one of a file."""
    same = c.codec == 0x70 or (c.codec == 0x55 and c.digest == c.sha256Hash)
    return same and c.size > 0 and any(c.digest) and any(c.sha256Hash)


def hash_experiment(creator: str, p: Row) -> bytes:
    """Return the hash of an experiment's creator and parameters."""
    contents = [struct.pack(">B32s32sQ", *vars(each).values()) for each in (p.spec, p.initial)]
    numbers = struct.pack(">IHHHIIIBBBBBBHI", *list(vars(p).values())[3:])
    return hash_bytes(b"\x14", pack(creator, 20), *contents, numbers, p.name.encode())


def recover_signer(digest: bytes, compact: bytes) -> str:
    """Return the account that made a compact signature (EIP-2098)."""
    s = int.from_bytes(compact[32:])
    signature = compact[:32] + pack(s % 2**255) + bytes([s >> 255])
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError:
        return "nobody"
    return "0x" + hash_evm(key.format(compressed=False)[1:])[12:].hex()
