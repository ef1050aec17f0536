"""The accounts, files and parameters of random lives."""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Any

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    CODEC_DAG_PB,
    CODEC_RAW,
    Admission,
    ContentRef,
    ExperimentParams,
    Merge,
    Scores,
    Selection,
)

KEYS = [sha256(f"key {i}".encode()).digest() for i in range(11)]
WALLETS = [Wallet.from_key(key) for key in KEYS]
PEOPLE = [str(wallet.address) for wallet in WALLETS]
"""The accounts; the first two create experiments, and the last two rarely join one."""

WORD = sha256(b"a word").digest()
SALTS = [sha256(f"salt {i}".encode()).digest() for i in range(12)]
SCORES = [Scores(), Scores(0.5, -2.0), Scores(0.0, None), Scores(None, 1e300), Scores(3.25, 3.25)]


def make_content(text: str, codec: int = CODEC_RAW) -> ContentRef:
    file = sha256(text.encode()).digest()
    digest = file if codec == CODEC_RAW else sha256(file).digest()
    return ContentRef.from_digest(codec, digest, file.hex(), 7 + len(text))


CONTENTS = [make_content(f"weights {i}") for i in range(5)]
CONTENTS += [make_content(f"weights {i}", CODEC_DAG_PB) for i in range(3)]
"""Files; the last three have the same bytes as the first three, but other CIDs."""

Action = tuple[int, str, tuple[Any, ...]]
"""The person, the name of the call and its arguments."""


def draw_params(random: Random) -> ExperimentParams:
    pick = random.choice
    least = pick((2, 2, 2, 3, 4))
    merge, proposers = pick(tuple(Merge)), pick((1, 1, 2, 2, 3, 4, 5, 6, 16))
    has_initial = random.random() < 0.7 or (merge == Merge.MEAN and proposers > 1)
    return ExperimentParams(
        name=pick(("a", "ü" * 32, "an experiment")),
        spec=CONTENTS[4],
        initial=pick(CONTENTS) if has_initial else None,
        rounds=pick((1, 2, 3, 5, 9, 2**32 - 2)),
        min_learners=least,
        max_learners=pick((least, least + 1, 5, 6, 8, 9, 9, 10_000)),
        approval_bps=pick((1, 2_000, 3_333, 3_334, 5_000, 5_001, 6_667, 7_500, 10_000)),
        propose_window=pick((1, 2, 3, 5, 8)),
        vote_window=pick((1, 2, 3, 5, 8)),
        reveal_window=pick((0, 0, 1, 2, 3)),
        selection=pick(tuple(Selection)),
        proposers=proposers,
        merge=merge,
        admission=pick((Admission.OPEN, Admission.OPEN, Admission.OPEN, Admission.ALLOWLIST)),
        late_join=random.random() < 0.7,
        settle_early=random.random() < 0.5,
        max_strikes=pick((0, 1, 1, 2, 3)),
        patience=pick((0, 0, 1, 2, 3)),
    )


BAD_PARAMS: dict[str, tuple[dict[str, Any], ...]] = {
    "name": ({"name": ""}, {"name": "x" * 65}, {"name": "ü" * 33}, {"name": "a\x9f"}),
    "rounds": ({"rounds": 0}, {"rounds": 2**32 - 1}),
    "min_learners": ({"min_learners": 1}, {"min_learners": 0}),
    "max_learners": (
        {"max_learners": 1},
        {"max_learners": 10_001},
        {"min_learners": 4, "max_learners": 3},
    ),
    "approval_bps": ({"approval_bps": 0}, {"approval_bps": 10_001}),
    "propose_window": ({"propose_window": 0}, {"propose_window": 2**32}),
    "vote_window": ({"vote_window": 0}, {"vote_window": 2**32}),
    "reveal_window": ({"reveal_window": 2**32}, {"reveal_window": -1}),
    "proposers": ({"proposers": 0}, {"proposers": 17}),
    "initial": ({"initial": None, "merge": Merge.MEAN, "proposers": 2},),
    "max_strikes": ({"max_strikes": 2**16}, {"max_strikes": -1}),
    "patience": ({"patience": 2**32}, {"patience": -1}),
}

EDGES: tuple[dict[str, Any], ...] = (
    {"name": "x" * 64},
    {"name": "~\xa0"},
    {"propose_window": 2**32 - 1, "vote_window": 2**32 - 1, "reveal_window": 2**32 - 1},
    {"max_strikes": 2**16 - 1, "patience": 2**32 - 1},
)
