"""Verify proofs of a chain's stores, as ICS-23 defines them for IAVL trees and simple trees.

A proof leads from a key to the root of a store (an IAVL tree), and from there to the hash of the
application's state in a header (a simple tree of the roots of all stores).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from cosmpy.protos.cosmos.ics23.v1.proofs_pb2 import CommitmentProof, ExistenceProof
from google.protobuf.message import DecodeError

from colearn_ledger.chains.cosmos.proving.merkle import encode_varint, hash_bytes
from colearn_ledger.chains.errors import ProofFailed

_SHA256 = 1  # HashOp.SHA256
_LEAF_OPERATION = (_SHA256, 0, _SHA256, 1)
"""How both trees hash a leaf: with sha256, the key as it is, the value's sha256, lengths before
both as varints.
"""

_HASH = 32
_HASH_LENGTH = b"\x20"
_MOST_STEPS = 128
"""Most levels of a tree."""


class _Side(Enum):
    """Which child of its parent a node is."""

    LEFT = "left"
    RIGHT = "right"


class _WrongProof(Exception):
    """The proof is malformed, or does not prove what is asked."""


def prove_value(operations: Sequence[Any], store: str, key: bytes, root: bytes) -> bytes | None:
    """Return the value that a store has at a key; ``None`` if it has none.

    Args:
        operations: the node's proof, two of ``ProofOp``, which are not trusted.
        store: the name of the store.
        key: the key.
        root: the hash of the application's state, which is trusted.

    Raises:
        ProofFailed: the operations do not prove what the store has at the key.
    """
    try:
        of_key, of_store = (CommitmentProof.FromString(each.data) for each in operations)
        value, found = _read_store(of_key, key)
        if _hash_simple(of_store.exist, store.encode(), found) != root:
            raise _WrongProof
    except (_WrongProof, DecodeError, ValueError) as error:
        raise ProofFailed(
            f"the node's proof of the key {key.hex()[:200]} of the store {store} is wrong or "
            "incomplete"
        ) from error
    return value


def _read_store(proof: CommitmentProof, key: bytes) -> tuple[bytes | None, bytes]:
    """Return the value at a key, ``None`` without one, and the root that this follows from."""
    kind = proof.WhichOneof("proof")
    if kind == "exist" and proof.exist.key == key:
        return proof.exist.value, _climb(proof.exist)[0]
    if kind != "nonexist":
        raise _WrongProof
    absent = proof.nonexist
    left, right = None, None
    roots = set()
    if absent.HasField("left") and absent.left.key < key:
        root, left = _climb(absent.left)
        roots.add(root)
    if absent.HasField("right") and key < absent.right.key:
        root, right = _climb(absent.right)
        roots.add(root)
    if len(roots) != 1 or not _are_adjacent(left, right):
        raise _WrongProof
    return None, roots.pop()


def _are_adjacent(left: Sequence[_Side] | None, right: Sequence[_Side] | None) -> bool:
    """Return whether no leaf of a tree is between two of its leaves, given by their paths.

    Without a left leaf, nothing may be before the right one; and the other way round.
    """
    if left is not None and right is not None:
        parting = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), -1)
        if parting < 0 or left[parting] != _Side.LEFT:
            return False
        left, right = left[parting + 1 :], right[parting + 1 :]
    return set(left or ()) <= {_Side.RIGHT} and set(right or ()) <= {_Side.LEFT}


def _climb(proof: ExistenceProof) -> tuple[bytes, list[_Side]]:
    """Return the root of an IAVL tree with a leaf, and the path from the root to the leaf."""
    prefix = proof.leaf.prefix
    if prefix[:1] != b"\x00" or _skip_numbers(prefix):
        raise _WrongProof
    node, path = _hash_leaf(proof), []
    for step in _list_steps(proof):
        children = _skip_numbers(step.prefix)
        if step.prefix[:1] == b"\x00":  # the height, which is 0 for leaves only
            raise _WrongProof
        if children == _HASH_LENGTH and len(step.suffix) == 1 + _HASH:
            path.append(_Side.LEFT)
        elif len(children) == _HASH + 2 and children[-1:] == _HASH_LENGTH and not step.suffix:
            path.append(_Side.RIGHT)
        else:
            raise _WrongProof
        node = hash_bytes(step.prefix + node + step.suffix)
    return node, path[::-1]


def _skip_numbers(prefix: bytes) -> bytes:
    """Return what follows the height, the size and the version of a node of an IAVL tree."""
    for _ in range(3):
        end = next((i for i, byte in enumerate(prefix[:10]) if byte < 0x80), None)
        if end is None:
            raise _WrongProof
        prefix = prefix[end + 1 :]
    return prefix


def _hash_simple(proof: ExistenceProof, key: bytes, value: bytes) -> bytes:
    """Return the root of a simple tree with a key and a value."""
    if (proof.key, proof.value, proof.leaf.prefix) != (key, value, b"\x00"):
        raise _WrongProof
    node = _hash_leaf(proof)
    for step in _list_steps(proof):
        inner, sibling = step.prefix[:1], step.prefix[1:] + step.suffix
        if inner != b"\x01" or len(sibling) != _HASH or (step.prefix[1:] and step.suffix):
            raise _WrongProof
        node = hash_bytes(step.prefix + node + step.suffix)
    return node


def _hash_leaf(proof: ExistenceProof) -> bytes:
    leaf = proof.leaf
    if (leaf.hash, leaf.prehash_key, leaf.prehash_value, leaf.length) != _LEAF_OPERATION:
        raise _WrongProof
    if not proof.key or not proof.value:
        raise _WrongProof
    key = encode_varint(len(proof.key)) + proof.key
    return hash_bytes(leaf.prefix + key + _HASH_LENGTH + hash_bytes(proof.value))


def _list_steps(proof: ExistenceProof) -> Sequence[Any]:
    if len(proof.path) > _MOST_STEPS or any(step.hash != _SHA256 for step in proof.path):
        raise _WrongProof
    return list(proof.path)
