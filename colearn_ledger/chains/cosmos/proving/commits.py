"""Check that more than two thirds of a chain's validators signed a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from colearn_ledger.chains.cosmos.proving.merkle import (
    compute_root,
    encode_bytes,
    encode_message,
    encode_number,
    encode_varint,
)
from colearn_ledger.chains.cosmos.records import decode_fields
from colearn_ledger.chains.errors import ProofFailed

_KEY_TYPE = "/cosmos.crypto.ed25519.PubKey"
_KEY_BYTES = 32
_MOST_POWER = 2**63

_PRECOMMIT = 2  # SignedMsgType.SIGNED_MSG_TYPE_PRECOMMIT
_FOR_BLOCK = 2  # BlockIDFlag.BLOCK_ID_FLAG_COMMIT
_FIXED_64 = 1  # the type of a field in protobuf


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator: its key and its number of votes."""

    key: bytes
    power: int

    def encode(self) -> bytes:
        """Return what the hash of a set of validators covers."""
        return encode_message(1, encode_bytes(1, self.key)) + encode_number(2, self.power)


def decode_validator(answer: Any) -> Validator:
    """Decode a validator.

    Raises:
        ProofFailed: its key is not of Ed25519, or its votes are not a positive number.
    """
    key = decode_fields(answer.pub_key.value).get(1, b"")
    if answer.pub_key.type_url != _KEY_TYPE or not isinstance(key, bytes) or len(key) != _KEY_BYTES:
        raise ProofFailed(
            "the node returned a validator whose key is not of Ed25519; only signatures of such "
            "keys can be verified"
        )
    if not 0 < answer.voting_power < _MOST_POWER:
        raise ProofFailed("the node returned a validator without votes")
    return Validator(key, answer.voting_power)


def check_commit(
    block: tuple[str, int, bytes], set_hash: bytes, validators: Sequence[Validator], commit: Any
) -> None:
    """Check that validators with more than two thirds of the votes signed a block.

    Args:
        block: the chain's id, the height and the hash of the block.
        set_hash: the hash of the set of validators, which is trusted.
        validators: the validators, which are not trusted.
        commit: their signatures, a ``tendermint.types.Commit``, which are not trusted.

    Raises:
        ProofFailed: they did not, or the node returned other validators or signatures.
    """
    chain_id, height, block_hash = block
    if compute_root([each.encode() for each in validators]) != set_hash:
        raise ProofFailed(
            f"the validators of block {height} that the node returned do not have the hash in its "
            "header"
        )
    if (commit.height, commit.block_id.hash) != (height, block_hash):
        raise ProofFailed(f"the signatures that the node returned are not of block {height}")
    if len(commit.signatures) != len(validators):
        raise ProofFailed(
            f"the node returned {len(commit.signatures)} signatures of block {height}, which has "
            f"{len(validators)} validators"
        )
    signed = 0
    for validator, signature in zip(validators, commit.signatures, strict=True):
        if signature.block_id_flag != _FOR_BLOCK:
            continue
        vote = encode_vote(chain_id, commit, signature.timestamp)
        try:
            VerifyKey(validator.key).verify(vote, signature.signature)
        except (BadSignatureError, ValueError) as error:
            raise ProofFailed(f"a validator's signature of block {height} is wrong") from error
        signed += validator.power
    total = sum(each.power for each in validators)
    if signed * 3 <= total * 2:
        raise ProofFailed(
            f"the signatures of block {height} have {signed:,} of {total:,} votes, which is not "
            "more than two thirds"
        )


def encode_vote(chain_id: str, commit: Any, timestamp: Message) -> bytes:
    """Return the bytes that a validator signs, a ``CanonicalVote`` with its length before it."""
    parts = commit.block_id.part_set_header
    part_set = encode_number(1, parts.total) + encode_bytes(2, parts.hash)
    block_id = encode_bytes(1, commit.block_id.hash) + encode_message(2, part_set)
    vote = (
        encode_number(1, _PRECOMMIT)
        + _encode_fixed(2, commit.height)
        + _encode_fixed(3, commit.round)
        + encode_message(4, block_id)
        + encode_message(5, timestamp.SerializeToString())
        + encode_bytes(6, chain_id.encode())
    )
    return encode_varint(len(vote)) + vote


def _encode_fixed(field: int, number: int) -> bytes:
    """Return a field with a number of 64 bits in full; nothing for 0."""
    if not number:
        return b""
    return encode_varint(field << 3 | _FIXED_64) + number.to_bytes(8, "little", signed=True)
