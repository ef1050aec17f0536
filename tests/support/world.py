"""A world for the protocol's stories, with the same operations on every ledger.

Each ledger has a subclass, which connects accounts and lets time pass. A story must not assume that
two transactions have the same time, or that time stands still. It uses the world's windows, and
reads deadlines from queries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, Receipt
from colearn_ledger.protocol import (
    Account,
    Agenda,
    Ballot,
    BallotSkipped,
    BallotState,
    Basis,
    ContentRef,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    Learner,
    ProtocolError,
    Round,
    SignedBallot,
    SkipReason,
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

Approval = bool | Collection[int]
"""What a voter approves: every proposal that it may approve, nothing, or these slots."""


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

    def end_phase(self) -> tuple[Event, ...]:
        """End the open phase at its deadline, and return the events."""
        self.pass_deadline()
        return self.advance()

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

    def join(
        self, name: str, key: bytes = bytes(32), experiment_hash: bytes | None = None
    ) -> tuple[Event, ...]:
        """Join by the experiment's hash, unless the story gives another one."""
        return self.do(name, "join", experiment_hash or self.experiment().hash, key)

    def set_key(self, name: str, key: bytes) -> tuple[Event, ...]:
        return self.do(name, "set_encryption_key", key)

    def announce(self, name: str, topic: str, text: str = "help") -> tuple[Event, ...]:
        return self.do(name, "announce", topic, content_of(text))

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

    def propose_all(self, *names: str) -> None:
        """Let these proposers propose, each its own weights."""
        for name in names:
            self.propose(name, f"weights of {name} in round {self.current_index()}")

    def make_vote(self, name: str, approve: Approval = True) -> Vote:
        """Return a person's vote on the proposals of the current round."""
        index = self.experiment().round
        slots = () if index is None else self.round(index).slots
        proposed = [number for number, slot in enumerate(slots) if slot.content]
        if isinstance(approve, bool):
            others = [n for n in proposed if slots[n].proposer != self.account(name)]
            approve = others if approve else []
        return Vote(sum(1 << number for number in approve), (SCORES,) * (1 + len(proposed)))

    def make_basis(self, at: int | None = None, proposals: bytes | None = None) -> Basis:
        """Return what ballots judge: the proposals of the current round, unless given."""
        index = self.experiment().round
        if proposals is None:
            known = None if index is None else self.round(index).proposals
            proposals = known or bytes(32)
        return Basis(self.id, (index or 0) if at is None else at, proposals)

    def vote(
        self,
        name: str,
        approve: Approval = True,
        at: int | None = None,
        proposals: bytes | None = None,
    ) -> tuple[Event, ...]:
        basis = self.make_basis(at, proposals)
        return self.do(name, "vote", basis.round, basis.proposals, self.make_vote(name, approve))

    def vote_all(self, *names: str, approve: Approval = True) -> tuple[Event, ...]:
        """Let these people cast the same ballot, and return the events of the last one."""
        events: tuple[Event, ...] = ()
        for name in names:
            events = self.vote(name, approve)
        return events

    def commitment(
        self, name: str, approve: Approval = True, proposals: bytes | None = None
    ) -> bytes:
        domain, account = self.view(name).domain, self.account(name)
        vote, salt = self.make_vote(name, approve), salt_of(name)
        return commitment_hash(domain, self.make_basis(None, proposals), account, vote, salt)

    def commit(
        self,
        name: str,
        approve: Approval = True,
        at: int | None = None,
        proposals: bytes | None = None,
    ) -> tuple[Event, ...]:
        basis = self.make_basis(at, proposals)
        commitment = self.commitment(name, approve)
        return self.do(name, "commit", basis.round, basis.proposals, commitment)

    def reveal(
        self, name: str, approve: Approval = True, at: int | None = None
    ) -> tuple[Event, ...]:
        index = self.current_index() if at is None else at
        return self.do(name, "reveal", index, self.make_vote(name, approve), salt_of(name))

    def sign_ballot(
        self,
        name: str,
        approve: Approval = True,
        at: int | None = None,
        proposals: bytes | None = None,
    ) -> SignedBallot:
        basis, vote = self.make_basis(at, proposals), self.make_vote(name, approve)
        return sign_ballot(wallet_of(name), self.view(ANYONE).domain, basis, vote)

    def submit_ballots(
        self,
        *ballots: SignedBallot,
        by: str = ANYONE,
        at: int | None = None,
        proposals: bytes | None = None,
    ) -> tuple[Event, ...]:
        basis = self.make_basis(at, proposals)
        return self.do(by, "vote_signed", basis.round, basis.proposals, list(ballots))

    def skip_event(self, name: str, reason: SkipReason) -> BallotSkipped:
        return BallotSkipped(self.id, self.current_index(), self.account(name), reason)

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

    def ballots(self, *names: str, index: int | None = None) -> list[tuple[BallotState, int]]:
        """Return the states and approvals of ballots in a round, the current one by default."""
        ballots = [self.ballot(name, index) for name in names]
        return [(ballot.state, ballot.approvals) for ballot in ballots]

    def duty(self, name: str) -> Duty:
        return self.view(ANYONE).duty(self.id, self.account(name))

    def duties(self, *names: str) -> list[Duty]:
        return [self.duty(name) for name in names]

    def agenda(self, name: str) -> Agenda:
        return self.view(ANYONE).agenda(self.id, self.account(name))

    def current_weights(self) -> list[ContentRef]:
        return self.view(ANYONE).current_weights(self.id)

    def proposers(self, index: int | None = None) -> list[str]:
        """Return the names in the slots of a round, the current one by default."""
        names = {self.account(name): name for name in self._views}
        return [names[slot.proposer] for slot in self.round(index).slots]

    def proposer(self) -> str:
        """Return the name of the only proposer of the current round."""
        (name,) = self.proposers()
        return name

    def approvals(self, index: int | None = None) -> list[int]:
        """Return the approvals of each slot of a round, the current one by default."""
        return [slot.approvals for slot in self.round(index).slots]

    # refusals

    @contextmanager
    def expect_refusal(self, expected: ProtocolError) -> Iterator[None]:
        """Expect a call to be refused with this error and these values, and to change nothing."""
        before = self.snapshot()
        with pytest.raises(type(expected)) as refusal:
            yield
        assert refusal.value.args == expected.args
        assert self.snapshot() == before
