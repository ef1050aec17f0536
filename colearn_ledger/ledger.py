"""The port for all reads from and writes to a ledger.

`LedgerView` answers queries, returns events and needs no wallet. `Ledger` also sends transactions
for one account. Both offer the calls and queries of `colearn_ledger.calls` as typed methods; an
implementation provides only the few abstract methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from colearn_ledger import calls
from colearn_ledger.calls import Call, Query
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    Account,
    Agenda,
    Ballot,
    ContentRef,
    Duty,
    Event,
    Experiment,
    ExperimentCreated,
    ExperimentId,
    ExperimentParams,
    Learner,
    LedgerError,
    Round,
    Scores,
    SignedBallot,
    SigningDomain,
    Vote,
)

T = TypeVar("T")


class LedgerUnavailable(LedgerError):
    """The ledger could not be reached or did not answer in time; try again."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event and its place in the ledger.

    Args:
        cursor: position that grows along the ledger; compare it, but do not interpret it.
        time: block time, in seconds since the epoch.
        transaction: the transaction's hash, hexadecimal.
        event: the event.
    """

    cursor: int
    time: int
    transaction: str
    event: Event


@dataclass(frozen=True, slots=True)
class Origin:
    """What a ledger recorded of a transaction besides its events.

    Args:
        sender: the account that sent it.
        entropy: the 32 random bytes of the ledger at that time; ``None`` if they are not known.
        call: the call of the protocol that it makes; ``None`` if it reaches the contract through
            another contract, so that its data does not show the call.
        arguments: the call's arguments, in the order of `colearn_ledger.calls`.
        number: the call's position among the calls of its transaction.
        fault: why the transaction cannot have emitted the event; empty if it can.
        other_entropy: the entropy on chains of an older kind; a chain does not report its kind.
    """

    sender: Account
    entropy: bytes | None
    call: Call | None
    arguments: tuple[Any, ...] = ()
    number: int = 0
    fault: str = ""
    other_entropy: bytes | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that took effect.

    Args:
        transaction: the transaction's hash, hexadecimal.
        time: block time, in seconds since the epoch.
        cost: gas used; 0 on a ledger without gas.
        events: the events that the transaction emitted, in order.
    """

    transaction: str
    time: int
    cost: int
    events: tuple[Event, ...]

    @property
    def experiment(self) -> ExperimentId:
        """Return the id of the experiment that this transaction created."""
        for event in self.events:
            if isinstance(event, ExperimentCreated):
                return event.experiment
        raise LedgerError(
            "this transaction created no experiment; only a receipt of `create` has an id"
        )


@dataclass(frozen=True, slots=True)
class TransactionCost:
    """What a transaction cost.

    Args:
        payer: the account that paid the fee.
        gas: the gas that it used.
        fee: the fee in ``unit``; None if the node does not report it.
        unit: ``wei`` on an EVM chain, the denomination on a Cosmos chain.
    """

    payer: Account
    gas: int
    fee: int | None
    unit: str


