"""Ledgers of a deployed contract on any chain, and the interfaces that a chain implements for them.

A chain provides an `Encoder`, which translates between the values of the protocol and the
contract's messages, and a `Channel`, which carries messages to one deployed contract and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from colearn_ledger.calls import (
    COMMIT,
    PROPOSE,
    ROUND,
    VOTE,
    VOTE_SIGNED,
    Call,
    Query,
    check_arguments,
)
from colearn_ledger.chains.errors import BadAnswer
from colearn_ledger.chains.heads import Head, is_same
from colearn_ledger.chains.journal import Premise
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import (
    Ledger,
    LedgerView,
    Origin,
    Pending,
    RecordedEvent,
    TransactionCost,
)
from colearn_ledger.protocol import (
    Account,
    ExperimentId,
    ProtocolError,
    Round,
    SigningDomain,
    SlotState,
)

T = TypeVar("T")
Message = TypeVar("Message")
MessageOut = TypeVar("MessageOut", covariant=True)

_NAMES_PROPOSALS = {call.name for call in (VOTE, COMMIT, VOTE_SIGNED)}
"""Calls that name the digest of the proposals. A reveal is bound to them by its commitment."""


@dataclass(frozen=True, slots=True)
class Question(Generic[Message, T]):
    """A query in the form of the contract's message.

    Args:
        message: the message to send to the contract.
        read: decodes the contract's answer; raises `BadAnswer` if it is malformed.
    """

    message: Message
    read: Callable[[Any], T]


class Encoder(Protocol[MessageOut]):
    """Translates calls and queries into a contract's messages, and answers into values."""

    def encode(self, entry: Call | Query[Any], arguments: Sequence[Any]) -> MessageOut:
        """Return the message of a call or query whose arguments were already checked.

        Raises:
            InvalidParameter: an argument does not fit into the message; carries its name.
        """

    def decode(self, query: Query[T], arguments: Sequence[Any], answer: Any) -> T:
        """Decode a contract's answer to a query.

        Raises:
            BadAnswer: the contract cannot have returned this.
        """


