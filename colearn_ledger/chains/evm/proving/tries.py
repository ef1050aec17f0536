"""Compute the roots of a block's lists, and read values from a state with its proofs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import rlp
from eth_utils.crypto import keccak
from trie.constants import BLANK_NODE_HASH
from trie.exceptions import MissingTraversalNode, MissingTrieNode, ValidationError
from trie.hexary import HexaryTrie

from colearn_ledger.chains.errors import ProofFailed


def compute_root(items: Sequence[bytes]) -> bytes:
    """Return the root of the trie of a block's transactions or receipts, given in order."""
    trie = HexaryTrie({}, prune=True)
    for index, item in enumerate(items):
        trie[rlp.encode(index)] = item
    return bytes(trie.root_hash)


class ProvenTrie:
    """A trie of which only the nodes of some proofs are known.

    Args:
        root: its root, which is trusted.
        nodes: the nodes, which are not trusted: only those that lead from the root are used.
        what: what the trie has, for errors.
    """

    def __init__(self, root: bytes, nodes: Iterable[bytes], what: str) -> None:
        self._root = root
        self._what = what
        self._trie = HexaryTrie({keccak(node): node for node in nodes}, root)

    def read(self, key: bytes) -> Any:
        """Return a value, which is a list or bytes; empty bytes if the trie does not have the key.

        Raises:
            ProofFailed: the nodes do not prove what the trie has at the key.
        """
        if self._root == BLANK_NODE_HASH:
            return b""
        try:
            found = self._trie[keccak(key)]
        except (MissingTrieNode, MissingTraversalNode, ValidationError, KeyError) as error:
            raise ProofFailed(f"the node's proof of {self._what} is wrong or incomplete") from error
        return rlp.decode(found) if found else b""