class Pending(Protocol):
    """A sent transaction."""

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the transaction has taken effect.

        Raises:
            ProtocolError: the protocol refused it; nothing changed.
            LedgerUnavailable: it did not visibly take effect within ``timeout`` seconds.
        """


class LedgerView(ABC):
    """Read access to one deployment of the protocol.

    Queries raise `UnknownExperiment`, `WrongRound` (the round has not begun) and `NotALearner`
    (the account never joined). Lists start at ``start`` and return at most
    ``min(limit, MAX_PAGE)`` rows.
    """

    @property
    @abstractmethod
    def domain(self) -> SigningDomain:
        """Return the domain to which signed ballots and commitments are bound."""

    @abstractmethod
    def now(self) -> int:
        """Return the ledger's time, in seconds since the epoch."""

    @abstractmethod
    def ask_all(self, query: Query[T], questions: Sequence[Sequence[Any]]) -> list[T]:
        """Return the answers to one query for several sets of arguments.

        A ledger that supports batches needs only a few requests for all of them.
        """

    @abstractmethod
    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment after the cursor ``after``."""

    def costs(self, transactions: Sequence[str]) -> list[TransactionCost]:
        """Return what each of the transactions cost; nothing on a ledger without gas.

        Args:
            transactions: hashes, as in `RecordedEvent`.

        Raises:
            LedgerUnavailable: the node does not have one of the transactions.
        """
        return []

    def read_origins(self, recorded: Sequence[RecordedEvent]) -> list[Origin | None]:
        """Return what the ledger recorded of the events' transactions, ``None`` where unknown.

        A ledger that does not offer this returns ``None`` for every event.
        """
        return [None for _ in recorded]

    @abstractmethod
    def wait_for_change(self, timeout: float) -> bool:
        """Wait until the ledger has changed since the last wait, at most ``timeout`` seconds.

        Return whether it has changed; the first wait counts as a change. A change may be noticed
        late, or not at all while a node does not report it. The passing of time is no change.
        """

    def ask(self, query: Query[T], *arguments: Any) -> T:
        """Return the answer to a query of `colearn_ledger.calls`."""
        return self.ask_all(query, [arguments])[0]

    # ------------------------------------------------------------------ queries

    def experiment(self, experiment: ExperimentId) -> Experiment:
        """Return an experiment."""
        return self.ask(calls.EXPERIMENT, experiment)

    def experiments(self, start: int = 0, limit: int = 100) -> list[Experiment]:
        """Return experiments in order of id; ``start`` 0 means the first."""
        return self.ask(calls.EXPERIMENTS, start, limit)

    def learner(self, experiment: ExperimentId, account: Account) -> Learner:
        """Return a learner."""
        return self.ask(calls.LEARNER, experiment, account)

    def learners(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Learner]:
        """Return learners in order of index, including those that left."""
        return self.ask(calls.LEARNERS, experiment, start, limit)

    def round(self, experiment: ExperimentId, round_index: int) -> Round:
        """Return a round."""
        return self.ask(calls.ROUND, experiment, round_index)

    def rounds(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Round]:
        """Return rounds in order."""
        return self.ask(calls.ROUNDS, experiment, start, limit)

    def ballot(self, experiment: ExperimentId, round_index: int, learner: Account) -> Ballot:
        """Return the record of a learner's ballot in a round."""
        return self.ask(calls.BALLOT, experiment, round_index, learner)

    def ballots(
        self, experiment: ExperimentId, round_index: int, start: int = 0, limit: int = 100
    ) -> list[Ballot]:
        """Return a round's ballots, with a row for each learner in order of index."""
        return self.ask(calls.BALLOTS, experiment, round_index, start, limit)

    def current_weights(self, experiment: ExperimentId) -> list[ContentRef]:
        """Return the files of which the current weights are made; see `Experiment.current`."""
        return self.ask(calls.CURRENT_WEIGHTS, experiment)

    def duty(self, experiment: ExperimentId, account: Account) -> Duty:
        """Return what an account should do now."""
        return self.ask(calls.DUTY, experiment, account)

    def agenda(self, experiment: ExperimentId, account: Account) -> Agenda:
        """Return all that an account needs to know for its next step."""
        return self.ask(calls.AGENDA, experiment, account)


