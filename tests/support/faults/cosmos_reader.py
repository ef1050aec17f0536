"""Read an experiment from a Cosmos chain with cosmpy alone, without the project's code."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

from cosmpy.aerial.client import LedgerClient
from cosmpy.aerial.config import NetworkConfig
from cosmpy.aerial.contract import LedgerContract
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxsEventRequest
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract

_PAGE = 100


class CosmosReader:
    """Reader of one experiment.

    Args:
        url: URL of the node's gRPC.
        contract: address of the contract.
        experiment: id of the experiment.
    """

    def __init__(self, url: str, contract: str, experiment: int) -> None:
        self._client = LedgerClient(NetworkConfig("any", 0, "stake", "stake", f"grpc+{url}"))
        self._contract = LedgerContract(None, self._client, contract)  # type: ignore[arg-type]
        self._address = contract
        self._experiment = str(experiment)

    def _ask(self, query: str, **arguments: Any) -> Any:
        return self._contract.query({query: {"experiment": self._experiment, **arguments}})

    @property
    def status(self) -> str:
        return str(self._ask("experiment")["status"])

    @property
    def round_index(self) -> int:
        """Index of the current round, -1 before the start."""
        index = self._ask("experiment")["round"]
        return -1 if index is None else int(index)

    @property
    def current(self) -> list[str]:
        """SHA-256 of each file that makes up the current weights, in hex."""
        files = self._ask("current_weights")["contents"]
        return [base64.b64decode(content["sha256"]).hex() for content in files]

    def round(self, index: int) -> Any:
        return self._ask("round", round=index)

    def slot(self, index: int) -> Any:
        """Return the slot of a round's only proposer."""
        [slot] = self.round(index)["slots"]
        return slot

    def count_accepted(self, index: int) -> int:
        """Return the number of accepted proposals of a round."""
        return sum(slot["accepted"] for slot in self.round(index)["slots"])

    def phase(self, index: int) -> str:
        return str(self.round(index)["phase"])

    def proposed(self, index: int) -> str:
        """Return the SHA-256 of the content proposed in a round, in hex."""
        return base64.b64decode(self.slot(index)["content"]["sha256"]).hex()

    def outcomes(self) -> list[str]:
        """Return the outcomes of the rounds so far."""
        return [row["outcome"] for row in self._ask("rounds")["rounds"]]

    def ballots(self, index: int) -> dict[str, str]:
        """Return the state of each learner's ballot, by account."""
        return {b["learner"]: b["state"] for b in self._ask("ballots", round=index)["ballots"]}

    def strikes(self, account: str) -> int:
        learner = self._ask("learner", account=account)
        return max(learner["missed_proposals"], learner["missed_ballots"])

    def sequence(self, account: str) -> int:
        """Return the number of an account's transactions on the chain, failed ones included."""
        return int(self._client.query_account(account).sequence)  # type: ignore[arg-type]

    def duties(self) -> Counter[tuple[str, str, int | None]]:
        """Return how often each account performed each duty of each round with effect."""
        found: Counter[tuple[str, str, int | None]] = Counter()
        query, seen, total = f"execute._contract_address='{self._address}'", 0, 1
        while seen < total:
            page = GetTxsEventRequest(query=query, page=seen // _PAGE + 1, limit=_PAGE)
            answer = self._client.txs.GetTxsEvent(page)
            seen, total = seen + len(answer.txs), answer.total
            for message in (m for sent in answer.txs for m in sent.body.messages):
                executed = MsgExecuteContract()
                assert message.Unpack(executed)
                ((call, fields),) = json.loads(executed.msg).items()
                found[executed.sender, call, fields.get("round")] += 1
        return found
