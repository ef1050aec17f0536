"""Play a random life on the model and on the reference, and compare everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from colearn_ledger import arguments as argument_checks
from colearn_ledger import protocol
from colearn_ledger.keys.signing import signing_domain
from colearn_ledger.protocol import Account, ProtocolError, Status, values
from colearn_ledger.reference import LocalLedger, state
from tests.model import answers
from tests.model.facts import Block, Facts, phase_of
from tests.model.hashes import compute_separator
from tests.model.lives import Life, choose, create, create_badly, pass_time
from tests.model.model import call, new_world
from tests.model.samples import PEOPLE, WALLETS, Action
from tests.model.values import Refused

STEPS = 60
"""Number of calls in a life, unless its experiments end early."""

CHAIN, CONTRACT = 31_337, PEOPLE[0]
DOMAIN = signing_domain(CHAIN, Account(CONTRACT))


class Match:
    """The reference and the model, side by side."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.calls = 0
        self.events: list[protocol.Event] = []
        self.entropy = bytes(32)
        ledger = LocalLedger.new(
            WALLETS[0],
            clock=lambda: self.life.now,
            entropy=lambda: self.entropy,
            domain=DOMAIN,
        )
        self.ledgers = [ledger.acting_for(wallet) for wallet in WALLETS]
        separator = compute_separator(CHAIN, CONTRACT)
        assert ledger.domain.separator == separator
        self.life = Life(Random(seed), new_world(separator), now=1_700_000_000)
        self.life.temper = self.life.random.choice((0.1, 0.5, 0.8, 0.95))
        self.life.is_lazy = self.life.random.random() < 0.15

    def make_call(self, action: Action) -> tuple[str, Any]:
        """Make a call on both, compare the outcomes and the state, and return the outcome."""
        person, name, arguments = action
        self.calls += 1
        self.entropy = sha256(f"{self.seed} {self.calls}".encode()).digest()
        block = Block(PEOPLE[person], self.life.now, self.entropy)
        try:
            ours: tuple[str, Any] = (
                "ok",
                [
                    getattr(protocol, event)(*fields)
                    for event, *fields in call(self.life.world, block, name, *arguments)
                ],
            )
        except Refused as refusal:
            ours = refusal.args
        try:
            sent = getattr(self.ledgers[person], name)(*arguments).wait()
            theirs: tuple[str, Any] = ("ok", list(sent.events))
        except ProtocolError as error:
            theirs = (type(error).__name__, error.args)
        assert ours == theirs, f"life {self.seed}, call {self.calls}: {action}"
        self.events += ours[1] if ours[0] == "ok" else []
        return ours

    def compare(self, e: Facts) -> None:
        """Compare the answers to all queries about an experiment."""
        world, ledger, now = self.life.world, self.ledgers[0], self.life.now
        where = f"life {self.seed}, after call {self.calls}"
        id_ = e["id"]
        first = max(len(e["rounds"]) - 2, 0)
        assert answers.experiment(world, id_) == ledger.experiment(id_), where
        assert answers.learners(world, id_, 0, 100) == list(ledger.learners(id_)), where
        assert answers.rounds(world, id_, first, 100) == list(ledger.rounds(id_, first)), where
        assert answers.current_weights(world, id_) == list(ledger.current_weights(id_)), where
        for index in range(len(e["rounds"]))[-2 if self.calls % 3 == 0 else -1 :]:
            ours = answers.ballots(world, id_, index, 0, 100)
            assert ours == list(ledger.ballots(id_, index)), where
        for account in PEOPLE[self.calls % 3 :: 3]:
            duty = answers.duty(world, id_, account, now)
            assert duty == ledger.duty(id_, account), f"{where}: {account}"
        account = PEOPLE[self.calls % len(PEOPLE)]
        assert answers.agenda(world, id_, account, now) == ledger.agenda(id_, account), where

    def compare_oddities(self, e: Facts) -> None:
        """Compare single rows, pages, and queries that are refused."""
        random = self.life.random
        recorded = [each.event for each in self.ledgers[0].events(e["id"])]
        assert recorded == [event for event in self.events if event.experiment == e["id"]]
        id_ = random.choice((e["id"], e["id"], e["id"], 0, 3))
        index = random.choice((0, 0, 1, len(e["rounds"]), 2**32 - 1))
        start, limit = random.choice((0, 1, 9, 200)), random.choice((0, 1, 2, 101))
        account = random.choice(PEOPLE)
        for name, query, arguments in (
            ("experiments", answers.experiments, (start, limit)),
            ("experiment", answers.experiment, (id_,)),
            ("learner", answers.learner, (id_, account)),
            ("learners", answers.learners, (id_, start, limit)),
            ("round", answers.round_, (id_, index)),
            ("rounds", answers.rounds, (id_, start, limit)),
            ("rounds", answers.rounds, (id_, 0, 100)),
            ("ballot", answers.ballot, (id_, index, account)),
            ("ballots", answers.ballots, (id_, index, start, limit)),
            ("current_weights", answers.current_weights, (id_,)),
            ("duty", partial(answers.duty, now=self.life.now), (id_, account)),
            ("agenda", partial(answers.agenda, now=self.life.now), (id_, account)),
        ):
            self._compare_outcomes(name, query, arguments)

    def _compare_outcomes(
        self, name: str, query: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        try:
            ours: Any = query(self.life.world, *arguments)
        except Refused as refusal:
            ours = refusal.args
        try:
            theirs: Any = getattr(self.ledgers[0], name)(*arguments)
        except ProtocolError as error:
            theirs = (type(error).__name__, error.args)
        assert ours == (list(theirs) if isinstance(ours, list) else theirs), (
            f"life {self.seed}, after call {self.calls}: {name}{arguments}"
        )


@contextmanager
def remember_results() -> Iterator[None]:
    """Compute checksums of addresses, CIDs and experiments' hashes once; they take most time."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (argument_checks, "check_evm_address"),
            (values, "decode_cid"),
            (state, "experiment_hash"),
        ):
            patch.setattr(module, name, cache(getattr(module, name)))
        yield


def play(seed: int, steps: int = STEPS, seen: Counter[tuple[Any, ...]] | None = None) -> int:
    """Play one life, and return its number of calls.

    Args:
        seed: the life; the same seed always plays the same life.
        steps: the most calls.
        seen: counts what happened: errors, events, outcomes and so on.
    """
    match = Match(seed)
    life, experiments = match.life, match.life.world["experiments"]
    wanted = life.random.choice((1, 1, 1, 1, 2))
    done = 0
    for action in (create_badly(life), create_badly(life)):
        _, refusal = match.make_call(action)
        if seen is not None:
            seen["create", "InvalidParameter", *refusal] += 1
    while match.calls < steps and done < 4:
        if len(experiments) < wanted and (not experiments or life.random.random() < 0.1):
            action = create(life)
        else:
            e = life.random.choice(experiments)
            pass_time(life, e)
            action = choose(life, e)
        kind, result = match.make_call(action)
        for e in experiments:
            match.compare(e)
        if experiments and life.random.random() < 0.05:
            match.compare_oddities(experiments[0])
        if seen is not None:
            seen.update(describe(life, action, kind, result))
        if len(experiments) == wanted:
            done += all(e["status"] > Status.RUNNING for e in experiments)
    for e in experiments:
        match.compare_oddities(e)
    return match.calls


def describe(life: Life, action: Action, kind: str, result: Any) -> Iterator[tuple[Any, ...]]:
    """Yield what a call has shown of the protocol."""
    _, name, _ = action
    if kind != "ok":
        parameter = result[:1] if kind == "InvalidParameter" else ()
        yield (name, kind, *parameter)
        return
    yield name, kind
    for event in result:
        yield "event", type(event).__name__
        if isinstance(event, protocol.RoundClosed):
            yield "outcome", event.outcome.name
            yield "accepted", min(event.accepted.bit_count(), 2)
        if isinstance(event, protocol.BallotSkipped):
            yield "skipped", event.reason.name
    for e in life.world["experiments"]:
        yield "status", e["status"].name
        for r in e["rounds"][-1:]:
            yield "phase", phase_of(r).name
            for slot in r["slots"]:
                yield "slot", slot["state"].name
        for account in PEOPLE:
            yield "duty", answers.duty(life.world, e["id"], account, life.now).name
