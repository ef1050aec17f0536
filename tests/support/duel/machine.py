"""Make the same random calls on the reference and on a contract, and compare the results.

After every step, every answer that a ledger can give about the experiment is compared. So are
every refusal with its name and values, and every event.

Where time passes by itself, a call is made on the chain first, and then on the reference with the
time of its block. A refused call or a query is repeated if a deadline passed at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    Account,
    Admission,
    Duty,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Phase,
    Scores,
    SignedBallot,
    Status,
    Vote,
    commitment_hash,
)
from tests.support.duel.backends import Backend, outcome_of
from tests.support.duel.comparison import Comparison
from tests.support.duel.plans import (
    PEOPLE,
    Parts,
    accounts,
    content_of,
    contents,
    crowd_wallet,
    crowds,
    edge_params,
    hash_text,
    hostile_contents,
    likely_votes,
    odd_params,
    params,
    people,
    shorten_windows,
    spoil,
    spoilers,
    votes,
    words,
)
from tests.support.duel.rules import copies, rule_where

_SCORES = Scores(0.5, None)


class Duel(Comparison):
    """Rules of the duel: frequent sensible calls and occasional odd ones."""

    # ------------------------------------------------------------------ creation

    def begin(self, chosen: ExperimentParams, joiners: int, *, start: bool, crowd: int = 0) -> None:
        """Create an experiment, let a crowd join and leave, and let some people join it."""
        if self.contract.is_live:
            chosen = shorten_windows(chosen)
        kind, events = self.call_both(0, "create", chosen)
        assert kind == "ok"
        self.id = events[0].experiment
        if chosen.admission == Admission.ALLOWLIST:
            self.call_both(0, "admit", self.id, self.accounts[:5])
        if chosen.admission == Admission.OPEN and not self.contract.is_slow:
            for number in range(crowd):
                self.join_and_leave(crowd_wallet(number))
        for person in range(min(joiners, chosen.max_learners)):
            self.call_both(person, "join", self.id, hash_text(f"key {person}"))
        if start and self.experiment.status == Status.ENROLLING:
            self.call_both(0, "start", self.id)

    def join_and_leave(self, wallet: Wallet) -> None:
        """Let an account join and leave again, which uses up an index."""
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
        copies(
            4,
            another,
            rule_where(lambda self: self.is_over(), chosen=params, joiners=st.integers(2, 5)),
        )
    )

    def create_oddly(
        self,
        person: int,
        chosen: ExperimentParams,
        content: Parts | None,
        initial: bool,
    ) -> None:
        if content is None or (initial and content[0] == 0):  # empty initial weights are valid
            self.call_both(person, "create", chosen)
            return
        self.check_refusal(
            "create",
            lambda: self.contract.create_with(
                PEOPLE[person], self.experiment.params, content, initial=initial
            ),
            InvalidParameter("initial" if initial else "spec"),
        )

    # ------------------------------------------------------------------ sensible calls

    def act(self, pick: int, vote: Vote, text: int) -> None:
        """Let a person do its duty, or advance the experiment if nobody has one."""
        e = self.experiment
        if e.status == Status.ENROLLING:
            self.enrol(pick)
        elif busy := self.list_busy():
            person = busy[pick % len(busy)]
            getattr(self, f"do_{self.duty(person).name.lower()}")(person, vote, text)
        elif not self.is_over():
            self.call_both(pick % len(PEOPLE), "advance", self.id)

    def enrol(self, pick: int) -> None:
        e = self.experiment
        outside = [p for p in range(5) if self.duty(p) == Duty.WAIT and not self.has_joined(p)]
        if e.active_learners >= e.params.min_learners and (pick % 2 or not outside):
            self.call_both(0, "start", self.id)
        elif outside:
            self.call_both(outside[pick % len(outside)], "join", self.id, bytes(32))
        else:
            self.call_both(0, "cancel", self.id)

    def has_joined(self, person: int) -> bool:
        account = self.accounts[person]
        return outcome_of(lambda: self.reference.learner(self.id, account))[0] == "ok"

    def do_propose(self, person: int, vote: Vote, text: int) -> None:
        if text == 0:
            self.call_both(person, "decline", self.id, self.index())
            return
        content = content_of(f"weights {self.id}.{self.index()}", raw=text % 2 == 0)
        if text == 6:
            content = self.experiment.current or content
        self.call_both(person, "propose", self.id, self.index(), content, vote.scores)

    def do_vote(self, person: int, vote: Vote, text: int) -> None:
        if text % 3 == 0:
            ballot = sign_ballot(PEOPLE[person], self.reference.domain, self.id, self.index(), vote)
            self.call_both(text, "vote_signed", self.id, self.index(), [ballot])
            return
        self.call_both(person, "vote", self.id, self.index(), vote)

    def do_commit(self, person: int, vote: Vote, text: int) -> None:
        salt = hash_text(f"salt {text}")
        mine = (self.id, self.index(), self.accounts[person])
        kind, _ = self.call_both(person, "commit", *mine[:2], self.commitment(person, vote, salt))
        if kind == "ok":
            self.salts[mine] = vote, salt

    def do_reveal(self, person: int, vote: Vote, text: int) -> None:
        vote, salt = self.salts.get(
            (self.id, self.index(), self.accounts[person]), (vote, bytes(32))
        )
        self.call_both(person, "reveal", self.id, self.index(), vote, salt)

    def commitment(self, person: int, vote: Vote, salt: bytes) -> bytes:
        account = self.accounts[person]
        return commitment_hash(self.reference.domain, self.id, self.index(), account, vote, salt)

    def act_anyway(self, pick: int, vote: Vote, text: int) -> None:
        """Make the phase's call as any person, whether or not it is due or in time."""
        round_, person = self.round, pick % len(PEOPLE)
        if round_ is None:
            self.enrol(pick)
        elif round_.phase == Phase.CLOSED:
            self.call_both(person, "advance", self.id)
        elif round_.phase == Phase.PROPOSING:
            self.do_propose(person, vote, text)
        elif round_.phase == Phase.REVEALING:
            self.do_reveal(person, vote, text)
        elif self.experiment.params.reveal_window:
            self.do_commit(person, vote, text)
        else:
            self.do_vote(person, vote, text)

    acts: ClassVar = {"pick": st.integers(0, 20), "vote": likely_votes, "text": st.integers(0, 6)}
    locals().update(copies(8, act, rule(**acts)))
    locals().update(copies(3, act_anyway, rule(**acts)))

    # ------------------------------------------------------------------ time

    def go_to_the_deadline(self, shift: int, person: int, advance: bool) -> None:
        round_ = self.round
        if round_ is None or round_.deadline is None:
            return
        self.contract.set_time(round_.deadline + shift)
        self.compare(self.id)
        if advance:
            self.call_both(person, "advance", self.id)

    moments: ClassVar = {
        "shift": st.sampled_from([-1, 0, 0, 1, 50]),
        "person": people,
        "advance": st.booleans(),
    }
    locals().update(copies(2, go_to_the_deadline, rule(**moments)))

    @rule(seconds=st.sampled_from([1, 1, 3]))
    def let_time_pass(self, seconds: int) -> None:
        self.contract.set_time(self.contract.now() + seconds)
        self.compare(self.id)

    # ------------------------------------------------------------------ joining and leaving

    @rule(
        name=st.sampled_from(["join", "join", "leave", "remove", "admit"]),
        person=people,
        account=accounts,
        key=words,
    )
    def come_and_go(self, name: str, person: int, account: int, key: bytes) -> None:
        by = person if name != "admit" or person % 3 == 0 else 0
        target = self.accounts[account]
        rest = {"join": (key,), "leave": (), "remove": (target,), "admit": ([target, target],)}
        self.call_both(by, name, self.id, *rest[name])

    def list_removable(self) -> list[Account]:
        limit = self.experiment.params.max_strikes
        learners = [
            *self.reference.learners(self.id, 0, 100),
            *self.reference.learners(self.id, 100, 100),
        ]
        return [m.account for m in learners if m.active and limit and m.strikes >= limit]

    @rule_where(lambda self: self.list_removable(), by=people, pick=st.integers(0, 3))
    def remove_whoever_may_be(self, by: int, pick: int) -> None:
        removable = self.list_removable()
        self.call_both(by, "remove", self.id, removable[pick % len(removable)])

    def cancel(self, by: int, chance: int) -> None:
        self.call_both(by if chance else 0, "cancel", self.id)

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
        self.call_both(person, name, self.id, self.index() + at, *rest)

    def wild_experiment(self, name: str, person: int, experiment: int) -> None:
        rest = {"decline": (0,), "join": (bytes(32),)}.get(name, ())
        if (name, person) != ("cancel", 0) or experiment != self.id:
            self.call_both(person, name, ExperimentId(experiment), *rest)

    @rule_where(
        lambda self: self.list_busy() and self.duty(self.list_busy()[0]) == Duty.PROPOSE,
        content=hostile_contents,
        current=st.booleans(),
    )
    def propose_badly(self, content: Parts, current: bool) -> None:
        person = self.list_busy()[0]
        known = self.experiment.current
        if current and known is not None:
            self.call_both(person, "propose", self.id, self.index(), known, _SCORES)
            return
        self.check_refusal(
            "propose",
            lambda: self.contract.propose_with(PEOPLE[person], self.id, self.index(), content),
            InvalidParameter("content"),
        )

    @rule_where(
        lambda self: self.round is not None and self.round.phase == Phase.REVEALING,
        person=people,
        other=people,
        how=st.sampled_from(["vote", "salt", "account", "twice"]),
    )
    def reveal_badly(self, person: int, other: int, how: str) -> None:
        mine = (self.id, self.index(), self.accounts[person])
        vote, salt = self.salts.get(mine, (Vote(True), hash_text("none")))
        if how == "vote":
            vote = Vote(not vote.approve, vote.scores)
        elif how == "salt":
            salt = hash_text("a wrong salt")
        elif how == "account":
            vote, salt = self.salts.get((self.id, self.index(), self.accounts[other]), (vote, salt))
        self.call_both(person, "reveal", self.id, self.index(), vote, salt)

    def copy_a_commitment(self, person: int, other: int, vote: Vote) -> None:
        copied = self.commitment(other, vote, hash_text("salt 1"))
        mine = (self.id, self.index(), self.accounts[person])
        kind, _ = self.call_both(person, "commit", *mine[:2], copied)
        if kind == "ok":
            self.salts[mine] = vote, hash_text("salt 1")

    # ------------------------------------------------------------------ signed ballots

    @rule_where(
        lambda self: self.has_open_vote(),
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
            batch.append(ballot if how is None else spoil(ballot, how))
        for person, account, vote in forged:
            claimed = self.accounts[account]
            signed = sign_ballot(PEOPLE[person], self.reference.domain, self.id, index, vote)
            batch.append(SignedBallot(claimed, Vote(not vote.approve), signed.signature))
            batch.append(SignedBallot(claimed, vote, signed.signature))
        self.call_both(by, "vote_signed", self.id, index, batch)

    # ------------------------------------------------------------------ odd queries

    def ask(self, experiment: int, start: int, limit: int, at: int, account: int) -> None:
        index, learner = self.index() + at, self.accounts[account]
        self.compare_answer("experiments", start, limit)
        self.compare_answer("learners", experiment, start, limit)
        self.compare_answer("rounds", experiment, start, limit)
        self.compare_answer("ballots", experiment, index, start, limit)
        self.compare_answer("learner", experiment, learner)
        self.compare_answer("round", experiment, index)
        self.compare_answer("ballot", experiment, index, learner)
        self.record.steps += 1

    # One rule for all odd calls, so that they are rarer than sensible ones.
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
        drawn = {key: data.draw(some, key) for key, some in self.odd[name].items()}
        getattr(self, name)(**drawn)


def duel_on(where: str, backend: Callable[[], Backend]) -> type[Duel]:
    """Return the duel against a backend."""
    return type(f"Duel on {where}", (Duel,), {"where": where, "new_backend": staticmethod(backend)})
