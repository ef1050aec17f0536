"""Comparison of the reference with a contract: every answer, refusal and event."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine

from colearn_ledger.protocol import (
    Account,
    BallotSkipped,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    InvalidParameter,
    Phase,
    Round,
    RoundClosed,
    Status,
    Vote,
)
from colearn_ledger.reference import LocalLedger
from tests.support.duel.backends import Backend, Done, outcome_of
from tests.support.duel.plans import (
    PEOPLE,
    accounts_on,
)
from tests.support.duel.record import RECORDS, Record

_ENDED = (Status.COMPLETED, Status.CANCELLED)


class Comparison(RuleBasedStateMachine):
    """Make each call on the reference and on a contract, and compare the results.

    Subclasses add the rules, and set the backend on which the contract runs.
    """

    where: ClassVar[str]

    @staticmethod
    def new_backend() -> Backend:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.record = RECORDS.setdefault(self.where, Record(self.where))
        self.record.duels += 1
        self.contract = self.new_backend()
        self.time = self.contract.now()
        self.entropy = bytes(32)
        domain = self.contract.domain
        self.reference = LocalLedger.new(
            PEOPLE[0], clock=lambda: self.time, entropy=lambda: self.entropy, domain=domain
        )
        self.accounts = accounts_on(domain)
        self.id = ExperimentId(1)
        self.salts: dict[tuple[int, int, Account], tuple[Vote, bytes]] = {}

    # ------------------------------------------------------------------ both at once

    def both(self, person: int, name: str, *arguments: Any) -> tuple[str, Any]:
        """Make a call on both, compare the outcomes, and return the contract's outcome."""
        wallet = PEOPLE[person]
        target = arguments[0] if name != "create" and type(arguments[0]) is int else self.id
        said, done = self.settled(target, lambda: self.contract.transact(wallet, name, arguments))
        if said == "ok":
            latest = self.contract.now() if self.contract.is_live else self.time
            assert self.time <= done.time <= latest, f"{name}: the block has another time"
            self.time, self.entropy = done.time, done.entropy
            done = done.events
        expected, held = outcome_of(
            lambda: getattr(self.reference.acting_for(wallet), name)(*arguments).wait().events
        )
        assert (said, done) == (expected, held), f"{name}{arguments} by {person} at {self.time}"
        self._note(name, said, done)
        self.compare(target)
        return said, done

    def settled(self, experiment: ExperimentId, call: Callable[[], Any]) -> tuple[str, Any]:
        """Return the outcome of a call or query, and set `time` to its earliest possible time.

        If a deadline passes meanwhile, the outcome may be the one before or after it, so the call
        is repeated. A call that took effect is not repeated: it has the time of its block.
        """
        while True:
            self.time = self.contract.since()
            said, done = outcome_of(call)
            if isinstance(done, Done) or not self.passed(experiment, self.time):
                return said, done

    def passed(self, experiment: ExperimentId, since: int) -> bool:
        """Return whether the deadline of the open phase may have passed after ``since``."""
        if not self.contract.is_live:
            return False
        said, known = outcome_of(lambda: self.reference.experiment(experiment))
        if said != "ok" or known.round is None:
            return False
        deadline = self.reference.round(experiment, known.round).deadline
        return deadline is not None and since < deadline <= self.contract.now()

    def refuses(self, name: str, call: Callable[[], Any], error: InvalidParameter) -> None:
        """Make a call that the ledger's own types rule out, on the contract alone."""
        said = outcome_of(call)
        assert said == (type(error).__name__, error.args), name
        self._note(f"{name} (hostile)", *said)
        self.compare(self.id)

    def compare(self, experiment: ExperimentId) -> None:
        """Compare every answer about an experiment; on a slow backend, only some in each step."""
        self.time = self.contract.since()
        step = self.record.steps
        self.same("experiment", experiment)
        said, rounds = self.same("rounds", experiment, 0, 100)
        pages = (0, 100) if self.passed_by(experiment) else (0,)
        if not self.contract.is_slow or step % 3 == 0:
            for page in pages:
                self.same("learners", experiment, page, 100)
            self.same("current_weights", experiment)
        for held in (rounds if said == "ok" else [])[-1 if self.contract.is_slow else 0 :]:
            for page in pages:
                self.same("ballots", experiment, held.index, page, 100)
        every = len(self.accounts)
        for turn in range(2 if self.contract.is_slow else every):
            self.same("duty", experiment, self.accounts[(2 * step + turn) % every])
        self.record.steps += 1

    def passed_by(self, experiment: ExperimentId) -> bool:
        said, known = outcome_of(lambda: self.reference.experiment(experiment))
        return said == "ok" and known.joined_learners > 100

    def same(self, name: str, *arguments: Any) -> tuple[str, Any]:
        """Compare one answer, and return it."""
        ask = partial(self.contract.ask, name, arguments)
        depends_on_time = name == "duty"
        said = self.settled(arguments[0], ask) if depends_on_time else outcome_of(ask)
        expected = outcome_of(lambda: getattr(self.reference, name)(*arguments))
        assert said == expected, f"{name}{arguments} at {self.time}"
        self.record.comparisons += 1
        return said

    def _note(self, name: str, said: str, value: Any) -> None:
        self.record.calls[f"{name} {'done' if said == 'ok' else 'refused'}"] += 1
        if said != "ok":
            self.record.errors[said] += 1
            return
        for event in value:
            self._note_event(event)

    def _note_event(self, event: Event) -> None:
        self.record.events[type(event).__name__] += 1
        if isinstance(event, BallotSkipped):
            self.record.skipped[event.reason.name] += 1
        if isinstance(event, RoundClosed):
            held = self.reference.round(event.experiment, event.round)
            params = self.reference.experiment(event.experiment).params
            kind = "secret" if params.reveal_window else "open"
            how = " by deadline" if held.by_deadline else ""
            self.record.rounds[f"{event.outcome.name} {kind}{how}"] += 1

    # ------------------------------------------------------------------ current state

    @property
    def experiment(self) -> Experiment:
        return self.reference.experiment(self.id)

    @property
    def round(self) -> Round | None:
        index = self.experiment.round
        return None if index is None else self.reference.round(self.id, index)

    def index(self) -> int:
        """Return the current round's index, 0 before the start."""
        return self.experiment.round or 0

    def duty(self, person: int) -> Duty:
        return self.reference.duty(self.id, self.accounts[person])

    def is_over(self) -> bool:
        return self.experiment.status in _ENDED

    def is_voted_on_openly(self) -> bool:
        round_ = self.round
        secret = self.experiment.params.reveal_window
        return round_ is not None and round_.phase == Phase.VOTING and not secret

    def busy(self) -> list[int]:
        """Return the people whose duty is an action other than waiting or `advance`."""
        idle = (Duty.WAIT, Duty.DONE, Duty.ADVANCE)
        return [p for p in range(len(PEOPLE)) if self.duty(p) not in idle]

    # ------------------------------------------------------------------ end of the duel

    def teardown(self) -> None:
        self.compare_events()
        self.record.ended = time.monotonic()

    def compare_events(self) -> None:
        """Compare the recorded events of every experiment, in order and with their times."""
        for experiment in self.reference.experiments():
            recorded = [(r.time, r.event) for r in self.reference.events(experiment.id)]
            assert self.contract.events(experiment.id) in (None, recorded)
