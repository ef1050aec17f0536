"""Valid answers of the contract (contracts/cosmwasm/MESSAGES.md), for tests to damage."""

from __future__ import annotations

import base64
from typing import Any

from colearn_ledger.keys.wallet import Wallet

ANA = Wallet.from_key(b"\1" * 32).cosmos_address("wasm")
BOB = Wallet.from_key(b"\2" * 32).cosmos_address("wasm")
CONTRACT = Wallet.from_key(b"\3" * 32).cosmos_address("wasm")
WORD = base64.b64encode(b"\xab" * 32).decode()

CONTENT: dict[str, Any] = {"codec": 85, "digest": WORD, "sha256": WORD, "size": "1200"}

PARAMS: dict[str, Any] = {
    "name": "hospitals", "spec": CONTENT, "initial": None, "rounds": 10, "min_learners": 3,
    "max_learners": 5, "approval_bps": 5000, "propose_window": 600, "vote_window": 600,
    "reveal_window": 0, "selection": "round_robin", "admission": "open", "late_join": False,
    "settle_early": False, "max_strikes": 0,
}  # fmt: skip

EXPERIMENT: dict[str, Any] = {
    "id": "1", "creator": ANA, "params": PARAMS, "status": "running", "created_at": 1_800_000_000,
    "started_at": 1_800_000_060, "ended_at": None, "round": 0, "active_learners": 5,
    "joined_learners": 5, "current": None, "current_round": None, "seed": WORD,
}  # fmt: skip

LEARNER: dict[str, Any] = {
    "experiment": "1", "account": ANA, "index": 0, "active": True, "from_round": 0,
    "until_round": None, "strikes": 0, "encryption_key": WORD,
}  # fmt: skip

ROUND: dict[str, Any] = {
    "experiment": "1", "index": 0, "phase": "voting", "outcome": "none", "proposer": ANA,
    "eligible": 4, "needed": 2, "approvals": 1, "rejections": 0, "commitments": 0,
    "content": CONTENT, "started_at": 1_800_000_060, "proposed_at": 1_800_000_070,
    "reveal_started_at": None, "closed_at": None, "deadline": 1_800_000_670, "by_deadline": False,
}  # fmt: skip

BALLOT: dict[str, Any] = {
    "experiment": "1", "round": 0, "learner": ANA, "eligible": True, "state": "approved",
}  # fmt: skip
