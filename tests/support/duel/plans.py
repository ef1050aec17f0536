"""Hypothesis strategies for parameters, calls, ballots and odd arguments of a duel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

from hypothesis import strategies as st

from colearn_ledger.keys.signing import PUBLIC_KEY_BYTES
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    CODEC_DAG_PB,
    CODEC_RAW,
    Account,
    Admission,
    ContentRef,
    ExperimentParams,
    Merge,
    Scores,
    Selection,
    SignedBallot,
    SigningDomain,
    SigningScheme,
)
from colearn_ledger.text.address import decode_bech32, encode_bech32

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def hash_text(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


PEOPLE = [Wallet.from_key(hash_text(f"person {i}")) for i in range(7)]
"""Wallets, the creator's first; the last two join late or not at all, except in wild calls."""

CROWD = 126
"""Number of further wallets; they join first and leave before the start."""


@lru_cache(maxsize=CROWD)
def crowd_wallet(number: int) -> Wallet:
    return Wallet.from_key(hash_text(f"passer-by {number}"))


Parts = tuple[int, bytes, bytes, int]
"""A content reference, well formed or not: codec, digest, sha256, size."""


def accounts_on(domain: SigningDomain) -> list[Account]:
    """Return the people's accounts, and one that belongs to nobody."""
    if domain.scheme == SigningScheme.ADR036:
        nobody = Account(encode_bech32(decode_bech32(domain.contract)[0], bytes(20)))
    else:
        nobody = Account("0x" + "00" * 20)
    return [*(wallet.account_on(domain) for wallet in PEOPLE), nobody]


def content_of(text: str, *, raw: bool = True) -> ContentRef:
    digest = hash_text(text)
    if raw:
        return ContentRef.from_digest(CODEC_RAW, digest, digest.hex(), len(text))
    return ContentRef.from_digest(
        CODEC_DAG_PB, hash_text("root of " + text), digest.hex(), len(text)
    )


people = st.integers(0, len(PEOPLE) - 1)
accounts = st.sampled_from(range(len(PEOPLE) + 1))
"""Positions in `accounts_on`."""

words = st.sampled_from([bytes(32), b"\xff" * 32, hash_text("a salt"), hash_text("another salt")])
contents = st.builds(
    content_of, st.sampled_from(["a", "b", "c", "first", "spec"]), raw=st.booleans()
)
scores = st.sampled_from(
    [None, 0.0, -0.0, 0.75, -1e300, 5e-324, float("inf"), float("-inf"), float("nan")]
)


@dataclass(frozen=True)
class Draft:
    """A vote before its round is known.

    Args:
        mask: the bitmap of the slots that it approves, if they have another learner's proposal.
        scores: scores, of which as many are used as the round requires.
        flaw: the part of the ballot that is made invalid.
    """

    mask: int
    scores: tuple[Scores, ...]
    flaw: str | None = None


_several_scores = st.lists(st.builds(Scores, scores, scores), min_size=1, max_size=6).map(tuple)
_flaws = st.sampled_from([*(None for _ in range(12)), "approvals", "approvals", "scores", "digest"])
drafts = st.builds(Draft, st.integers(0, 2**16 - 1), _several_scores, _flaws)
likely_drafts = st.builds(Draft, st.sampled_from([0xFFFF, 0xFFFF, 1, 2, 5, 6, 0]), _several_scores)

topics = st.sampled_from(
    ["adapter", "", "x" * 32, "x" * 33, "é" * 16, "é" * 17, "a\nb", "\x7f", "\x9f", "\ud800"]
)


def _params(
    least: int, more: int, terms: tuple[int, Merge], initial: bool, **rest: object
) -> ExperimentParams:
    proposers, merge = terms
    needs_initial = proposers > 1 and merge == Merge.MEAN
    return ExperimentParams(
        name="a duel",
        spec=content_of("spec"),
        initial=content_of("first") if initial or needs_initial else None,
        min_learners=least,
        max_learners=least + more,
        proposers=proposers,
        merge=merge,
        **rest,  # type: ignore[arg-type]
    )


params = st.builds(
    _params,
    least=st.integers(2, 4),
    more=st.integers(0, 2),
    reveal_window=st.sampled_from([0, 0, 0, 1, 7, 90]),
    terms=st.tuples(st.sampled_from([1, 1, 2, 2, 3, 4, 16]), st.sampled_from(Merge)),
    initial=st.booleans(),
    rounds=st.integers(1, 4),
    approval_bps=st.sampled_from([1, 2_500, 3_333, 3_334, 5_000, 5_001, 6_666, 6_667, 10_000]),
    propose_window=st.sampled_from([1, 5, 20, 90]),
    vote_window=st.sampled_from([1, 5, 20, 90]),
    selection=st.sampled_from(Selection),
    admission=st.sampled_from([Admission.OPEN, Admission.OPEN, Admission.ALLOWLIST]),
    late_join=st.booleans(),
    settle_early=st.booleans(),
    max_strikes=st.sampled_from([0, 1, 1, 2]),
    patience=st.sampled_from([0, 0, 0, 1, 2]),
)


def shorten_windows(chosen: ExperimentParams) -> ExperimentParams:
    """Return parameters for a chain whose clock cannot be moved.

    Short windows become short enough to wait for; long ones never end during a duel.
    """
    windows = ("propose_window", "vote_window", "reveal_window")
    seconds = {name: getattr(chosen, name) for name in windows}
    return replace(
        chosen, **{name: s and (_SHORT if s < 10 else _LONG) for name, s in seconds.items()}
    )


