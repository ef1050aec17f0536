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
w3 = Web3(Web3.HTTPProvider(url))
contract = w3.eth.contract(address, abi=abi, decode_tuples=True)
NAMES = {
    "status": ["enrolling", "running", "completed", "cancelled"],
    "phase": ["proposing", "voting", "revealing", "closed"],
    "outcome": ["none", "accepted", "rejected", "no_proposal", "abandoned"],
    "slot_state": ["open", "proposed", "declined", "missed"],
    "ballot_state": ["none", "committed", "cast"],
    "selection": ["round_robin", "random"],
    "merge": ["mean", "best"],
    "admission": ["open", "allowlist"],
}
LEFT_OUT = {"started", "round", "seed", "commitments", "deadline", "encryption_key"}


def convert(name, value):
    """Convert a value: names for numbers, null for missing values, a CID for its parts."""
    if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
        return [convert(name, item) for item in value]
    if hasattr(value, "digest"):
        cid = base64.b32encode(bytes([1, value.codec, 18, 32]) + value.digest).decode().lower()
        ref = {"cid": "b" + cid.rstrip("="), "sha256": value.sha256Hash.hex(), "size": value.size}
        return ref if value.size else None
    if hasattr(value, "_asdict"):
        snake = {"".join(f"_{c.lower()}" if c.isupper() else c for c in k): v
                 for k, v in value._asdict().items()}  # fmt: skip
        return {k: convert(k, v) for k, v in snake.items() if k not in LEFT_OUT}
    if name in ("current_round", "until_round") or name.endswith("_at"):
        absent, shift = (2**32 - 1, 0) if name == "until_round" else (0, -(name == "current_round"))
        return None if value == absent else value + shift
    if isinstance(value, bytes):
        return value.hex() if name == "hash" or any(value) else None
    return NAMES[name][value] if name in NAMES else value


def fetch_all(function, *arguments):
    rows = []
    while page := contract.functions[function](eid, *arguments, len(rows), 100).call():
        rows += page
    return rows


def logs_of(kind):
    found = contract.events[kind].get_logs(from_block=0, argument_filters={"experiment": eid})
    return [(event.args, event.blockNumber) for event in found]


def scores_of(*bits):
    """Return two scores, of which those that are absent are null."""
    values = [None if b == 0x7FF8 << 48 else struct.unpack(">d", b.to_bytes(8, "big"))[0]
              for b in bits]  # fmt: skip
    return dict(zip(("vote_score", "test_score"), values, strict=True))


NOTHING = scores_of(*[0x7FF8 << 48] * 2)
proposed = {
    (args.round, args.slot): scores_of(args.voteScore, args.testScore)
    for args, _ in logs_of("WeightsProposed")
}
cast = {
    (args.round, args.learner): [
        scores_of(*struct.unpack(">QQ", args.scores[at : at + 16]))
        for at in range(0, len(args.scores), 16)
    ]
    for args, _ in logs_of("VoteCast")
}


def describe_ballot(index, slots, learner, eligible, state, approvals):
    proposals = [at for at, slot in enumerate(slots) if slot["content"]]
    is_proposer = any(slots[at]["proposer"] == learner for at in proposals)
    current, *others = cast.get((index, learner), [NOTHING])
    missing = "proposer" if is_proposer else "not_eligible"
    return {
        "learner": learner,
        "ballot": NAMES["ballot_state"][state] if eligible else missing,
        "approvals": [at for at in range(len(slots)) if approvals >> at & 1],
        "current": current,
        "scores": [{"slot": at, **s} for at, s in zip(proposals, others, strict=False)],
    }


rounds = [convert("", row) for row in fetch_all("rounds")]
for row in rounds:
    index = row["round"] = row.pop("index")
    row["counted"] = row.pop("ballots")
    for at, slot in enumerate(row["slots"]):
        slot["state"] = NAMES["slot_state"][slot["state"]]
        slot |= proposed.get((index, at), NOTHING)
    ballots = fetch_all("ballots", index)
    row["ballots"] = [describe_ballot(index, row["slots"], *ballot) for ballot in ballots]
    row["accepted"] = [at for at, slot in enumerate(row["slots"]) if slot["accepted"]]
time_of = {number: w3.eth.get_block(number)["timestamp"] for _, number in logs_of("Announced")}
document = {
    "experiment": convert("", contract.functions.experiment(eid).call()),
    "learners": [convert("", row) for row in fetch_all("learners")],
    "rounds": rounds,
    "announcements": [
        {"time": time_of[number], "learner": args.learner, "topic": args.topic,
         "content": convert("", args.content)}
        for args, number in logs_of("Announced")
    ],
    "scores_complete": True,
}  # fmt: skip
json.dump(document, sys.stdout)
