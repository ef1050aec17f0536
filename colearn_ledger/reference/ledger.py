"""LocalLedger: the whole protocol in this process, or in a file that processes share."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Self

from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Receipt, RecordedEvent
from colearn_ledger.protocol import (
    Account,
    Ballot,
    ContentRef,
    Duty,
    Experiment,
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
from colearn_ledger.reference.calls import checked_account, encode_arguments
from colearn_ledger.reference.errors import DamagedLog
from colearn_ledger.reference.log import FileLog, Log, MemoryLog, new_domain
from colearn_ledger.reference.replica import LogHead, Replica
from colearn_ledger.reference.rounds import Transaction

__all__ = ["Clock", "Done", "Entropy", "LocalLedger"]

Clock = Callable[[], float]
"""Returns seconds since the epoch."""

Entropy = Callable[[], bytes]
"""Returns 32 bytes that nobody could foresee."""

_POLL_SECONDS = 0.02
"""How often a waiting ledger looks whether another process wrote to the file."""


def _random_word() -> bytes:
    return os.urandom(32)


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction that took effect before its call returned."""

    receipt: Receipt

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt."""
        return self.receipt


class _Deployment:
    """What all views of one ledger share: log, replica, and the lock over both."""

    def __init__(self, log: Log, clock: Clock, entropy: Entropy) -> None:
        self.log = log
        self._clock = clock
        self._entropy = entropy
        self._replica = Replica(log.domain)
        self._changed = threading.Condition(threading.RLock())

    @contextmanager
    def reading(self) -> Iterator[Replica]:
        """Yield the replica, caught up with the log."""
        with self._changed:
            yield self._caught_up()

    def now(self, replica: Replica) -> int:
        """Return the clock's time, but never one before the last entry."""
        return max(int(self._clock()), replica.time)

    def submit(self, wallet: Wallet, call: str, arguments: Sequence[object]) -> Receipt:
        """Append a call to the log, or raise what the protocol refuses it with."""
        encoded = encode_arguments(call, arguments)
        with self._changed:
            performed = False
            try:
                with self.log.writing():
                    replica = self._caught_up()
                    if self.log.last_hash() != (replica.last_hash if replica.entries else None):
                        raise DamagedLog("it was rewritten while this program had it open")
                    message = replica.draft(wallet.address, call, encoded)
                    tx = Transaction(wallet.address, self.now(replica), self._fresh_entropy())
                    events = replica.perform(message, tx)
                    performed = True
                    entry = replica.seal(message, tx, wallet)
                    self.log.append(entry)
            except BaseException:
                if performed:  # the replica is ahead of the log: build it anew from there
                    self._replica = Replica(self.log.domain)
                raise
            receipt = replica.record(entry, wallet.address, events)
            self._changed.notify_all()
            return receipt

    def wait_past(self, entries: int, timeout: float) -> int:
        """Return how many entries there are, once more than ``entries`` or out of time."""
        ends = time.monotonic() + timeout
        with self._changed:
            while (there := self._caught_up().entries) == entries:
                left = ends - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, _POLL_SECONDS) if self.log.shared else left)
            return there

    def verify(self) -> LogHead:
        """Read the whole log again from its first entry."""
        with self._changed:
            audited = Replica(self.log.domain)
            for entry in self.log.entries(0):
                audited.replay(entry)
            return audited.head

    def _caught_up(self) -> Replica:
        for entry in self.log.entries(self._replica.entries):
            self._replica.replay(entry)
        return self._replica

    def _fresh_entropy(self) -> bytes:
        entropy = self._entropy()
        if len(entropy) != 32:
            raise LedgerError(f"the entropy source gave {len(entropy)} bytes; 32 are wanted")
        return entropy


