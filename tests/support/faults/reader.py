"""Read an experiment from an EVM chain with web3.py alone, without the project's code."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from web3 import HTTPProvider, Web3

from tests.support import ROOT

ARTIFACT = ROOT / "colearn_ledger/chains/evm/CollectiveLearning.json"
_PAGE = 100
_STATUS = ("enrolling", "running", "completed", "cancelled")
_PHASE = ("proposing", "voting", "revealing", "closed")
_OUTCOME = ("none", "accepted", "rejected", "no proposal", "abandoned")


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction to the contract that is in a block."""

    account: str
    call: str
    round: int | None
    succeeded: bool
    block: int
    hash: str


class Reader:
    """Reader of one experiment.

    Args:
        url: URL of the node.
        contract: address of the contract.
        experiment: id of the experiment.
    """

    def __init__(self, url: str, contract: str, experiment: int) -> None:
        self._web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": 20}))
        abi = json.loads(ARTIFACT.read_text())["abi"]
        self._contract = self._web3.eth.contract(contract, abi=abi, decode_tuples=True)  # type: ignore[call-overload]
        self._experiment = experiment

    def _ask(self, function: str, *arguments: Any) -> Any:
        return self._contract.functions[function](self._experiment, *arguments).call()

    @property
    def status(self) -> str:
        return _STATUS[self._ask("experiment").status]

    @property
    def round_index(self) -> int:
        """Index of the current round, -1 before the start."""
        experiment = self._ask("experiment")
        return experiment.round if experiment.started else -1

    @property
    def current(self) -> list[str]:
        """SHA-256 of each file that makes up the current weights, in hex."""
        return [content.sha256Hash.hex() for content in self._ask("currentWeights")]

    def round(self, index: int) -> Any:
        return self._ask("round", index)

    def slot(self, index: int) -> Any:
        """Return the slot of a round's only proposer."""
        [slot] = self.round(index).slots
        return slot

    def count_accepted(self, index: int) -> int:
        """Return the number of accepted proposals of a round."""
        return sum(slot.accepted for slot in self.round(index).slots)

    def phase(self, index: int) -> str:
        return _PHASE[self.round(index).phase]

    def outcomes(self) -> list[str]:
        """Return the outcomes of the rounds so far."""
        found: list[str] = []
        while page := self._ask("rounds", len(found), _PAGE):
            found += [_OUTCOME[row.outcome] for row in page]
        return found

    def ballots(self, index: int) -> dict[str, int]:
        """Return each learner's ballot: 0 none, 1 committed, 2 cast."""
        return {b.learner: b.state for b in self._ask("ballots", index, 0, 100)}

    def strikes(self, account: str) -> int:
        learner = self._ask("learner", account)
        return max(learner.missedProposals, learner.missedBallots)

    def balance(self, account: str) -> int:
        return self._web3.eth.get_balance(account)  # type: ignore[arg-type]

    def highest_price(self) -> int:
        """Return the highest price of gas in a transaction to the contract, in wei."""
        receipts = (
            self._web3.eth.get_transaction_receipt(t.hash)  # type: ignore[arg-type]
            for t in self.transactions()
        )
        return max(receipt["effectiveGasPrice"] for receipt in receipts)

    def block_number(self) -> int:
        return self._web3.eth.block_number

    def calls(self) -> int:
        """Return the number of transactions to the contract that emitted an event."""
        logs = self._web3.eth.get_logs({"address": self._contract.address, "fromBlock": 0})
        return len({log["transactionHash"] for log in logs})

    def transactions(self) -> list[Transaction]:
        """Return all transactions to the contract in chain order, refused ones included."""
        found = []
        for number in range(self.block_number() + 1):
            for sent in self._web3.eth.get_block(number, full_transactions=True)["transactions"]:
                if sent.get("to") == self._contract.address:  # type: ignore[union-attr]
                    found.append(self._transaction(sent))
        return found

    def _transaction(self, sent: Any) -> Transaction:
        function, arguments = self._contract.decode_function_input(sent["input"])
        receipt = self._web3.eth.get_transaction_receipt(sent["hash"])
        return Transaction(
            sent["from"],
            function.fn_name,
            arguments.get("round"),
            receipt["status"] == 1,
            sent["blockNumber"],
            sent["hash"].hex(),
        )

    def duties(self, *, with_effect: bool = False) -> Counter[tuple[str, str, int | None]]:
        """Return how often each account sent each duty of each round, or did so with effect."""
        return Counter(
            (t.account, t.call, t.round)
            for t in self.transactions()
            if t.call not in ("advance", "announce") and (t.succeeded or not with_effect)
        )
