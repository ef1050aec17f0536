"""The hashes and signatures of docs/protocol.md, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256

from coincurve import PrivateKey
from Crypto.Hash import keccak

from colearn_ledger.protocol import ContentRef, ExperimentParams, Scores, Vote

Place = tuple[bytes, int, int, str, bytes]
"""Domain separator, experiment, round, account and digest of the proposals."""

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def hash_words(*words: bytes) -> bytes:
    return sha256(b"".join(words)).digest()


def hash_for_evm(*words: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=b"".join(words)).digest()


def hash_experiment(creator: str, params: ExperimentParams) -> bytes:
    """Return the hash of an experiment."""
    account = bytes.fromhex(creator[2:])
    numbers = struct.pack(
        ">IHHHIIIBBBBBBHI",
        *(params.rounds, params.min_learners, params.max_learners, params.approval_bps),
        *(params.propose_window, params.vote_window, params.reveal_window),
        *(params.selection, params.proposers, params.merge, params.admission),
        *(params.late_join, params.settle_early, params.max_strikes, params.patience),
    )
    return hash_words(
        bytes([len(account)]),
        account,
        encode_content(params.spec),
        encode_content(params.initial),
        numbers,
        params.name.encode(),
    )


@lru_cache
def encode_content(content: ContentRef | None) -> bytes:
    if content is None:
        return bytes(73)
    size = content.size.to_bytes(8, "big")
    return bytes([content.codec]) + content.digest + bytes.fromhex(content.sha256) + size


def digest_of_proposals(files: Mapping[int, str]) -> bytes:
    """Return the digest of the proposals, from the sha256 of the file in each slot."""
    if len(files) == 1:
        return bytes.fromhex(*files.values())
    return hash_words(*(bytes([slot]) + bytes.fromhex(files[slot]) for slot in sorted(files)))


def encode_scores(scores: Iterable[Scores]) -> bytes:
    both = [score for each in scores for score in (each.vote_score, each.test_score)]
    absent = (0x7FF8 << 48).to_bytes(8, "big")
    return b"".join(absent if score is None else struct.pack(">d", score) for score in both)


def commitment_of(place: Place, vote: Vote, salt: bytes) -> bytes:
    separator, experiment, round_, account, proposals = place
    return hash_words(
        separator,
        struct.pack(">QI", experiment, round_),
        bytes.fromhex(account[2:]),
        proposals,
        vote.approvals.to_bytes(2, "big"),
        encode_scores(vote.scores),
        salt,
    )


def compute_separator(chain: int, contract: str) -> bytes:
    """Return the domain separator of EIP-712."""
    fields = "string name,string version,uint256 chainId,address verifyingContract"
    return hash_for_evm(
        hash_for_evm(f"EIP712Domain({fields})".encode()),
        hash_for_evm(b"CollectiveLearning"),
        hash_for_evm(b"2"),
        chain.to_bytes(32, "big"),
        bytes(12) + bytes.fromhex(contract[2:]),
    )


def sign(key: bytes, place: Place, vote: Vote) -> bytes:
    """Return an account's signature of a ballot: r, s and v."""
    separator, experiment, round_, account, proposals = place
    fields = "uint64 experiment,uint32 round,address learner,bytes32 proposals"
    message = hash_for_evm(
        hash_for_evm(f"Ballot({fields},uint16 approvals,bytes scores)".encode()),
        experiment.to_bytes(32, "big"),
        round_.to_bytes(32, "big"),
        bytes(12) + bytes.fromhex(account[2:]),
        proposals,
        vote.approvals.to_bytes(32, "big"),
        hash_for_evm(encode_scores(vote.scores)),
    )
    digest = hash_for_evm(b"\x19\x01", separator, message)
    signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def make_malleable(signature: bytes) -> bytes:
    """Return the other signature of the same statement, with a high s."""
    s = _ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