class LocalLedger:
    """One account's view of a ledger without a chain; implements `colearn_ledger.ledger.Ledger`.

    Its log holds the calls as messages signed by the wallets, each entry bound to the one before,
    and the state is what they lead to. Calls take effect before they return. Views made with
    `acting_for` share the ledger, and may be used by several threads.
    """

    def __init__(self, deployment: _Deployment, wallet: Wallet) -> None:
        """Prefer `new` and `open`."""
        self._deployment = deployment
        self._wallet = wallet
        self._seen = 0

    @classmethod
    def new(
        cls,
        wallet: Wallet,
        path: Path | str | None = None,
        *,
        clock: Clock = time.time,
        entropy: Entropy = _random_word,
        domain: SigningDomain | None = None,
    ) -> Self:
        """Create a ledger.

        Args:
            wallet: whose view is returned.
            path: a new file for it; in memory when there is none.
            clock: the time of its transactions.
            entropy: their 32 random bytes.
            domain: what signatures are bound to; chain 0 and a random address unless given.

        Raises:
            NotALedgerFile: a file is there already.
            LogUnavailable: the file can not be written.
        """
        domain = domain or new_domain()
        log = MemoryLog(domain) if path is None else FileLog(Path(path), create=domain)
        return cls(_Deployment(log, clock, entropy), wallet)

    @classmethod
    def open(
        cls,
        wallet: Wallet,
        path: Path | str,
        *,
        clock: Clock = time.time,
        entropy: Entropy = _random_word,
    ) -> Self:
        """Open a ledger's file; all of its log is verified.

        Raises:
            NotALedgerFile: there is none, or one of another format.
            DamagedLog: names the first entry that is not what its sender signed.
            LogUnavailable: the file can not be read.
        """
        log = FileLog(Path(path))
        try:
            deployment = _Deployment(log, clock, entropy)
            with deployment.reading():
                return cls(deployment, wallet)
        except BaseException:
            log.close()
            raise

    @property
    def account(self) -> Account:
        """The account that this view acts for."""
        return self._wallet.address

    @property
    def domain(self) -> SigningDomain:
        """What signed ballots and commitments are bound to."""
        return self._deployment.log.domain

    def acting_for(self, wallet: Wallet) -> Self:
        """Return a view of the same ledger that signs with another wallet."""
        return type(self)(self._deployment, wallet)

    def now(self) -> int:
        """Return the ledger's time, seconds since the epoch."""
        with self._deployment.reading() as replica:
            return self._deployment.now(replica)

    def verify(self) -> LogHead:
        """Read and verify the whole log again, and tell how far it goes.

        Raises:
            DamagedLog: names the first entry that is not what its sender signed.
        """
        return self._deployment.verify()

    def close(self) -> None:
        """Close the ledger's file, for all of its views."""
        self._deployment.log.close()

    # ------------------------------------------------------------------ transactions

    def _submit(self, call: str, *arguments: object) -> Done:
        return Done(self._deployment.submit(self._wallet, call, arguments))

    def create(self, params: ExperimentParams) -> Done:
        """Create an experiment; its id is in the receipt."""
        return self._submit("create", params)

    def admit(self, experiment: ExperimentId, accounts: Sequence[Account]) -> Done:
        """Put accounts on the allowlist (creator only)."""
        return self._submit("admit", experiment, accounts)

    def join(self, experiment: ExperimentId, encryption_key: bytes = bytes(32)) -> Done:
        """Become a learner; ``encryption_key`` is a 32-byte X25519 public key, or zero."""
        return self._submit("join", experiment, encryption_key)

    def leave(self, experiment: ExperimentId) -> Done:
        """Leave the experiment."""
        return self._submit("leave", experiment)

    def remove(self, experiment: ExperimentId, learner: Account) -> Done:
        """Remove a learner whose strikes reached the limit."""
        return self._submit("remove", experiment, learner)

    def start(self, experiment: ExperimentId) -> Done:
        """Start the experiment (creator only)."""
        return self._submit("start", experiment)

    def cancel(self, experiment: ExperimentId) -> Done:
        """Cancel the experiment (creator only)."""
        return self._submit("cancel", experiment)

    def propose(
        self, experiment: ExperimentId, round_index: int, content: ContentRef, scores: Scores
    ) -> Done:
        """Propose weights (proposer only); the scores are for the record."""
        return self._submit("propose", experiment, round_index, content, scores)

    def decline(self, experiment: ExperimentId, round_index: int) -> Done:
        """Close the round for want of a proposal (proposer only)."""
        return self._submit("decline", experiment, round_index)

    def vote(self, experiment: ExperimentId, round_index: int, vote: Vote) -> Done:
        """Cast an open ballot."""
        return self._submit("vote", experiment, round_index, vote)

    def commit(self, experiment: ExperimentId, round_index: int, commitment: bytes) -> Done:
        """Commit to a secret ballot: 32 bytes of `commitment_hash`."""
        return self._submit("commit", experiment, round_index, commitment)

    def reveal(self, experiment: ExperimentId, round_index: int, vote: Vote, salt: bytes) -> Done:
        """Reveal a committed ballot with its 32-byte salt."""
        return self._submit("reveal", experiment, round_index, vote, salt)

    def vote_signed(
        self, experiment: ExperimentId, round_index: int, ballots: Sequence[SignedBallot]
    ) -> Done:
        """Carry ballots that learners signed; a bad one is skipped and reported."""
        return self._submit("vote_signed", experiment, round_index, ballots)

    def advance(self, experiment: ExperimentId) -> Done:
        """Close or move on a phase whose deadline has passed."""
        return self._submit("advance", experiment)

    # ------------------------------------------------------------------ queries

    def experiment(self, experiment: ExperimentId) -> Experiment:
        """Return an experiment."""
        with self._deployment.reading() as replica:
            return replica.views.experiment(experiment)

    def experiments(self, start: int = 0, limit: int = 100) -> list[Experiment]:
        """Return experiments in order of id; ``start`` 0 is the first."""
        with self._deployment.reading() as replica:
            return replica.views.experiments(start, limit)

    def learner(self, experiment: ExperimentId, account: Account) -> Learner:
        """Return a learner."""
        with self._deployment.reading() as replica:
            return replica.views.learner(experiment, checked_account(account))

    def learners(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Learner]:
        """Return learners in order of index, those who left included."""
        with self._deployment.reading() as replica:
            return replica.views.learners(experiment, start, limit)

    def round(self, experiment: ExperimentId, round_index: int) -> Round:
        """Return a round."""
        with self._deployment.reading() as replica:
            return replica.views.round(experiment, round_index)

    def rounds(self, experiment: ExperimentId, start: int = 0, limit: int = 100) -> list[Round]:
        """Return rounds in order."""
        with self._deployment.reading() as replica:
            return replica.views.rounds(experiment, start, limit)

    def ballot(self, experiment: ExperimentId, round_index: int, learner: Account) -> Ballot:
        """Return what is recorded of a learner in a round."""
        with self._deployment.reading() as replica:
            return replica.views.ballot(experiment, round_index, checked_account(learner))

    def ballots(
        self, experiment: ExperimentId, round_index: int, start: int = 0, limit: int = 100
    ) -> list[Ballot]:
        """Return a row for each learner in order of index."""
        with self._deployment.reading() as replica:
            return replica.views.ballots(experiment, round_index, start, limit)

    def ballots_of(
        self, experiment: ExperimentId, rounds: Sequence[int], start: int = 0, limit: int = 100
    ) -> list[list[Ballot]]:
        """Return the same page of `ballots` for each of several rounds."""
        return [self.ballots(experiment, index, start, limit) for index in rounds]

    def current_weights(self, experiment: ExperimentId) -> ContentRef | None:
        """Return the current weights, ``None`` while there are none."""
        return self.experiment(experiment).current

    def duty(self, experiment: ExperimentId, account: Account) -> Duty:
        """Return what an account should do now."""
        with self._deployment.reading() as replica:
            now = self._deployment.now(replica)
            return replica.views.duty(experiment, checked_account(account), now)

    # ------------------------------------------------------------------ events

    def events(
        self, experiment: ExperimentId, after: int = -1, limit: int = 1_000
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events of an experiment past the cursor ``after``."""
        with self._deployment.reading() as replica:
            recorded = replica.events(experiment)
            start = bisect_right(recorded, after, key=attrgetter("cursor"))
            return recorded[start : start + max(limit, 0)]

    def wait_for_change(self, timeout: float) -> None:
        """Return when something happened since the last such wait, or after ``timeout`` seconds."""
        self._seen = self._deployment.wait_past(self._seen, timeout)
