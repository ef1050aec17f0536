"""Hashes that every ledger computes in the same way: commitments to ballots, and seeds."""

from __future__ import annotations

import hashlib

from colearn_ledger.protocol.values import (
    Account,
    ExperimentId,
    SigningDomain,
    Vote,
    score_to_bits,
)
from colearn_ledger.text.address import address_bytes


def commitment_hash(
    domain: SigningDomain,
    experiment: ExperimentId,
    round_index: int,
    account: Account,
    vote: Vote,
    salt: bytes,
) -> bytes:
    """Return the 32-byte commitment to a secret ballot.

    Args:
        domain: the ledger's signing domain.
        experiment: the experiment's id.
        round_index: the round's index.
        account: the voter.
        vote: the vote, which stays secret until it is revealed.
        salt: 32 random bytes.

    Raises:
        InvalidAddress: ``account`` is not an address.
    """
    return hashlib.sha256(
        domain.separator
        + experiment.to_bytes(8, "big")
        + round_index.to_bytes(4, "big")
        + address_bytes(account)
        + bytes([vote.approve])
        + score_to_bits(vote.scores.vote_score).to_bytes(8, "big")
        + score_to_bits(vote.scores.test_score).to_bytes(8, "big")
        + salt
    ).digest()


def first_seed(domain: SigningDomain, experiment: ExperimentId, entropy: bytes) -> bytes:
    """Return the seed of round 0; ``entropy`` is the chain's 32 bytes at the start."""
    return hashlib.sha256(domain.separator + experiment.to_bytes(8, "big") + entropy).digest()


def next_seed(seed: bytes, entropy: bytes, salts: bytes) -> bytes:
    """Return the next round's seed; ``salts`` is the XOR of the revealed salts, 32 bytes."""
    return hashlib.sha256(seed + entropy + salts).digest()
