"""Read an experiment independently, with cosmpy and without code of this project.

Usage: python read_cosmos_contract.py GRPC_URL CHAIN_ID CONTRACT EXPERIMENT
"""

import base64
import calendar
import json
import struct
import sys
import time

from cosmpy.aerial.client import LedgerClient
from cosmpy.aerial.config import NetworkConfig
from cosmpy.aerial.contract import LedgerContract
from cosmpy.protos.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxsEventRequest

url, chain, address, eid = sys.argv[1:]
client = LedgerClient(NetworkConfig(chain, 0, "stake", "stake", f"grpc+{url}"))
contract = LedgerContract(None, client, address)
LEFT_OUT = {"experiment", "encryption_key", "started", "round", "seed", "commitments", "deadline"}


def convert(value):
    """Convert a value: a CID for its parts, without fields that the history does not have."""
    if isinstance(value, dict) and "digest" in value:
        digest, sha256 = (base64.b64decode(value[name]) for name in ("digest", "sha256"))
        cid = base64.b32encode(bytes([1, value["codec"], 18, 32]) + digest).decode().lower()
        return {"cid": "b" + cid.rstrip("="), "sha256": sha256.hex(), "size": int(value["size"])}
    if isinstance(value, dict):
        return {k: base64.b64decode(v).hex() if v and k in ("hash", "proposals") else convert(v)
                for k, v in value.items() if k not in LEFT_OUT}  # fmt: skip
    return [convert(each) for each in value] if isinstance(value, list) else value


def ask(query, **arguments):
    return contract.query({query: {"experiment": eid, **arguments}})


def fetch_all(query, **arguments):
    rows = []
    while page := ask(query, **arguments, start=len(rows), limit=100)[query]:
        rows += page
    return [convert(row) for row in rows]


def score(bits):
    return None if bits == 0x7FF8 << 48 else struct.unpack(">d", bits.to_bytes(8, "big"))[0]


def make_scores(bits):
    return dict(zip(("vote_score", "test_score"), map(score, bits), strict=True))


def transactions(kind):
    query, found, total = f"wasm-{kind}._contract_address='{address}'", [], 1
    while len(found) < total:
        older = {"events": [query], "pagination": PageRequest(offset=len(found), limit=100)}
        page = GetTxsEventRequest(query=query, page=len(found) // 100 + 1, limit=100, **older)
        answer = client.txs.GetTxsEvent(page)
        total = answer.total or answer.pagination.total
        found += answer.tx_responses
    return found


def fetch_events(kind):
    """Yield the attributes of the experiment's events, with the time of their block as `at`."""
    for sent in transactions(kind):
        at = calendar.timegm(time.strptime(sent.timestamp[:19], "%Y-%m-%dT%H:%M:%S"))
        for event in sent.events:
            attributes = {attribute.key: attribute.value for attribute in event.attributes}
            mine = {"_contract_address": address, "experiment": eid}.items() <= attributes.items()
            if event.type == f"wasm-{kind}" and mine:
                yield {**attributes, "at": at}


def convert_announcement(event):
    parts = {name: base64.b64encode(bytes.fromhex(event[name])) for name in ("digest", "sha256")}
    content = {**parts, "codec": int(event["codec"]), "size": event["size"]}
    topic = json.loads(event["topic"])
    return {"time": event["at"], "learner": event["learner"], "topic": topic,
            "content": convert(content)}  # fmt: skip


NOTHING = make_scores([0x7FF8 << 48] * 2)
given, voted = {}, {}
for event in fetch_events("weights_proposed"):
    own = int(event["vote_score"]), int(event["test_score"])
    given[int(event["round"]), int(event["slot"])] = make_scores(own)
for event in fetch_events("vote_cast"):
    pairs = struct.iter_unpack(">QQ", bytes.fromhex(event["scores"]))
    voted[int(event["round"]), event["learner"]] = [make_scores(pair) for pair in pairs]

rounds = fetch_all("rounds")
for row in rounds:
    index = row["round"] = row.pop("index")
    for number, slot in enumerate(row["slots"]):
        slot |= given.get((index, number), NOTHING)
    proposed = [n for n, slot in enumerate(row["slots"]) if slot["content"]]
    proposers = {row["slots"][n]["proposer"] for n in proposed}
    row["accepted"] = [n for n in proposed if row["slots"][n]["accepted"]]
    row["counted"], row["ballots"] = row["ballots"], fetch_all("ballots", round=index)
    for b in row["ballots"]:
        b["ballot"] = b.pop("state")
        if not b.pop("eligible"):
            b["ballot"] = "proposer" if b["learner"] in proposers else "not_eligible"
        b["approvals"] = [n for n in range(16) if b["approvals"] >> n & 1]
        b["current"], *others = voted.get((index, b["learner"]), [NOTHING])
        b["scores"] = [{"slot": n, **s} for n, s in zip(proposed, others, strict=False)]
experiment = convert(ask("experiment"))
document = {
    "experiment": {**experiment, "id": int(experiment["id"])},
    "learners": fetch_all("learners"),
    "rounds": rounds,
    "announcements": [convert_announcement(event) for event in fetch_events("announced")],
    "scores_complete": True,
}
json.dump(document, sys.stdout)
