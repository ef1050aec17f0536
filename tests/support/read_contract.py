"""Read an experiment independently, with web3 and without code of this project.

Usage: python read_contract.py ABI_FILE NODE_URL CONTRACT EXPERIMENT
"""

import base64
import json
import struct
import sys
from pathlib import Path

from web3 import Web3

abi_file, url, address, number = sys.argv[1:]
abi, eid = json.loads(Path(abi_file).read_text())["abi"], int(number)
contract = Web3(Web3.HTTPProvider(url)).eth.contract(address, abi=abi, decode_tuples=True)
NAMES = {
    "status": ["enrolling", "running", "completed", "cancelled"],
    "phase": ["proposing", "voting", "revealing", "closed"],
    "outcome": ["none", "accepted", "rejected", "no_proposal", "abandoned"],
    "state": ["none", "committed", "approved", "rejected"],
    "selection": ["round_robin", "random"],
    "admission": ["open", "allowlist"],
}
LEFT_OUT = {"started", "round", "seed", "commitments", "deadline", "encryption_key"}


def convert(name, value):
    """Convert a value: names for numbers, null for missing values, a CID for its parts."""
    if hasattr(value, "digest"):
        cid = base64.b32encode(bytes([1, value.codec, 18, 32]) + value.digest).decode().lower()
        ref = {"cid": "b" + cid.rstrip("="), "sha256": value.sha256Hash.hex(), "size": value.size}
        return ref if value.size else None
    if hasattr(value, "_asdict"):
        snake = {"".join(f"_{c.lower()}" if c.isupper() else c for c in k): v
                 for k, v in value._asdict().items()}  # fmt: skip
        return {k: convert(k, v) for k, v in snake.items() if k not in LEFT_OUT}
    if name in ("score", "current_round", "until_round") or name.endswith("_at"):
        absent = {"score": 0x7FF8 << 48, "until_round": 2**32 - 1}.get(name, 0)
        shift = {"current_round": -1}.get(name, 0)
        return None if value == absent else value + shift
    return NAMES[name][value] if name in NAMES else value


def fetch_all(function, *arguments):
    rows = []
    while page := contract.functions[function](eid, *arguments, len(rows), 100).call():
        rows += page
    return [convert("", row) for row in rows]


def scores_of(event):
    bits = {k: convert("score", event.args[k]) for k in ("voteScore", "testScore")}
    value = [b and struct.unpack(">d", b.to_bytes(8, "big"))[0] for b in bits.values()]
    return dict(zip(("vote_score", "test_score"), value, strict=True))


given = {}
for kind, role in (
    (contract.events.WeightsProposed, "proposer"),
    (contract.events.VoteCast, "learner"),
):
    for event in kind.get_logs(from_block=0, argument_filters={"experiment": eid}):
        given[event.args.round, event.args[role]] = scores_of(event)
nothing = {"vote_score": None, "test_score": None}
rounds = fetch_all("rounds")
for row in rounds:
    index = row["round"] = row.pop("index")
    row |= given.get((index, row["proposer"]), nothing) | {"ballots": fetch_all("ballots", index)}
    row["ballots"] = [b for b in row["ballots"] if b["learner"] != row["proposer"]]
    for b in row["ballots"]:
        state = b.pop("state")
        b["ballot"] = state if b.pop("eligible") else "not_eligible"
        b |= given.get((index, b["learner"]), nothing)
document = {
    "experiment": convert("", contract.functions.experiment(eid).call()),
    "learners": fetch_all("learners"),
    "rounds": rounds,
    "scores_complete": True,
}
json.dump(document, sys.stdout)
