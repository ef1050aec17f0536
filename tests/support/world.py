"""A world for the protocol's stories, with the same operations on every ledger.

Each ledger has a subclass, which connects accounts and lets time pass. A story must not assume that
two transactions have the same time, or that time stands still. It uses the world's windows, and
reads deadlines from queries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, Receipt
from colearn_ledger.protocol import (
    Account,
    Ballot,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    Learner,
    ProtocolError,
    Round,
    SignedBallot,
    Vote,
    commitment_hash,
)
from tests.support.samples import (
    ANYONE,
    CREATOR,
    SCORES,
    WINDOW,
    content_of,
    params,
    salt_of,
    wallet_of,
)


class World(ABC):
    """People by name, one ledger, and the experiment of the story.

    ``window`` is the length of its windows and ``moment`` a short time, both in seconds.
    """

    window = WINDOW
    moment = WINDOW // 10

    def __init__(self) -> None:
        self._views: dict[str, Ledger] = {}
        self.id = ExperimentId(0)

    # to be implemented for each ledger

    @abstractmethod
    def connect(self, wallet: Wallet) -> Ledger:
        """Return the view of this world's deployment for a wallet that can pay."""

    @abstractmethod
    def set_time(self, time: int) -> None:
        """Set the ledger's time; the next transaction may be slightly later."""

    def snapshot(self) -> object:
        """Return all state that a refused call must leave unchanged."""
        view = self.view(ANYONE)
        if not self.id:
            return view.experiments()
        state, rounds = view.experiment(self.id), view.rounds(self.id)
        ballots = view.ballots(self.id, rounds[-1].index) if rounds else []
        return state, view.learners(self.id), rounds, ballots

    # people

    def view(self, name: str) -> Ledger:
        """Return this person's view of the ledger."""
        if name not in self._views:
            self._views[name] = self.connect(wallet_of(name))
        return self._views[name]

    def account(self, name: str) -> Account:
        return wallet_of(name).account_on(self.view(ANYONE).domain)

    def name_of(self, account: Account, *names: str) -> str:
        """Return the name of the person with this account."""
        return next(name for name in names if self.account(name) == account)

    # time

    def pass_windows(self, number: int) -> None:
        self.set_time(self.view(ANYONE).now() + number * self.window)

    def approach_deadline(self) -> None:
        """Move the clock to a moment before the deadline of the open phase."""
        deadline = self.round().deadline
        assert deadline is not None
        self.set_time(deadline - self.moment)

    def pass_deadline(self) -> int:
        """Move the clock to the exact deadline of the open phase, and return it."""
        deadline = self.round().deadline
        assert deadline is not None
        self.set_time(deadline)
        return deadline

    # starting an experiment

    def create(self, by: str = CREATOR, **changes: object) -> ExperimentId:
        windows = {"propose_window": self.window, "vote_window": self.window}
        receipt = self.view(by).create(params(**{**windows, **changes})).wait()
        self.id = receipt.experiment
        return self.id

    def enrol(self, *names: str, **changes: object) -> None:
        """Create an experiment and let these people join it."""
        self.create(**changes)
        for name in names:
            self.join(name)

    def run(self, *names: str, **changes: object) -> None:
        """Create an experiment, let these people join it, and start it."""
        self.enrol(*names, **changes)
        self.start()

    # calls; each returns the events that it emitted

    def do(self, name: str, call: str, *arguments: object) -> tuple[Event, ...]:
        return self.send(name, call, *arguments).events

    def send(self, name: str, call: str, *arguments: object) -> Receipt:
        return getattr(self.view(name), call)(self.id, *arguments).wait()

    def admit(self, *names: str, by: str = CREATOR) -> tuple[Event, ...]:
        return self.do(by, "admit", [self.account(name) for name in names])

    def join(self, name: str, key: bytes = bytes(32)) -> tuple[Event, ...]:
        return self.do(name, "join", key)

    def leave(self, name: str) -> tuple[Event, ...]:
        return self.do(name, "leave")

    def remove(self, name: str, by: str = ANYONE) -> tuple[Event, ...]:
        return self.do(by, "remove", self.account(name))

    def start(self, by: str = CREATOR) -> tuple[Event, ...]:
        return self.do(by, "start")

    def cancel(self, by: str = CREATOR) -> tuple[Event, ...]:
        return self.do(by, "cancel")

    def advance(self, by: str = ANYONE) -> tuple[Event, ...]:
        return self.do(by, "advance")

    def propose(
        self, name: str, text: str | None = None, at: int | None = None
    ) -> tuple[Event, ...]:
        """Propose weights, which differ in every round unless the story gives a text."""
        index = self.current_index() if at is None else at
        content = content_of(text or f"weights of round {index}")
        return self.do(name, "propose", index, content, SCORES)

    def decline(self, name: str, at: int | None = None) -> tuple[Event, ...]:
        return self.do(name, "decline", self.current_index() if at is None else at)

    def vote(self, name: str, approve: bool = True, at: int | None = None) -> tuple[Event, ...]:
        index = self.current_index() if at is None else at
        return self.do(name, "vote", index, Vote(approve, SCORES))

    def commitment(self, name: str, approve: bool = True) -> bytes:
        domain, account = self.view(name).domain, self.account(name)
        vote, salt = Vote(approve, SCORES), salt_of(name)
        return commitment_hash(domain, self.id, self.current_index(), account, vote, salt)

    def commit(self, name: str, approve: bool = True, at: int | None = None) -> tuple[Event, ...]:
        index = self.current_index() if at is None else at
        return self.do(name, "commit", index, self.commitment(name, approve))

    def reveal(self, name: str, approve: bool = True, at: int | None = None) -> tuple[Event, ...]:
        index = self.current_index() if at is None else at
        return self.do(name, "reveal", index, Vote(approve, SCORES), salt_of(name))

    def sign_ballot(self, name: str, approve: bool = True, at: int | None = None) -> SignedBallot:
        index = self.current_index() if at is None else at
        domain = self.view(ANYONE).domain
        return sign_ballot(wallet_of(name), domain, self.id, index, Vote(approve, SCORES))

    def submit_ballots(
        self, *ballots: SignedBallot, by: str = ANYONE, at: int | None = None
    ) -> tuple[Event, ...]:
        return self.do(by, "vote_signed", self.current_index() if at is None else at, list(ballots))

    # queries

    def experiment(self) -> Experiment:
        return self.view(ANYONE).experiment(self.id)

    def current_index(self) -> int:
        """Return the current round's index, 0 before the start."""
        return self.experiment().round or 0

    def round(self, index: int | None = None) -> Round:
        return self.view(ANYONE).round(self.id, self.current_index() if index is None else index)

    def learner(self, name: str) -> Learner:
        return self.view(ANYONE).learner(self.id, self.account(name))

    def strikes(self, *names: str) -> list[int]:
        return [self.learner(name).strikes for name in names]

    def ballot(self, name: str, index: int | None = None) -> Ballot:
        round_index = self.current_index() if index is None else index
        return self.view(ANYONE).ballot(self.id, round_index, self.account(name))

    def duty(self, name: str) -> Duty:
        return self.view(ANYONE).duty(self.id, self.account(name))

    def duties(self, *names: str) -> list[Duty]:
        return [self.duty(name) for name in names]

    def proposer(self, *names: str) -> str:
        """Return the name of the current proposer."""
        return self.name_of(self.round().proposer, *names)

    # refusals

    @contextmanager
    def expect_refusal(self, expected: ProtocolError) -> Iterator[None]:
        """Expect a call to be refused with this error and these values, and to change nothing."""
        before = self.snapshot()
        with pytest.raises(type(expected)) as refusal:
            yield
        assert refusal.value.args == expected.args
        assert self.snapshot() == before
