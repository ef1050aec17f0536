"""Compare every answer, refusal and event of the reference and of a contract."""

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
from tests.support.duel.backends import AcceptedCall, Backend, outcome_of
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

    # ------------------------------------------------------------------ comparison

    def call_both(self, person: int, name: str, *arguments: Any) -> tuple[str, Any]:
        """Make a call on both, compare the outcomes, and return the contract's outcome."""
        wallet = PEOPLE[person]
        target = arguments[0] if name != "create" and type(arguments[0]) is int else self.id
        kind, result = self.settle_outcome(
            target, lambda: self.contract.transact(wallet, name, arguments)
        )
        if kind == "ok":
            latest = self.contract.now() if self.contract.is_live else self.time
            assert self.time <= result.time <= latest, f"{name}: the block has another time"
            self.time, self.entropy = result.time, result.entropy
            result = result.events
        expected = outcome_of(
            lambda: getattr(self.reference.acting_for(wallet), name)(*arguments).wait().events
        )
        assert (kind, result) == expected, f"{name}{arguments} by {person} at {self.time}"
        self._note(name, kind, result)
        self.compare(target)
        return kind, result

    def settle_outcome(self, experiment: ExperimentId, call: Callable[[], Any]) -> tuple[str, Any]:
        """Return the outcome of a call or query, and set `time` to its earliest possible time.

        If a deadline passes meanwhile, the outcome may be the one before or after it, so the call
        is repeated. A call that took effect is not repeated: it has the time of its block.
        """
        while True:
            self.time = self.contract.earliest_time()
            kind, result = outcome_of(call)
            if isinstance(result, AcceptedCall) or not self.may_have_lapsed(experiment, self.time):
                return kind, result

    def may_have_lapsed(self, experiment: ExperimentId, since: int) -> bool:
        """Return whether the deadline of the open phase may have passed after ``since``."""
        if not self.contract.is_live:
            return False
        kind, known = outcome_of(lambda: self.reference.experiment(experiment))
        if kind != "ok" or known.round is None:
            return False
        deadline = self.reference.round(experiment, known.round).deadline
        return deadline is not None and since < deadline <= self.contract.now()

    def check_refusal(self, name: str, call: Callable[[], Any], error: InvalidParameter) -> None:
        """Make a call that the ledger's types prevent, on the contract alone; check the error."""
        outcome = outcome_of(call)
        assert outcome == (type(error).__name__, error.args), name
        self._note(f"{name} (hostile)", *outcome)
        self.compare(self.id)

    def compare(self, experiment: ExperimentId) -> None:
        """Compare every answer about an experiment; on a slow backend, only some in each step."""
        self.time = self.contract.earliest_time()
        step = self.record.steps
        self.compare_answer("experiment", experiment)
        kind, rounds = self.compare_answer("rounds", experiment, 0, 100)
        pages = (0, 100) if self.has_crowd(experiment) else (0,)
        if not self.contract.is_slow or step % 3 == 0:
            for page in pages:
                self.compare_answer("learners", experiment, page, 100)
            self.compare_answer("current_weights", experiment)
        for round_ in (rounds if kind == "ok" else [])[-1 if self.contract.is_slow else 0 :]:
            for page in pages:
                self.compare_answer("ballots", experiment, round_.index, page, 100)
        every = len(self.accounts)
        for turn in range(2 if self.contract.is_slow else every):
            self.compare_answer("duty", experiment, self.accounts[(2 * step + turn) % every])
        self.compare_answer("agenda", experiment, self.accounts[step % every])
        self.record.steps += 1

    def has_crowd(self, experiment: ExperimentId) -> bool:
        kind, known = outcome_of(lambda: self.reference.experiment(experiment))
        return kind == "ok" and known.joined_learners > 100

    def compare_answer(self, name: str, *arguments: Any) -> tuple[str, Any]:
        """Compare one answer and return it."""
        ask = partial(self.contract.ask, name, arguments)
        depends_on_time = name in ("duty", "agenda")
        outcome = self.settle_outcome(arguments[0], ask) if depends_on_time else outcome_of(ask)
        expected = outcome_of(lambda: getattr(self.reference, name)(*arguments))
        assert outcome == expected, f"{name}{arguments} at {self.time}"
        self.record.comparisons += 1
        return outcome

    def _note(self, name: str, kind: str, value: Any) -> None:
        self.record.calls[f"{name} {'accepted' if kind == 'ok' else 'refused'}"] += 1
        if kind != "ok":
            self.record.errors[kind] += 1
            return
        for event in value:
            self._note_event(event)

    def _note_event(self, event: Event) -> None:
        self.record.events[type(event).__name__] += 1
        if isinstance(event, BallotSkipped):
            self.record.skipped[event.reason.name] += 1
        if isinstance(event, RoundClosed):
            round_ = self.reference.round(event.experiment, event.round)
            params = self.reference.experiment(event.experiment).params
            ballots = "secret" if params.reveal_window else "open"
            how = " by deadline" if round_.by_deadline else ""
            self.record.rounds[f"{event.outcome.name} {ballots}{how}"] += 1
            kind = f"{len(round_.contents)} {params.merge.name} {event.outcome.name}"
            self.record.proposals[kind] += 1

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

    def has_open_vote(self) -> bool:
        round_ = self.round
        secret = self.experiment.params.reveal_window
        return round_ is not None and round_.phase == Phase.VOTING and not secret

    def list_busy(self) -> list[int]:
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
