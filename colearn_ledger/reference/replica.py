"""A ledger's log folded into state, every entry verified first."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import NoReturn

from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from colearn_ledger.keys.signing import is_canonical
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Receipt, RecordedEvent
from colearn_ledger.protocol import (
    Account,
    Event,
    ExperimentId,
    ProtocolError,
    SigningDomain,
)
from colearn_ledger.reference.calls import Json, Message, decode_arguments
from colearn_ledger.reference.errors import DamagedLog
from colearn_ledger.reference.rounds import Transaction
from colearn_ledger.reference.rules import Rules
from colearn_ledger.reference.state import LedgerState
from colearn_ledger.reference.views import Views

__all__ = ["Entry", "LogHead", "Replica"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the log.

    Args:
        position: 0, 1, 2 …
        time: when it took effect, seconds since the epoch; never goes backwards.
        entropy: 32 random bytes of the process that wrote it.
        message: the canonical bytes of a `Message`.
        signature: the sender's over them (EIP-191), 65 bytes.
        hash: sha256 over the previous entry's hash and everything above: the transaction's hash.
    """

    position: int
    time: int
    entropy: bytes
    message: bytes
    signature: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class LogHead:
    """How far a log goes. Note it elsewhere to notice later that a log was cut or rewritten.

    Args:
        entries: how many there are.
        hash: the last one's, hexadecimal, as a receipt shows it.
    """

    entries: int
    hash: str


class Replica:
    """The state that a log leads to.

    The signatures say who asked for what, and in which order each of them did. Time, entropy and
    the order among accounts are the word of the process that wrote an entry.
    """

    def __init__(self, domain: SigningDomain) -> None:
        self.domain = domain
        self._state = LedgerState()
        self._rules = Rules(self._state, domain)
        self.views = Views(self._state)
        self.entries = 0
        self.time = 0
        self.last_hash = hashlib.sha256(domain.separator).digest()
        self._numbers: defaultdict[Account, int] = defaultdict(int)
        self._event_count = 0
        self._events: defaultdict[ExperimentId, list[RecordedEvent]] = defaultdict(list)

    @property
    def head(self) -> LogHead:
        """Return how far this replica has read."""
        return LogHead(self.entries, _hex(self.last_hash))

    def events(self, experiment: ExperimentId) -> list[RecordedEvent]:
        """Return an experiment's events, all of them.

        Raises:
            UnknownExperiment: there is none with this id.
        """
        return self._events[self._state.find(experiment).id]

    # ------------------------------------------------------------------ writing

    def draft(self, sender: Account, call: str, arguments: Json) -> Message:
        """Return the sender's next message."""
        return Message(self.domain.separator, sender, self._numbers[sender], call, arguments)

    def perform(self, message: Message, tx: Transaction) -> list[Event]:
        """Apply a message to the state; `seal` and `record` must follow.

        Raises:
            ProtocolError: it is refused, and changed nothing.
        """
        arguments = decode_arguments(message.call, message.arguments)
        events: list[Event] = getattr(self._rules, message.call)(tx, *arguments)
        return events

    def seal(self, message: Message, tx: Transaction, wallet: Wallet) -> Entry:
        """Return the signed entry that continues the log."""
        data = message.encode()
        signature = wallet.sign_message(encode_defunct(primitive=data))
        digest = _entry_hash(self.last_hash, tx, data, signature)
        return Entry(self.entries, tx.time, tx.entropy, data, signature, digest)

    def record(self, entry: Entry, sender: Account, events: list[Event]) -> Receipt:
        """Take note of an entry that was performed."""
        self.entries += 1
        self.time = entry.time
        self.last_hash = entry.hash
        self._numbers[sender] += 1
        transaction = _hex(entry.hash)
        for event in events:
            recorded = RecordedEvent(self._event_count, entry.time, transaction, event)
            self._events[event.experiment].append(recorded)
            self._event_count += 1
        return Receipt(transaction, entry.time, 0, tuple(events))

    # ------------------------------------------------------------------ replay

    def replay(self, entry: Entry) -> None:
        """Verify an entry that was read, and apply it.

        Raises:
            DamagedLog: it does not continue the log, was not signed by its sender, or is a call
                that the protocol refuses.
        """
        message, tx = self._verify(entry)
        try:
            events = self.perform(message, tx)
        except ProtocolError as error:
            raise DamagedLog(f"the protocol refuses its call: {error}", self.entries) from error
        self.record(entry, message.sender, events)

    def _verify(self, entry: Entry) -> tuple[Message, Transaction]:
        self._check_shape(entry)
        try:
            message = Message.decode(entry.message)
        except ValueError as error:
            self._refuse(str(error), error)
        tx = Transaction(message.sender, entry.time, entry.entropy)
        if entry.hash != _entry_hash(self.last_hash, tx, entry.message, entry.signature):
            self._refuse("its hash does not follow from the entry before")
        if entry.time < self.time:
            self._refuse("its time lies before the entry before")
        if message.ledger != self.domain.separator:
            self._refuse("its message was signed for another ledger")
        if not _is_signed(entry.message, entry.signature, message.sender):
            self._refuse("it is not signed by its sender")
        if message.number != self._numbers[message.sender]:
            self._refuse(f"it is its sender's message {message.number}, out of turn")
        return message, tx

    def _check_shape(self, entry: Entry) -> None:
        """SQLite columns hold any type: take nothing for granted."""
        if entry.position != self.entries:
            self._refuse("it is not there")
        if type(entry.time) is not int or not 0 <= entry.time < 2**63:
            self._refuse("its time is not one")
        for value in (entry.entropy, entry.message, entry.signature, entry.hash):
            if type(value) is not bytes:
                self._refuse("it does not hold bytes")
        if (len(entry.entropy), len(entry.signature)) != (32, 65):
            self._refuse("its entropy or its signature has a wrong length")

    def _refuse(self, reason: str, cause: Exception | None = None) -> NoReturn:
        raise DamagedLog(reason, self.entries) from cause


def _entry_hash(previous: bytes, tx: Transaction, message: bytes, signature: bytes) -> bytes:
    fixed = previous + tx.time.to_bytes(8, "big") + tx.entropy + signature
    return hashlib.sha256(fixed + message).digest()


def _is_signed(message: bytes, signature: bytes, sender: Account) -> bool:
    if not is_canonical(signature):
        return False
    try:
        signer = EthAccount.recover_message(encode_defunct(primitive=message), signature=signature)
    except Exception:  # noqa: BLE001 - eth-keys, eth-utils and coincurve each raise their own
        return False
    return str(signer) == sender


def _hex(digest: bytes) -> str:
    return "0x" + digest.hex()
