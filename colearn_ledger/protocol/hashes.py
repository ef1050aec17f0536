"""Hashes that every ledger computes alike: commitments to ballots, and seeds."""

from __future__ import annotations

import hashlib

from colearn_ledger.protocol.values import (
    Account,
    ExperimentId,
    SigningDomain,
    Vote,
    score_to_bits,
)


def canonical_address(account: Account) -> bytes:
    """Return an address's bytes: 20, or 32 of a contract on Cosmos.

    Raises:
        LedgerError: it is no address.
    """
    from colearn_ledger.text.bech32 import decoded  # it knows this module's errors

    if account.startswith("0x"):
        return bytes.fromhex(account.removeprefix("0x"))
    return decoded(account)[1]


def commitment_hash(
    domain: SigningDomain,
    experiment: ExperimentId,
    round_index: int,
    account: Account,
    ballot: tuple[Vote, bytes],
) -> bytes:
    """Return the 32-byte commitment to a secret ballot.

    Args:
        domain: the ledger's signing domain.
        experiment: its id.
        round_index: the round.
        account: the voter.
        ballot: the vote and its 32-byte salt.
    """
    vote, salt = ballot
    return hashlib.sha256(
        domain.separator
        + experiment.to_bytes(8, "big")
        + round_index.to_bytes(4, "big")
        + canonical_address(account)
        + bytes([vote.approve])
        + score_to_bits(vote.scores.vote_score).to_bytes(8, "big")
        + score_to_bits(vote.scores.test_score).to_bytes(8, "big")
        + salt
    ).digest()


def first_seed(domain: SigningDomain, experiment: ExperimentId, entropy: bytes) -> bytes:
    """Return the seed of round 0 from the chain's 32-byte entropy at the start."""
    return hashlib.sha256(domain.separator + experiment.to_bytes(8, "big") + entropy).digest()


def next_seed(seed: bytes, entropy: bytes, salts: bytes) -> bytes:
    """Return the next round's seed; ``salts`` is the XOR of the salts revealed, 32 bytes."""
    return hashlib.sha256(seed + entropy + salts).digest()
