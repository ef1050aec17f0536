"""Samples that tests share: people, small files and valid parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import CODEC_RAW, ContentRef, ExperimentParams, Scores

WINDOW = 1_000
"""Length of every window in seconds, unless a world or a story sets another."""

SCORES = Scores(0.25, -1.5)
CREATOR = "creator"
ANYONE = "anyone"


def content_of(text: str) -> ContentRef:
    """Return the reference of a small file with this text."""
    digest = hashlib.sha256(text.encode()).digest()
    return ContentRef.from_digest(CODEC_RAW, digest, digest.hex(), len(text))


def digest_of(texts: Mapping[int, str]) -> bytes:
    """Return the digest of proposals by slot, computed without `colearn_ledger`."""
    files = {slot: hashlib.sha256(text.encode()).digest() for slot, text in texts.items()}
    if len(files) == 1:
        return files.popitem()[1]
    return hashlib.sha256(b"".join(bytes([s]) + files[s] for s in sorted(files))).digest()


def wallet_of(name: str) -> Wallet:
    """Return the wallet of the person with this name."""
    return Wallet.from_key(hashlib.sha256(b"wallet of " + name.encode()).digest())


def salt_of(name: str) -> bytes:
    """Return the salt of the person with this name."""
    return hashlib.sha256(b"salt of " + name.encode()).digest()


def params(**changes: object) -> ExperimentParams:
    """Return valid parameters with some of them changed."""
    good = {
        "name": "an experiment",
        "spec": content_of("spec"),
        "initial": content_of("initial"),
        "rounds": 3,
        "min_learners": 2,
        "max_learners": 10,
        "propose_window": WINDOW,
        "vote_window": WINDOW,
    }
    return ExperimentParams(**{**good, **changes})
