"""Why a node does not take a transaction, whichever words its makers chose for it."""

from __future__ import annotations

from enum import Enum

__all__ = ["Refusal", "refusal_in"]


class Refusal(Enum):
    """What a node's refusal of a signed transaction means for whoever sent it."""

    KNOWN = "the node has this very transaction"
    NONCE_USED = "a transaction with this nonce is in a block"
    NONCE_TAKEN = "another transaction with this nonce waits, and this one pays too little more"
    TOO_CHEAP = "it offers less than the chain's price"
    OTHER = "anything else"


_WORDS = {
    # geth, erigon, reth: "already known"; anvil: "transaction already imported";
    # nethermind: "AlreadyKnown"; besu: "Known transaction"
    Refusal.KNOWN: ("already known", "alreadyknown", "already imported", "known transaction"),
    # eth-tester: "Invalid transaction nonce: Expected 3, but got 2"; nethermind: "OldNonce"
    Refusal.NONCE_USED: ("nonce too low", "nonce is too low", "oldnonce", "transaction nonce:"),
    Refusal.NONCE_TAKEN: ("replacement", "already pending with same nonce"),
    Refusal.TOO_CHEAP: ("underpriced", "less than block base fee", "feetoolow", "fee too low"),
}


def refusal_in(message: str) -> Refusal:
    """Return what a node's words mean; the first that fits, for some words are within others."""
    said = message.lower()
    return next((r for r, words in _WORDS.items() if any(w in said for w in words)), Refusal.OTHER)
