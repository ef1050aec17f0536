"""Valid answers of the contract (contracts/cosmwasm/MESSAGES.md), for tests to damage."""

from __future__ import annotations

import base64
from typing import Any

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import ContentRef, ExperimentParams, Merge, Scores, Vote

ANA = Wallet.from_key(b"\1" * 32).cosmos_address("wasm")
BOB = Wallet.from_key(b"\2" * 32).cosmos_address("wasm")
CONTRACT = Wallet.from_key(b"\3" * 32).cosmos_address("wasm")
WORD = base64.b64encode(b"\xab" * 32).decode()
OTHER_WORD = base64.b64encode(b"\xcd" * 32).decode()
EXPERIMENT_HASH = "nvTQaJ1CA450Lay2qNXKz8ap/Qp6Gybak0a0B7IXmjY="
"""The hash of `ANA` and `PARAMS`."""
DIGEST = "Z/JgJuB8LAE1IDgx8Co5b+HOAV7141a6UMDOhHiSEY0="
"""The digest of `CONTENT` in slot 0 and `OTHER_CONTENT` in slot 1."""

CONTENT: dict[str, Any] = {"codec": 85, "digest": WORD, "sha256": WORD, "size": "1200"}
OTHER_CONTENT: dict[str, Any] = {
    "codec": 85, "digest": OTHER_WORD, "sha256": OTHER_WORD, "size": "7",
}  # fmt: skip

PARAMS: dict[str, Any] = {
    "name": "hospitals", "spec": CONTENT, "initial": None, "rounds": 10, "min_learners": 3,
    "max_learners": 5, "approval_bps": 5000, "propose_window": 600, "vote_window": 600,
    "reveal_window": 0, "selection": "round_robin", "proposers": 3, "merge": "best",
    "admission": "open", "late_join": False, "settle_early": False, "max_strikes": 0, "patience": 2,
}  # fmt: skip

EXPERIMENT: dict[str, Any] = {
    "id": "1", "creator": ANA, "params": PARAMS, "hash": EXPERIMENT_HASH, "status": "running",
    "cancel_requested": False, "created_at": 1_800_000_000, "started_at": 1_800_000_060,
    "ended_at": None, "round": 0, "active_learners": 5, "joined_learners": 5, "current": [],
    "current_round": None, "seed": WORD,
}  # fmt: skip

LEARNER: dict[str, Any] = {
    "experiment": "1", "account": ANA, "index": 0, "active": True, "from_round": 0,
    "until_round": None, "missed_proposals": 1, "missed_ballots": 2, "encryption_key": WORD,
}  # fmt: skip

SLOTS: list[dict[str, Any]] = [
    {"proposer": ANA, "state": "proposed", "content": CONTENT, "proposed_at": 1_800_000_070,
     "approvals": 1, "accepted": False},
    {"proposer": BOB, "state": "proposed", "content": OTHER_CONTENT, "proposed_at": 1_800_000_080,
     "approvals": 0, "accepted": False},
    {"proposer": CONTRACT, "state": "declined", "content": None, "proposed_at": None,
     "approvals": 0, "accepted": False},
]  # fmt: skip

ROUND: dict[str, Any] = {
    "experiment": "1", "index": 0, "phase": "voting", "outcome": "none", "slots": SLOTS,
    "eligible": 4, "needed": 2, "ballots": 1, "commitments": 0, "proposals": DIGEST,
    "started_at": 1_800_000_060, "voting_started_at": 1_800_000_080, "reveal_started_at": None,
    "closed_at": None, "deadline": 1_800_000_680, "by_deadline": False,
}  # fmt: skip

BALLOT: dict[str, Any] = {
    "experiment": "1", "round": 0, "learner": ANA, "eligible": True, "state": "cast",
    "approvals": 2,
}  # fmt: skip

AGENDA: dict[str, Any] = {
    "experiment": EXPERIMENT, "round": ROUND, "learner": LEARNER, "duty": "wait",
}  # fmt: skip

SPEC = ContentRef.from_digest(85, b"\xab" * 32, "ab" * 32, 1_200)
"""The value of `CONTENT`."""

OTHER = ContentRef.from_digest(85, b"\xcd" * 32, "cd" * 32, 7)
"""The value of `OTHER_CONTENT`."""

GOOD = ExperimentParams(
    "hospitals", SPEC, None, 10, 3, 5, proposers=3, merge=Merge.BEST, patience=2
)
"""The value of `PARAMS`."""

VOTE = Vote(5, (Scores(0.5, None), Scores(0.5, 0.5)))
SCORES = "3fe00000000000007ff80000000000003fe00000000000003fe0000000000000"
"""The scores of `VOTE`, in hexadecimal."""
