"""Connection to one contract on an EVM chain, shared by all views of the contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from colearn_ledger.chains.contract_ledger import Question
from colearn_ledger.chains.errors import (
    BadAnswer,
    MissingChainId,
    NodeRefused,
    TransactionFailed,
    WrongChain,
    WrongContract,
)
from colearn_ledger.chains.evm.abi import load_artifact
from colearn_ledger.chains.evm.config import EvmConfig
from colearn_ledger.chains.evm.errors import Reverted
from colearn_ledger.chains.evm.events import EventReader
from colearn_ledger.chains.evm.heads import NewHeads
from colearn_ledger.chains.evm.node import Node, TransactionReceipt
from colearn_ledger.chains.evm.sender import Request, Sender
from colearn_ledger.chains.evm.wire import error_from_wire, event_from_log
from colearn_ledger.chains.hooks import Sent
from colearn_ledger.chains.journal import Basis
from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable, Receipt, RecordedEvent
from colearn_ledger.protocol import Account, Event, ExperimentId, LedgerError, UnknownExperiment

__all__ = ["Deployment", "SentTransaction"]

T = TypeVar("T")


class Deployment:
    """Connection to one contract, shared by all its views."""

    def __init__(self, node: Node, contract: Account, config: EvmConfig, sender: Sender) -> None:
        self.node = node
        self.contract = contract
        self.config = config
        self.sender = sender
        self.artifact = load_artifact()
        self.domain = signing_domain(sender.chain_id, contract)
        self.events = EventReader(node, contract, self.artifact.abi, range_size=config.log_range)
        self.heads = NewHeads(_told_at(config.websocket, node))

    def check(self) -> None:
        """Refuse an address that does not have this package's contract.

        Raises:
            WrongContract: the address has no contract, or another one.
        """
        self.check_code(self.node.code(self.contract))
        abi, function = self.artifact.abi, "domainSeparator"
        question = Question(abi.encode_call(function, ()), partial(abi.decode_answer, function))
        try:
            answered = self.ask_at_head(self.contract, question)
        except (BadAnswer, NodeRefused):
            self.check_place()
            raise
        if answered != self.domain.separator:
            raise WrongContract(
                f"the contract at {self.contract} on chain {self.domain.chain_id} was built for "
                "another chain or address"
            )

    def account_of(self, wallet: Wallet) -> Account:
        """Return the account of a wallet on this chain."""
        return wallet.address

    def now(self) -> int:
        """Return the time of the next block, or of the last one if the node does not report it."""
        return self.node.upcoming().time

    def read_events(
        self,
        experiment: ExperimentId,
        created_at: Callable[[], int],
        *,
        after: int,
        limit: int,
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        return self.events.events(experiment, created_at, after=after, limit=limit)

    def wait_past(self, block: int, timeout: float) -> int:
        """Return the last block's number once it differs from ``block``, or after ``timeout``."""
        ends = time.monotonic() + timeout
        self.heads.listen()
        while (head := self.heads.number or self.node.block_number()) == block:
            left = ends - time.monotonic()
            if left <= 0:
                break
            self.heads.wait_past(head, min(self.config.poll_seconds, left))
        return head

    def ask_all(self, questions: Sequence[Question[bytes, T]]) -> list[T]:
        """Return the answers to several questions, in one exchange if the node allows it.

        The answers are as of the last block that has the configured confirmations.
        """
        block = self._confirmed_block()
        calls = [
            {"from": self.contract, "to": self.contract, "data": question.message}
            for question in questions
        ]
        try:
            answers = self.node.calls(calls, block)
            pairs = zip(questions, answers, strict=True)
            return [question.read(answer) for question, answer in pairs]
        except Reverted as refusal:
            raise self.explained(refusal) from None
        except (BadAnswer, NodeRefused):
            self.check_place()
            self._check_depth(block)
            raise

    def ask_at_head(self, contract: Account, question: Question[bytes, T]) -> T:
        """Return a contract's answer as of the last block."""
        call = {"from": contract, "to": contract, "data": question.message}
        try:
            return question.read(self.node.call(call))
        except Reverted as refusal:
            raise self.explained(refusal) from None

    @property
    def reads_at_head(self) -> bool:
        """Return whether `ask_all` reads the last block, as it does with one confirmation."""
        return self.config.sending.confirmations == 1

    def _confirmed_block(self) -> int | str:
        if self.reads_at_head:
            return "latest"
        return max(0, self.node.block_number() - self.config.sending.confirmations + 1)

    def _check_depth(self, block: int | str) -> None:
        if not self.node.code(self.contract, block):
            raise LedgerUnavailable(
                f"the contract at {self.contract} is less than "
                f"{self.config.sending.confirmations} blocks deep; try again in a few blocks"
            )

    def check_basis_with(self, check: Callable[[Basis], bool]) -> None:
        """Set the check that decides whether a transaction with a basis may be sent again."""
        self.sender.check_basis = check

    def send(self, wallet: Wallet, data: bytes, basis: Basis | None = None) -> SentTransaction:
        """Send a transaction, or raise the error with which the contract would refuse it.

        Raises:
            MissingChainId: the configuration does not contain the chain's id.
        """
        if self.config.chain_id is None:
            raise MissingChainId(self.sender.chain_id)
        try:
            sent = self.sender.send(wallet, self.contract, data, basis=basis)
        except Reverted as refusal:
            raise self.explained(refusal) from None
        except (BadAnswer, NodeRefused):
            self.check_place()
            raise
        return SentTransaction(
            self, sent, {"from": wallet.address, "to": self.contract, "data": data}
        )

    def explained(self, refusal: Reverted) -> LedgerError:
        """Return the protocol's error for a revert."""
        error = error_from_wire(self.artifact.abi, refusal.data)
        if error is None or isinstance(error, UnknownExperiment):
            self.check_place()
        if error is not None:
            return error
        reason = f"0x{refusal.data[:40].hex()}" if refusal.data else "the node does not say why"
        return TransactionFailed(
            f"the contract at {self.contract} refuses this call, by none of the protocol's rules "
            f"({reason})"
        )

    def check_place(self) -> None:
        """Check that the chain and the contract are still the ones we connected to.

        This is called when an answer is not one that the contract gives. The node's address may
        belong to another chain by now, or the chain may have been reset.

        Raises:
            WrongChain, WrongContract: the chain or the contract is another one.
        """
        with suppress(LedgerUnavailable, BadAnswer, NodeRefused):
            found, wanted = self.node.chain_id(), self.domain.chain_id
            if found != wanted:
                raise WrongChain(
                    f"{self.node.name} is on chain {found} now, and was on chain {wanted}; "
                    "connect to a node of that chain"
                )
            self.check_code(self.node.code(self.contract))

    def check_code(self, code: bytes) -> None:
        """Refuse code that is not this package's contract.

        Raises:
            WrongContract: there is no code, or it is another contract's.
        """
        where = f"{self.contract} on chain {self.domain.chain_id}"
        if not code:
            raise WrongContract(
                f"there is no contract at {where}; check the address and the network"
            )
        if not self.artifact.is_deployed_as(code):
            raise WrongContract(
                f"the contract at {where} is not the one that this version of colearn-ledger "
                "speaks with; check the address, or install the version that deployed it"
            )

    def happened(self, receipt: TransactionReceipt) -> tuple[Event, ...]:
        """Return the contract's events from a receipt."""
        ours = (item for item in receipt.logs if item.address == self.contract)
        events = (event_from_log(self.artifact.abi, item.log) for item in ours)
        return tuple(event for event in events if event is not None)


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A transaction in flight; implements `colearn_ledger.ledger.Pending`."""

    _deployment: Deployment
    _sent: Sent[Request]
    _call: dict[str, Any]

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the transaction has the configured number of confirmations.

        Raises:
            ProtocolError: the contract refused the call after all; nothing changed.
            TransactionFailed: it failed for another reason, such as running out of gas.
            LedgerUnavailable: it lacks confirmations after ``timeout`` seconds.
            TransactionLost: it can no longer be included in a block.
        """
        node = self._deployment.node
        receipt = self._deployment.sender.wait(self._sent, timeout)
        if not receipt.succeeded:
            raise self._why(receipt)
        block = node.block(receipt.block)
        if block is None:
            raise BadAnswer(f"{node.name} has a receipt of block {receipt.block} but not the block")
        events = self._deployment.happened(receipt)
        if not events:  # an address without code accepts every call
            self._deployment.check_place()
        return Receipt(receipt.transaction, block.time, receipt.gas_used, events)

    def _why(self, receipt: TransactionReceipt) -> LedgerError:
        """Repeat the failed call at the transaction's block, whose state it did not change."""
        try:
            self._deployment.node.call(self._call, receipt.block)
        except Reverted as refusal:
            return self._deployment.explained(refusal)
        spent = "all" if receipt.gas_used >= self._sent.gas else "part"
        return TransactionFailed(
            f"transaction {receipt.transaction} failed in block {receipt.block}, having used "
            f"{spent} of its {self._sent.gas:,} gas; the same call would pass after that block: "
            "send it again"
        )


def _told_at(setting: str, node: Node) -> str | None:
    """Return the address to subscribe to new blocks at, ``None`` to poll only."""
    if setting == "off":
        return None
    return node.websocket if setting == "auto" else setting
