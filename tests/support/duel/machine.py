"""The duel: the reference and the contract are told the same, and must say the same.

After every step each answer that a ledger can give about the experiment is compared, so is every
refusal with its name and values, and every event.

Where time passes by itself, a call is made on the chain first, and told to the reference with the
time of its block. What is refused or asked just when a deadline passes is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    Account,
    Admission,
    BallotSkipped,
    Duty,
    Event,
    Experiment,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Phase,
    Round,
    RoundClosed,
    Scores,
    SignedBallot,
    Status,
    Vote,
    commitment_hash,
)
from colearn_ledger.reference import LocalLedger
from tests.support.duel.backends import Backend, Done, outcome_of
from tests.support.duel.plans import (
    PEOPLE,
    Parts,
    accounts,
    accounts_on,
    content_of,
    contents,
    crowds,
    edge_params,
    hashed,
    hostile_contents,
    likely_votes,
    odd_params,
    params,
    passer_by,
    people,
    spoilers,
    spoilt,
    to_be_waited_for,
    votes,
    words,
)
from tests.support.duel.record import RECORDS, Record

_SCORES = Scores(0.5, None)
_ENDED = (Status.COMPLETED, Status.CANCELLED)


def _copies(
    count: int, function: Callable[..., None], made_rule: Callable[..., Any]
) -> dict[str, Any]:
    """Return a rule several times under different names, so that it happens that more often.

    Hypothesis picks among rules alike, and in each run leaves out some of them by their names.
    """
    return {
        name: made_rule(_named(name, function))
        for name in (f"{function.__name__}_{copy}" for copy in range(count))
    }


def _rule_where(holds: Callable[[Any], object], **drawn: Any) -> Callable[..., Any]:
    """Make a method a rule that does nothing unless something holds.

    Hypothesis is told so, and picks another rule, but on a live chain: its choices have to be the
    same when it makes them again, and there the state depends on how fast the machine is.
    """

    def decorated(function: Callable[..., None]) -> Any:
        def guarded(self: Any, **drawn: Any) -> None:
            if holds(self):
                function(self, **drawn)

        may_be_picked = precondition(lambda self: self.contract.is_live or holds(self))
        return may_be_picked(rule(**drawn)(_named(function.__name__, guarded)))

    return decorated


def _named(name: str, function: Callable[..., None]) -> Callable[..., None]:
    def same(self: Any, **drawn: Any) -> None:
        function(self, **drawn)

    same.__name__ = name
    return same


class Duel(RuleBasedStateMachine):
    """One ledger told to both; subclasses say where the contract runs."""

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
        """Make a call on both, and compare what came of it."""
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
        """Return what a call or a query came to, and leave the earliest time it had in `time`.

        One that may be told as of before or after a deadline, as it passes, is tried again: but
        for a call that took effect, which has the time of its block.
        """
        while True:
            self.time = self.contract.since()
            said, done = outcome_of(call)
            if isinstance(done, Done) or not self.passed(experiment, self.time):
                return said, done

    def passed(self, experiment: ExperimentId, since: int) -> bool:
        """Tell whether the deadline of the open phase may have passed after a time."""
        if not self.contract.is_live:
            return False
        said, told = outcome_of(lambda: self.reference.experiment(experiment))
        if said != "ok" or told.round is None:
            return False
        deadline = self.reference.round(experiment, told.round).deadline
        return deadline is not None and since < deadline <= self.contract.now()

    def refuses(self, name: str, call: Callable[[], Any], error: InvalidParameter) -> None:
        """Make a call that the ledger's own types rule out, on the contract alone."""
        said = outcome_of(call)
        assert said == (type(error).__name__, error.args), name
        self._note(f"{name} (hostile)", *said)
        self.compare(self.id)

    def compare(self, experiment: ExperimentId) -> None:
        """Compare every answer about an experiment; on a slow backend, some in turn."""
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
        said, told = outcome_of(lambda: self.reference.experiment(experiment))
        return said == "ok" and told.joined_learners > 100

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

    # ------------------------------------------------------------------ what is going on

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

    def busy(self) -> list[int]:
        """Return the people who have something else to do than to wait."""
        idle = (Duty.WAIT, Duty.DONE, Duty.ADVANCE)
        return [p for p in range(len(PEOPLE)) if self.duty(p) not in idle]

    # ------------------------------------------------------------------ beginnings

    def begin(self, chosen: ExperimentParams, joiners: int, *, start: bool, crowd: int = 0) -> None:
        """Create an experiment, let a crowd pass by, and let some people join it."""
        if self.contract.is_live:
            chosen = to_be_waited_for(chosen)
        said, events = self.both(0, "create", chosen)
        assert said == "ok"
        self.id = events[0].experiment
        if chosen.admission == Admission.ALLOWLIST:
            self.both(0, "admit", self.id, self.accounts[:5])
        if chosen.admission == Admission.OPEN and not self.contract.is_slow:
            for number in range(crowd):
                self.pass_by(passer_by(number))
        for person in range(min(joiners, chosen.max_learners)):
            self.both(person, "join", self.id, hashed(f"key {person}"))
        if start and self.experiment.status == Status.ENROLLING:
            self.both(0, "start", self.id)

    def pass_by(self, wallet: Wallet) -> None:
        """Join and leave again, which takes an index."""
        self.time = self.contract.now()
        for name, rest in (("join", (bytes(32),)), ("leave", ())):
            self.contract.transact(wallet, name, (self.id, *rest))
            getattr(self.reference.acting_for(wallet), name)(self.id, *rest)

    @initialize(chosen=params, joiners=st.integers(0, 5), start=st.booleans(), crowd=crowds)
    def first(self, chosen: ExperimentParams, joiners: int, start: bool, crowd: int) -> None:
        self.begin(chosen, joiners, start=start, crowd=crowd)

    def another(self, chosen: ExperimentParams, joiners: int) -> None:
        self.begin(chosen, joiners, start=True)

    locals().update(
        _copies(
            4,
            another,
            _rule_where(lambda self: self.is_over(), chosen=params, joiners=st.integers(2, 5)),
        )
    )

    def create_oddly(
        self,
        person: int,
        chosen: ExperimentParams,
        content: Parts | None,
        initial: bool,
    ) -> None:
        if content is None or (initial and content[0] == 0):  # an empty one is good there
            self.both(person, "create", chosen)
            return
        self.refuses(
            "create",
            lambda: self.contract.create_with(
                PEOPLE[person], self.experiment.params, content, initial=initial
            ),
            InvalidParameter("initial" if initial else "spec"),
        )

    # ------------------------------------------------------------------ what is sensible

    def act(self, pick: int, vote: Vote, text: int) -> None:
        """Let somebody do what is due, or help the experiment on."""
        e = self.experiment
        if e.status == Status.ENROLLING:
            self.enrol(pick)
        elif busy := self.busy():
            person = busy[pick % len(busy)]
            getattr(self, f"do_{self.duty(person).name.lower()}")(person, vote, text)
        elif not self.is_over():
            self.both(pick % len(PEOPLE), "advance", self.id)

    def enrol(self, pick: int) -> None:
        e = self.experiment
        outside = [p for p in range(5) if self.duty(p) == Duty.WAIT and not self.has_joined(p)]
        if e.active_learners >= e.params.min_learners and (pick % 2 or not outside):
            self.both(0, "start", self.id)
        elif outside:
            self.both(outside[pick % len(outside)], "join", self.id, bytes(32))
        else:
            self.both(0, "cancel", self.id)

    def has_joined(self, person: int) -> bool:
        account = self.accounts[person]
        return outcome_of(lambda: self.reference.learner(self.id, account))[0] == "ok"

    def do_propose(self, person: int, vote: Vote, text: int) -> None:
        if text == 0:
            self.both(person, "decline", self.id, self.index())
            return
        content = content_of(f"weights {self.id}.{self.index()}", raw=text % 2 == 0)
        if text == 6:
            content = self.experiment.current or content
        self.both(person, "propose", self.id, self.index(), content, vote.scores)

    def do_vote(self, person: int, vote: Vote, text: int) -> None:
        if text % 3 == 0:
            ballot = sign_ballot(PEOPLE[person], self.reference.domain, self.id, self.index(), vote)
            self.both(text, "vote_signed", self.id, self.index(), [ballot])
            return
        self.both(person, "vote", self.id, self.index(), vote)

    def do_commit(self, person: int, vote: Vote, text: int) -> None:
        salt = hashed(f"salt {text}")
        mine = (self.id, self.index(), self.accounts[person])
        said, _ = self.both(person, "commit", *mine[:2], self.commitment(person, vote, salt))
        if said == "ok":
            self.salts[mine] = vote, salt

    def do_reveal(self, person: int, vote: Vote, text: int) -> None:
        vote, salt = self.salts.get(
            (self.id, self.index(), self.accounts[person]), (vote, bytes(32))
        )
        self.both(person, "reveal", self.id, self.index(), vote, salt)

    def commitment(self, person: int, vote: Vote, salt: bytes) -> bytes:
        account = self.accounts[person]
        return commitment_hash(self.reference.domain, self.id, self.index(), account, vote, salt)

    def act_anyway(self, pick: int, vote: Vote, text: int) -> None:
        """Let anybody do what the phase is for, whether it is theirs to do, in time, or not."""
        held, person = self.round, pick % len(PEOPLE)
        if held is None:
            self.enrol(pick)
        elif held.phase == Phase.CLOSED:
            self.both(person, "advance", self.id)
        elif held.phase == Phase.PROPOSING:
            self.do_propose(person, vote, text)
        elif held.phase == Phase.REVEALING:
            self.do_reveal(person, vote, text)
        elif self.experiment.params.reveal_window:
            self.do_commit(person, vote, text)
        else:
            self.do_vote(person, vote, text)

    acts: ClassVar = {"pick": st.integers(0, 20), "vote": likely_votes, "text": st.integers(0, 6)}
    locals().update(_copies(8, act, rule(**acts)))
    locals().update(_copies(3, act_anyway, rule(**acts)))

    # ------------------------------------------------------------------ time

    def go_to_the_deadline(self, shift: int, person: int, advance: bool) -> None:
        held = self.round
        if held is None or held.deadline is None:
            return
        self.contract.set_time(held.deadline + shift)
        self.compare(self.id)
        if advance:
            self.both(person, "advance", self.id)

    moments: ClassVar = {
        "shift": st.sampled_from([-1, 0, 0, 1, 50]),
        "person": people,
        "advance": st.booleans(),
    }
    locals().update(_copies(2, go_to_the_deadline, rule(**moments)))

    @rule(seconds=st.sampled_from([1, 1, 3]))
    def let_time_pass(self, seconds: int) -> None:
        self.contract.set_time(self.contract.now() + seconds)
        self.compare(self.id)

    # ------------------------------------------------------------------ coming and going

    @rule(
        name=st.sampled_from(["join", "join", "leave", "remove", "admit"]),
        person=people,
        account=accounts,
        key=words,
    )
    def come_and_go(self, name: str, person: int, account: int, key: bytes) -> None:
        by = person if name != "admit" or person % 3 == 0 else 0
        who = self.accounts[account]
        rest = {"join": (key,), "leave": (), "remove": (who,), "admit": ([who, who],)}
        self.both(by, name, self.id, *rest[name])

    def removable(self) -> list[Account]:
        limit = self.experiment.params.max_strikes
        learners = [
            *self.reference.learners(self.id, 0, 100),
            *self.reference.learners(self.id, 100, 100),
        ]
        return [m.account for m in learners if m.active and limit and m.strikes >= limit]

    @_rule_where(lambda self: self.removable(), by=people, pick=st.integers(0, 3))
    def remove_whoever_may_be(self, by: int, pick: int) -> None:
        removable = self.removable()
        self.both(by, "remove", self.id, removable[pick % len(removable)])

    def cancel(self, by: int, chance: int) -> None:
        self.both(by if chance else 0, "cancel", self.id)

    # ------------------------------------------------------------------ wild calls

    def wild_ballot(
        self, name: str, person: int, at: int, vote: Vote, word: bytes, content: Any
    ) -> None:
        rest = {
            "decline": (),
            "vote": (vote,),
            "commit": (word,),
            "reveal": (vote, word),
            "propose": (content, vote.scores),
        }[name]
        self.both(person, name, self.id, self.index() + at, *rest)

    def wild_experiment(self, name: str, person: int, experiment: int) -> None:
        rest = {"decline": (0,), "join": (bytes(32),)}.get(name, ())
        if (name, person) != ("cancel", 0) or experiment != self.id:
            self.both(person, name, ExperimentId(experiment), *rest)

    @_rule_where(
        lambda self: self.busy() and self.duty(self.busy()[0]) == Duty.PROPOSE,
        content=hostile_contents,
        current=st.booleans(),
    )
    def propose_badly(self, content: Parts, current: bool) -> None:
        person = self.busy()[0]
        known = self.experiment.current
        if current and known is not None:
            self.both(person, "propose", self.id, self.index(), known, _SCORES)
            return
        self.refuses(
            "propose",
            lambda: self.contract.propose_with(PEOPLE[person], self.id, self.index(), content),
            InvalidParameter("content"),
        )

    @_rule_where(
        lambda self: self.round is not None and self.round.phase == Phase.REVEALING,
        person=people,
        other=people,
        how=st.sampled_from(["vote", "salt", "account", "twice"]),
    )
    def reveal_badly(self, person: int, other: int, how: str) -> None:
        mine = (self.id, self.index(), self.accounts[person])
        vote, salt = self.salts.get(mine, (Vote(True), hashed("none")))
        if how == "vote":
            vote = Vote(not vote.approve, vote.scores)
        elif how == "salt":
            salt = hashed("a wrong salt")
        elif how == "account":
            vote, salt = self.salts.get((self.id, self.index(), self.accounts[other]), (vote, salt))
        self.both(person, "reveal", self.id, self.index(), vote, salt)

    def copy_a_commitment(self, person: int, other: int, vote: Vote) -> None:
        copied = self.commitment(other, vote, hashed("salt 1"))
        mine = (self.id, self.index(), self.accounts[person])
        said, _ = self.both(person, "commit", *mine[:2], copied)
        if said == "ok":
            self.salts[mine] = vote, hashed("salt 1")

    # ------------------------------------------------------------------ signed ballots

    @_rule_where(
        lambda self: self.is_voted_on_openly(),
        by=people,
        at=st.sampled_from([0, 0, 0, 0, 0, 0, 1]),
        signers=st.lists(st.tuples(people, votes, spoilers), max_size=5),
        forged=st.lists(st.tuples(people, accounts, votes), max_size=1),
    )
    def carry(
        self,
        by: int,
        at: int,
        signers: Sequence[tuple[int, Vote, str | None]],
        forged: Sequence[tuple[int, int, Vote]],
    ) -> None:
        index = self.index() + at
        batch = []
        for person, vote, how in signers:
            ballot = sign_ballot(PEOPLE[person], self.reference.domain, self.id, index, vote)
            batch.append(ballot if how is None else spoilt(ballot, how))
        for person, account, vote in forged:
            claimed = self.accounts[account]
            signed = sign_ballot(PEOPLE[person], self.reference.domain, self.id, index, vote)
            batch.append(SignedBallot(claimed, Vote(not vote.approve), signed.signature))
            batch.append(SignedBallot(claimed, vote, signed.signature))
        self.both(by, "vote_signed", self.id, index, batch)

    def is_voted_on_openly(self) -> bool:
        held = self.round
        secret = self.experiment.params.reveal_window
        return held is not None and held.phase == Phase.VOTING and not secret

    # ------------------------------------------------------------------ odd questions

    def ask(self, experiment: int, start: int, limit: int, at: int, account: int) -> None:
        index, who = self.index() + at, self.accounts[account]
        self.same("experiments", start, limit)
        self.same("learners", experiment, start, limit)
        self.same("rounds", experiment, start, limit)
        self.same("ballots", experiment, index, start, limit)
        self.same("learner", experiment, who)
        self.same("round", experiment, index)
        self.same("ballot", experiment, index, who)
        self.record.steps += 1

    # one rule for all that is odd, so that it happens less often than what is sensible
    odd: ClassVar[dict[str, dict[str, st.SearchStrategy[Any]]]] = {
        "create_oddly": {
            "person": people,
            "chosen": st.one_of(odd_params, odd_params, edge_params),
            "content": st.none() | hostile_contents,
            "initial": st.booleans(),
        },
        "copy_a_commitment": {"person": people, "other": people, "vote": votes},
        "cancel": {"by": people, "chance": st.integers(0, 9)},
        "wild_ballot": {
            "name": st.sampled_from(["decline", "vote", "commit", "reveal", "propose"]),
            "person": people,
            "at": st.sampled_from([0, 0, 0, 1, -1, 2**31, 2**32 - 1, 2**32, -(2**40)]),
            "vote": votes,
            "word": words,
            "content": contents,
        },
        "wild_experiment": {
            "name": st.sampled_from(["start", "advance", "leave", "cancel", "decline", "join"]),
            "person": people,
            "experiment": st.sampled_from([0, 1, 2, 99, 2**64 - 1, 2**64, -1]),
        },
        "ask": {
            "experiment": st.sampled_from([1, 1, 2, 0, 99, 2**64, -1]),
            "start": st.sampled_from([0, 1, 2, 100, 2**64, 2**300, -1]),
            "limit": st.sampled_from([0, 1, 2, 100, 101, 2**64, -1]),
            "at": st.sampled_from([0, 1, -1, 2**32 - 1, 2**32]),
            "account": accounts,
        },
    }

    @rule(name=st.sampled_from(sorted(odd)), data=st.data())
    def do_something_odd(self, name: str, data: st.DataObject) -> None:
        drawn = {what: data.draw(some, what) for what, some in self.odd[name].items()}
        getattr(self, name)(**drawn)

    # ------------------------------------------------------------------ the end

    def teardown(self) -> None:
        self.compare_events()
        self.record.ended = time.monotonic()

    def compare_events(self) -> None:
        """Compare the recorded events of every experiment, in order and with their times."""
        for told in self.reference.experiments():
            held = [(r.time, r.event) for r in self.reference.events(told.id)]
            assert self.contract.events(told.id) in (None, held)


def duel_on(where: str, backend: Callable[[], Backend]) -> type[Duel]:
    """Return the duel against a backend."""
    return type(f"Duel on {where}", (Duel,), {"where": where, "new_backend": staticmethod(backend)})