_SHORT, _LONG = 2, 100_000

_BAD_VALUES: dict[str, list[object]] = {
    "name": ["", "x" * 65, "é" * 33, "\ud800", "\U0001f600" * 17, "a\nb", "\x7f", "\x9f"],
    "rounds": [0, -1, 2**32 - 1, 2**32, 2**70],
    "min_learners": [0, 1, -5, 10_001, 2**16, 2**16 + 2],
    "max_learners": [1, 0, -1, 10_001, 2**16, 2**16 + 4],
    "approval_bps": [0, -1, 10_001, 2**16, 2**16 + 5_000],
    "propose_window": [0, -1, 2**32, 2**32 + 5],
    "vote_window": [0, -1, 2**32, 2**32 + 5],
    "reveal_window": [-1, 2**32, 2**32 + 5],
    "max_strikes": [-1, 2**16, 2**16 + 1],
    "selection": [2, -1, 256],
    "proposers": [0, 17, -1, 255, 256, 2**16],
    "merge": [2, -1, 256],
    "patience": [-1, 2**32, 2**32 + 5],
    "admission": [2, -1, 256],
}
_EDGES: dict[str, list[object]] = {
    "name": ["x", "x" * 64, "é" * 32, "\U0001f600" * 16, " ", "\u00a0"],
    "proposers": [16],
    "patience": [2**32 - 1],
    "initial": [None],
    "rounds": [2**32 - 2],
    "max_learners": [10_000],
    "propose_window": [2**32 - 1],
    "vote_window": [2**32 - 1],
    "reveal_window": [2**32 - 1],
    "max_strikes": [2**16 - 1],
}


def _changes(values: dict[str, list[object]]) -> st.SearchStrategy[dict[str, object]]:
    pairs = [(name, value) for name, several in values.items() for value in several]
    return st.sampled_from(pairs).map(lambda pair: {pair[0]: pair[1]})


odd_params = st.builds(lambda good, change: replace(good, **change), params, _changes(_BAD_VALUES))
edge_params = st.builds(lambda good, change: replace(good, **change), params, _changes(_EDGES))

crowds = st.sampled_from([*(0 for _ in range(14)), 62, CROWD])
"""Sizes of the crowd; the contract stores learners' indexes from 64 and from 128 on elsewhere."""

hostile_contents = st.sampled_from(
    [
        (0, bytes(32), bytes(32), 0),
        (0x71, hash_text("w"), hash_text("w"), 1),
        (0x55, hash_text("w"), hash_text("v"), 1),
        (0x55, bytes(32), bytes(32), 1),
        (0x55, hash_text("w"), hash_text("w"), 0),
        (0x70, hash_text("w"), bytes(32), 1),
        (0x70, bytes(32), hash_text("w"), 1),
        (0xFF, hash_text("w"), hash_text("w"), 2**64 - 1),
    ]
)
"""`Parts` of content references, each of them malformed."""


# ------------------------------------------------------------------------- signatures


def _malleable(signature: bytes) -> bytes:
    s = _ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + signature[64:]


SPOILERS = {
    "malleable": lambda signature: _other_v(_malleable(signature)),
    "v of 0 or 1": lambda signature: signature[:64] + bytes([signature[64] - 27]),
    "other v": lambda signature: _other_v(signature),
    "short": lambda signature: signature[:64],
    "long": lambda signature: signature + b"\0",
    "empty": lambda signature: b"",
    "zeros": lambda signature: bytes(64) + b"\x1b",
    "no r": lambda signature: bytes(32) + signature[32:],
    "no s": lambda signature: signature[:32] + bytes(32) + signature[64:],
    "huge r": lambda signature: b"\xff" * 32 + signature[32:],
    "garbage": lambda signature: hash_text("g") + hash_text("h")[:31] + b"\x01\x1c",
    "one bit": lambda signature: bytes([signature[0] ^ 1]) + signature[1:],
}
spoilers = st.sampled_from([*(None for _ in SPOILERS), *sorted(SPOILERS)])
"""Ways to spoil a signature; ``None`` leaves it valid."""


def _other_v(signature: bytes) -> bytes:
    return signature[:64] + bytes([55 - signature[64]])


def _without_v(how: str, key: bytes, signature: bytes) -> bytes:
    """Spoil an ADR-036 signature, which has a public key in place of v."""
    if how == "v of 0 or 1":
        return bytes([key[0] - 2]) + key[1:] + signature
    if how == "other v":
        return bytes([5 - key[0]]) + key[1:] + signature
    if how == "malleable":
        return key + _malleable(signature)
    if how == "empty":
        return b""
    if how == "short":
        return key + signature[:63]
    if how == "long":
        return key + signature + b"\0"
    return key + SPOILERS[how](signature + b"\x1b")[:64]


def spoil(ballot: SignedBallot, how: str) -> SignedBallot:
    signature = ballot.signature
    if len(signature) == 65:
        return replace(ballot, signature=SPOILERS[how](signature))
    key, rest = signature[:PUBLIC_KEY_BYTES], signature[PUBLIC_KEY_BYTES:]
    return replace(ballot, signature=_without_v(how, key, rest))
