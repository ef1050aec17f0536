"""Read an experiment independently, with cosmpy and without code of this project.

Usage: python read_cosmos_contract.py GRPC_URL CHAIN_ID CONTRACT EXPERIMENT
"""

import base64
import json
import struct
import sys

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
        return {k: convert(v) for k, v in value.items() if k not in LEFT_OUT}
    return value


def ask(query, **arguments):
    return contract.query({query: {"experiment": eid, **arguments}})


def fetch_all(query, **arguments):
    rows = []
    while page := ask(query, **arguments, start=len(rows), limit=100)[query]:
        rows += page
    return [convert(row) for row in rows]


def scores_of(attributes):
    bits = {name: int(attributes[name]) for name in ("vote_score", "test_score")}
    return {
        name: None if value == 0x7FF8 << 48 else struct.unpack(">d", value.to_bytes(8, "big"))[0]
        for name, value in bits.items()
    }


def transactions(kind):
    query, found, total = f"wasm-{kind}._contract_address='{address}'", [], 1
    while len(found) < total:
        older = {"events": [query], "pagination": PageRequest(offset=len(found), limit=100)}
        page = GetTxsEventRequest(query=query, page=len(found) // 100 + 1, limit=100, **older)
        answer = client.txs.GetTxsEvent(page)
        total = answer.total or answer.pagination.total
        found += answer.tx_responses
    return found


nothing, given = {"vote_score": None, "test_score": None}, {}
for kind, role in (("weights_proposed", "proposer"), ("vote_cast", "learner")):
    for event in (event for sent in transactions(kind) for event in sent.events):
        attributes = {attribute.key: attribute.value for attribute in event.attributes}
        mine = {"_contract_address": address, "experiment": eid}.items() <= attributes.items()
        if event.type == f"wasm-{kind}" and mine:
            given[int(attributes["round"]), attributes[role]] = scores_of(attributes)

rounds = fetch_all("rounds")
for row in rounds:
    index = row["round"] = row.pop("index")
    row |= given.get((index, row["proposer"]), nothing)
    row["ballots"] = fetch_all("ballots", round=index)
    row["ballots"] = [b for b in row["ballots"] if b["learner"] != row["proposer"]]
    for b in row["ballots"]:
        state = b.pop("state")
        b["ballot"] = state if b.pop("eligible") else "not_eligible"
        b |= given.get((index, b["learner"]), nothing)
experiment = convert(ask("experiment"))
document = {
    "experiment": {**experiment, "id": int(experiment["id"])},
    "learners": fetch_all("learners"),
    "rounds": rounds,
    "scores_complete": True,
}
json.dump(document, sys.stdout)