class Ledger(LedgerView):
    """Read access to one deployment of the protocol, and write access as one account.

    If the ledger refuses a call before it is sent, the call raises the protocol's error at once.
    Otherwise `Pending.wait` raises it.
    """

    @property
    @abstractmethod
    def account(self) -> Account:
        """Return the account that sends the transactions."""

    @abstractmethod
    def acting_for(self, wallet: Wallet) -> Self:
        """Return a ledger for the same deployment that signs with another wallet."""

    @abstractmethod
    def submit(self, call: Call, *arguments: Any) -> Pending:
        """Send a call of `colearn_ledger.calls`."""

    # ------------------------------------------------------------------ calls

    def create(self, params: ExperimentParams) -> Pending:
        """Create an experiment; the receipt contains its id."""
        return self.submit(calls.CREATE, params)

    def admit(self, experiment: ExperimentId, accounts: Sequence[Account]) -> Pending:
        """Add accounts to the allowlist (creator only)."""
        return self.submit(calls.ADMIT, experiment, accounts)

    def join(
        self, experiment: ExperimentId, experiment_hash: bytes, encryption_key: bytes = bytes(32)
    ) -> Pending:
        """Become a learner of the experiment that has this hash (`Experiment.hash`).

        ``encryption_key`` is a 32-byte X25519 public key, or zero.
        """
        return self.submit(calls.JOIN, experiment, experiment_hash, encryption_key)

    def set_encryption_key(self, experiment: ExperimentId, encryption_key: bytes) -> Pending:
        """Replace the learner's 32-byte X25519 public key; zero removes it."""
        return self.submit(calls.SET_ENCRYPTION_KEY, experiment, encryption_key)

    def leave(self, experiment: ExperimentId) -> Pending:
        """Leave the experiment."""
        return self.submit(calls.LEAVE, experiment)

    def remove(self, experiment: ExperimentId, learner: Account) -> Pending:
        """Remove a learner whose strikes have reached the limit."""
        return self.submit(calls.REMOVE, experiment, learner)

    def start(self, experiment: ExperimentId) -> Pending:
        """Start the experiment (creator only)."""
        return self.submit(calls.START, experiment)

    def cancel(self, experiment: ExperimentId) -> Pending:
        """Cancel the experiment, or let it end once the open vote has closed (creator only)."""
        return self.submit(calls.CANCEL, experiment)

    def propose(
        self, experiment: ExperimentId, round_index: int, content: ContentRef, scores: Scores
    ) -> Pending:
        """Propose weights (proposer only); the scores are only recorded."""
        return self.submit(calls.PROPOSE, experiment, round_index, content, scores)

    def decline(self, experiment: ExperimentId, round_index: int) -> Pending:
        """Close the slot without a proposal (proposer only)."""
        return self.submit(calls.DECLINE, experiment, round_index)

    def vote(
        self, experiment: ExperimentId, round_index: int, proposals: bytes, vote: Vote
    ) -> Pending:
        """Cast an open ballot on the proposals that have this digest."""
        return self.submit(calls.VOTE, experiment, round_index, proposals, vote)

    def commit(
        self, experiment: ExperimentId, round_index: int, proposals: bytes, commitment: bytes
    ) -> Pending:
        """Commit to a secret ballot with the 32 bytes of `commitment_hash`."""
        return self.submit(calls.COMMIT, experiment, round_index, proposals, commitment)

    def reveal(
        self, experiment: ExperimentId, round_index: int, vote: Vote, salt: bytes
    ) -> Pending:
        """Reveal a committed ballot with its 32-byte salt."""
        return self.submit(calls.REVEAL, experiment, round_index, vote, salt)

    def vote_signed(
        self,
        experiment: ExperimentId,
        round_index: int,
        proposals: bytes,
        ballots: Sequence[SignedBallot],
    ) -> Pending:
        """Submit ballots signed by learners; invalid ones are skipped and reported."""
        return self.submit(calls.VOTE_SIGNED, experiment, round_index, proposals, ballots)

    def advance(self, experiment: ExperimentId) -> Pending:
        """Close a phase whose deadline has passed, or begin the next phase."""
        return self.submit(calls.ADVANCE, experiment)

    def announce(self, experiment: ExperimentId, topic: str, content: ContentRef) -> Pending:
        """Announce a file that helps other learners but decides nothing."""
        return self.submit(calls.ANNOUNCE, experiment, topic, content)
