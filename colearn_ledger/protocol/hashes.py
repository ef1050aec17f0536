"""Hashes that every ledger computes in the same way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from colearn_ledger.protocol.values import (
    Account,
    Basis,
    ContentRef,
    ExperimentId,
    ExperimentParams,
    SigningDomain,
    Vote,
    encode_scores,
)
from colearn_ledger.text.address import address_bytes


def experiment_hash(creator: Account, params: ExperimentParams) -> bytes:
    """Return the 32-byte hash over an experiment's creator and all its parameters.

    Raises:
        InvalidAddress: ``creator`` is not an address.
        OverflowError, ValueError: a parameter is out of its bounds.
    """
    account = address_bytes(creator)
    return hashlib.sha256(
        len(account).to_bytes(1, "big")
        + account
        + _encode_content(params.spec)
        + _encode_content(params.initial)
        + params.rounds.to_bytes(4, "big")
        + params.min_learners.to_bytes(2, "big")
        + params.max_learners.to_bytes(2, "big")
        + params.approval_bps.to_bytes(2, "big")
        + params.propose_window.to_bytes(4, "big")
        + params.vote_window.to_bytes(4, "big")
        + params.reveal_window.to_bytes(4, "big")
        + bytes([params.selection, params.proposers, params.merge, params.admission])
        + bytes([params.late_join, params.settle_early])
        + params.max_strikes.to_bytes(2, "big")
        + params.patience.to_bytes(4, "big")
        + params.name.encode()
    ).digest()


def _encode_content(content: ContentRef | None) -> bytes:
    if content is None:
        return bytes(73)
    sha256 = bytes.fromhex(content.sha256)
    return bytes([content.codec]) + content.digest + sha256 + content.size.to_bytes(8, "big")


def proposals_digest(sha256s: Mapping[int, str]) -> bytes:
    """Return the 32-byte digest that names the proposals of a round.

    Args:
        sha256s: the sha256 of each proposed file, in hexadecimal, by slot; at least one.
    """
    if len(sha256s) == 1:
        return bytes.fromhex(*sha256s.values())
    parts = (bytes([slot]) + bytes.fromhex(sha256s[slot]) for slot in sorted(sha256s))
    return hashlib.sha256(b"".join(parts)).digest()


def commitment_hash(
    domain: SigningDomain,
    basis: Basis,
    account: Account,
    vote: Vote,
    salt: bytes,
) -> bytes:
    """Return the 32-byte commitment to a secret ballot.

    Args:
        domain: the ledger's signing domain.
        basis: what the vote judges.
        account: the voter.
        vote: the vote, which stays secret until it is revealed.
        salt: 32 random bytes.

    Raises:
        InvalidAddress: ``account`` is not an address.
    """
    return hashlib.sha256(
        domain.separator
        + basis.experiment.to_bytes(8, "big")
        + basis.round.to_bytes(4, "big")
        + address_bytes(account)
        + basis.proposals
        + vote.approvals.to_bytes(2, "big")
        + encode_scores(vote.scores)
        + salt
    ).digest()


def first_seed(domain: SigningDomain, experiment: ExperimentId, entropy: bytes) -> bytes:
    """Return the seed of round 0; ``entropy`` is the chain's 32 bytes at the start."""
    return hashlib.sha256(domain.separator + experiment.to_bytes(8, "big") + entropy).digest()


def next_seed(seed: bytes, entropy: bytes, salts: bytes) -> bytes:
    """Return the next round's seed; ``salts`` is the XOR of the revealed salts, 32 bytes."""
    return hashlib.sha256(seed + entropy + salts).digest()