class Channel(Protocol[Message]):
    """Carries messages to one deployed contract on one chain."""

    @property
    def contract(self) -> Account:
        """Return the contract's address."""

    @property
    def domain(self) -> SigningDomain:
        """Return the domain that signed ballots and commitments are bound to."""

    def account_of(self, wallet: Wallet) -> Account:
        """Return the account of a wallet on this chain."""

    def send(self, wallet: Wallet, message: Message, premise: Premise | None, /) -> Pending:
        """Send a transaction, or raise the error with which the contract would refuse it.

        Once the round has other proposals than ``premise``, the transaction is never sent again.
        """

    def check_premise_with(self, check: Callable[[Premise], bool], /) -> None:
        """Set the check that decides whether a transaction with a premise may be sent again."""

    def ask_at_head(self, contract: Account, question: Question[Message, T], /) -> T:
        """Return a contract's answer as of the last block.

        Raises:
            ProtocolError: the contract refuses the question.
        """

    def ask_all(self, questions: Sequence[Question[Message, T]], /) -> list[T]:
        """Return the answers to several questions, in few requests where the chain allows it.

        Raises:
            ProtocolError: the contract refuses a question.
        """

    def now(self) -> int:
        """Return the chain's time, seconds since the epoch."""

    def read_events(
        self,
        experiment: ExperimentId,
        created_at: Callable[[], int],
        *,
        after: int,
        limit: int,
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``.

        Args:
            experiment: the experiment's id.
            created_at: returns its time of creation, or raises `UnknownExperiment`.
            after: the cursor.
            limit: the most events to return.
        """

    def read_costs(self, transactions: Sequence[str]) -> list[TransactionCost]:
        """Return what each of the transactions cost.

        Raises:
            LedgerUnavailable: the node does not have one of them.
        """

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return what the chain recorded of the events' transactions, ``None`` where unknown."""

    def wait_past(self, seen: Head | None, timeout: float) -> Head | None:
        """Return the head once it is not ``seen``; otherwise after ``timeout`` seconds."""


class ContractView(LedgerView, Generic[Message]):
    """A read-only view of a deployed contract. Several threads may use it."""

    def __init__(self, encoder: Encoder[Message], channel: Channel[Message]) -> None:
        """Create a view; prefer the `connect` of a chain's ledger.

        Args:
            encoder: translates the contract's messages.
            channel: carries messages to the contract.
        """
        self._encoder = encoder
        self._channel = channel
        self._seen: Head | None = None

    @property
    def contract(self) -> Account:
        """Return the contract's address."""
        return self._channel.contract

    @property
    def domain(self) -> SigningDomain:
        """Return the domain that signed ballots and commitments are bound to."""
        return self._channel.domain

    def now(self) -> int:
        """Return the chain's time, seconds since the epoch."""
        return self._channel.now()

    def ask_all(self, query: Query[T], questions: Sequence[Sequence[Any]]) -> list[T]:
        """Return the answers to one query for several sets of arguments."""
        return self._channel.ask_all([self._question(query, values) for values in questions])

    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        return self._channel.read_events(
            experiment,
            lambda: self.experiment(experiment).created_at,
            after=after,
            limit=limit,
        )

    def costs(self, transactions: Sequence[str]) -> list[TransactionCost]:
        """Return what each of the transactions cost."""
        return self._channel.read_costs(transactions)

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return what the chain recorded of the events' transactions, ``None`` where unknown."""
        return self._channel.read_origins(recorded)

    def wait_for_change(self, timeout: float) -> bool:
        """Return whether there is another head than at the last wait, waiting up to ``timeout``."""
        seen, self._seen = self._seen, self._channel.wait_past(self._seen, timeout)
        return not is_same(self._seen, seen)

    def _question(self, query: Query[T], values: Sequence[Any]) -> Question[Message, T]:
        checked = check_arguments(query, values, self.domain.scheme)
        message = self._encoder.encode(query, checked)
        return Question(message, lambda answer: self._encoder.decode(query, checked, answer))


class ProvenView(ContractView[Message]):
    """A view of a contract through a node that is not trusted; what it reads is proved.

    Args:
        encoder: translates values into messages of the contract.
        channel: the connection to the contract.
        trusted: the block whose hash is trusted.
        last: the newest block that is proved.
    """

    def __init__(
        self, encoder: Encoder[Message], channel: Channel[Message], *, trusted: Head, last: Head
    ) -> None:
        super().__init__(encoder, channel)
        self.trusted = trusted
        self.last = last


class ContractLedger(ContractView[Message], Ledger):
    """A deployed contract, for reading and for writing as one account."""

    def __init__(
        self, encoder: Encoder[Message], channel: Channel[Message], wallet: Wallet
    ) -> None:
        """Create a ledger; prefer the `connect` and `deploy` of a chain's ledger.

        Args:
            encoder: translates the contract's messages.
            channel: carries messages to the contract.
            wallet: signs the transactions.
        """
        super().__init__(encoder, channel)
        self._wallet = wallet
        channel.check_premise_with(self._is_valid)

    @property
    def account(self) -> Account:
        """Return the account that sends the transactions."""
        return self._channel.account_of(self._wallet)

    def acting_for(self, wallet: Wallet) -> Self:
        """Return a ledger of the same contract that signs with another wallet."""
        return type(self)(self._encoder, self._channel, wallet)

    def submit(self, call: Call, *arguments: Any) -> Pending:
        """Send a call as a transaction."""
        checked = check_arguments(call, arguments, self.domain.scheme)
        message = self._encoder.encode(call, checked)
        return self._channel.send(self._wallet, message, self._find_premise(call, checked))

    def _find_premise(self, call: Call, arguments: Sequence[Any]) -> Premise | None:
        """Return the proposals that a call assumes, ``None`` if it depends on none."""
        if call is PROPOSE:
            experiment, index, content, _ = arguments
            sha256 = content.sha256
            return Premise(self.contract, experiment, index, sha256, proposer=self.account)
        if call.name not in _NAMES_PROPOSALS:
            return None
        experiment, index, proposals, _ = arguments
        return Premise(self.contract, experiment, index, proposals.hex())

    def _is_valid(self, premise: Premise) -> bool:
        """Return whether a call may be sent again, as of the last block."""
        question = self._question(ROUND, (ExperimentId(premise.experiment), premise.round))
        try:
            found = self._channel.ask_at_head(Account(premise.contract), question)
        except (ProtocolError, BadAnswer):  # a reorganisation dropped the experiment or contract
            return premise.fits("")
        return premise.fits(_identify_proposals(found, premise.proposer))


def _identify_proposals(found: Round, proposer: str) -> str:
    """Return the digest of a round's proposals, or the sha256 of one proposer's file.

    The text is empty while there is none. For a slot whose proposal can no longer be made it is the
    slot's state, which is not a sha256.
    """
    if not proposer:
        return found.proposals.hex() if found.proposals else ""
    for slot in found.slots:
        if slot.proposer == proposer and slot.state != SlotState.OPEN:
            return slot.content.sha256 if slot.content else slot.state.name
    return ""
