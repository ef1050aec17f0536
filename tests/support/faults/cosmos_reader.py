"""Read what happened from a Cosmos chain alone, with cosmpy and without the project's code."""

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
    """Reads one experiment.

    Args:
        url: of the node's gRPC.
        contract: its address.
        experiment: its id.
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
        """The round it is in, -1 before the start."""
        index = self._ask("experiment")["round"]
        return -1 if index is None else int(index)

    @property
    def sha256(self) -> str:
        """Of the current weights."""
        return base64.b64decode(self._ask("experiment")["current"]["sha256"]).hex()

    def round(self, index: int) -> Any:
        return self._ask("round", round=index)

    def phase(self, index: int) -> str:
        return str(self.round(index)["phase"])

    def proposed(self, index: int) -> str:
        """Return the sha256 of what was proposed in a round."""
        return base64.b64decode(self.round(index)["content"]["sha256"]).hex()

    def outcomes(self) -> list[str]:
        """Of the rounds so far."""
        return [held["outcome"] for held in self._ask("rounds")["rounds"]]

    def ballots(self, index: int) -> dict[str, str]:
        """What is recorded of each learner, by account."""
        return {b["learner"]: b["state"] for b in self._ask("ballots", round=index)["ballots"]}

    def strikes(self, account: str) -> int:
        return int(self._ask("learner", account=account)["strikes"])

    def sequence(self, account: str) -> int:
        """How many transactions of an account are on the chain, failed ones too."""
        return int(self._client.query_account(account).sequence)  # type: ignore[arg-type]

    def duties(self) -> Counter[tuple[str, str, int | None]]:
        """How often each account sent each duty of each round with effect."""
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
