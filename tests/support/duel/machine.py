"""Make the same random calls on the reference and on a contract, and compare the results.

After every step, every answer that a ledger can give about the experiment is compared. So are
every refusal with its name and values, and every event.

Where time passes by itself, a call is made on the chain first, and then on the reference with the
time of its block. A refused call or a query is repeated if a deadline passed at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from colearn_ledger.protocol import (
    Account,
    Duty,
    ExperimentId,
    ExperimentParams,
    InvalidParameter,
    Merge,
    Phase,
    Scores,
    SignedBallot,
    Status,
)
from tests.support.duel.acting import Acting
from tests.support.duel.backends import Backend
from tests.support.duel.plans import (
    PEOPLE,
    Draft,
    Parts,
    accounts,
    contents,
    crowds,
    drafts,
    edge_params,
    hash_text,
    hostile_contents,
    likely_drafts,
    odd_params,
    params,
    people,
    spoil,
    spoilers,
    topics,
    words,
)
from tests.support.duel.rules import copies, rule_where

_SCORES = Scores(0.5, None)


class Duel(Acting):
    """Rules of the duel: frequent sensible calls and occasional odd ones."""

    # ------------------------------------------------------------------ creation

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
        if content is None:
            self.call_both(person, "create", chosen)
        elif initial and content[0] == 0:  # no initial weights, which only a mean needs
            chosen = replace(chosen, initial=None, merge=Merge.MEAN)
            self.call_both(person, "create", chosen)
        else:
            known = self.experiment.params
            self.check_refusal(
                "create",
                lambda: self.contract.create_with(PEOPLE[person], known, content, initial=initial),
                InvalidParameter("initial" if initial else "spec"),
            )

    # ------------------------------------------------------------------ sensible calls

    acts: ClassVar = {"pick": st.integers(0, 20), "draft": likely_drafts, "text": st.integers(0, 6)}
    wild_acts: ClassVar = {**acts, "draft": drafts}
    locals().update(copies(8, Acting.act, rule(**acts)))
    locals().update(copies(3, Acting.act_anyway, rule(**wild_acts)))

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
        name=st.sampled_from(["join", "join", "join", "leave", "remove", "admit", "change key"]),
        person=people,
        account=accounts,
        key=words,
    )
    def come_and_go(self, name: str, person: int, account: int, key: bytes) -> None:
        target = self.accounts[account]
        if name == "admit":
            by = person if person % 3 == 0 else 0
            self.call_both(by, name, self.id, [target, target])
        elif name == "join":
            expected = key if account == 0 else self.experiment.hash
            self.call_both(person, name, self.id, expected, key)
        elif name == "change key":
            self.call_both(person, "set_encryption_key", self.id, key)
        else:
            self.call_both(person, name, self.id, *((target,) if name == "remove" else ()))

    @rule_where(
        lambda self: self.experiment.status == Status.ENROLLING,
        person=people,
        agreed=st.booleans(),
    )
    def join_before_the_start(self, person: int, agreed: bool) -> None:
        expected = self.experiment.hash if agreed else bytes(32)
        self.call_both(person, "join", self.id, expected, bytes(32))

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

    def announce(self, person: int, topic: str, content: Any) -> None:
        self.call_both(person, "announce", self.id, topic, content)

    def wild_ballot(
        self, name: str, person: int, at: int, draft: Draft, word: bytes, content: Any
    ) -> None:
        vote, proposals = self.make_vote(person, draft), self.make_basis(draft).proposals
        rest = {
            "decline": (),
            "vote": (proposals, vote),
            "commit": (proposals, word),
            "reveal": (vote, word),
            "propose": (content, draft.scores[0]),
        }[name]
        self.call_both(person, name, self.id, self.index() + at, *rest)

    def wild_experiment(self, name: str, person: int, experiment: int) -> None:
        key = bytes(32)
        rest = {"decline": (0,), "join": (key, key), "set_encryption_key": (key,)}.get(name, ())
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
        if current and known:
            self.call_both(person, "propose", self.id, self.index(), known[-1], _SCORES)
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
        how=st.sampled_from(["vote", "scores", "salt", "account", "twice"]),
    )
    def reveal_badly(self, person: int, other: int, how: str) -> None:
        mine = (self.id, self.index(), self.accounts[person])
        nothing = (self.make_vote(person, Draft(1, (_SCORES,))), hash_text("none"))
        vote, salt = self.salts.get(mine, nothing)
        if how == "vote":
            vote = replace(vote, approvals=vote.approvals ^ 1)
        elif how == "scores":
            vote = replace(vote, scores=(*vote.scores, _SCORES))
        elif how == "salt":
            salt = hash_text("a wrong salt")
        elif how == "account":
            vote, salt = self.salts.get((self.id, self.index(), self.accounts[other]), (vote, salt))
        self.call_both(person, "reveal", self.id, self.index(), vote, salt)

    def copy_a_commitment(self, person: int, other: int, draft: Draft) -> None:
        vote, salt = self.make_vote(other, draft), hash_text("salt 1")
        self.commit_to(person, draft, vote, salt, self.commitment(other, vote, salt))

    def commit_to_an_invalid_ballot(self, person: int, draft: Draft, flaw: str) -> None:
        vote, salt = self.make_vote(person, draft, flaw), hash_text("salt 2")
        self.commit_to(person, draft, vote, salt, self.commitment(person, vote, salt))

    # ------------------------------------------------------------------ signed ballots

    @rule_where(
        lambda self: self.has_open_vote(),
        by=people,
        at=st.sampled_from([0, 0, 0, 0, 0, 0, 1]),
        whole=drafts,
        signers=st.lists(st.tuples(people, drafts, spoilers), max_size=5),
        forged=st.lists(st.tuples(people, accounts, drafts), max_size=1),
    )
    def carry(
        self,
        by: int,
        at: int,
        whole: Draft,
        signers: Sequence[tuple[int, Draft, str | None]],
        forged: Sequence[tuple[int, int, Draft]],
    ) -> None:
        """Submit a batch; all its ballots have as many scores, so that the EVM can express it."""
        basis = self.make_basis(whole, at)
        has_wrong_length = whole.flaw == "scores"
        batch = []
        for person, draft, how in signers:
            flaw = "scores" if has_wrong_length else draft.flaw
            flaw = None if flaw == "scores" and not has_wrong_length else flaw
            fitted = replace(draft, mask=draft.mask | 1, flaw=flaw)
            own_basis = replace(basis, proposals=bytes(32)) if draft.flaw == "digest" else basis
            ballot = self.sign(person, own_basis, self.make_vote(person, fitted))
            batch.append(ballot if how is None else spoil(ballot, how))
        for person, account, draft in () if has_wrong_length else forged:
            claimed = self.accounts[account]
            vote = self.make_vote(person, replace(draft, flaw=None))
            signed = self.sign(person, basis, vote)
            other = replace(vote, approvals=vote.approvals ^ 1)
            batch.append(SignedBallot(claimed, other, signed.signature))
            batch.append(SignedBallot(claimed, vote, signed.signature))
        self.call_both(by, "vote_signed", self.id, basis.round, basis.proposals, batch)

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
        self.compare_answer("agenda", experiment, learner)
        self.record.steps += 1

    # One rule for all odd calls, so that they are rarer than sensible ones.
    odd: ClassVar[dict[str, dict[str, st.SearchStrategy[Any]]]] = {
        "create_oddly": {
            "person": people,
            "chosen": st.one_of(odd_params, odd_params, edge_params),
            "content": st.none() | hostile_contents,
            "initial": st.booleans(),
        },
        "copy_a_commitment": {"person": people, "other": people, "draft": drafts},
        "commit_to_an_invalid_ballot": {
            "person": people,
            "draft": drafts,
            "flaw": st.sampled_from(["approvals", "scores"]),
        },
        "announce": {"person": people, "topic": topics, "content": contents},
        "cancel": {"by": people, "chance": st.integers(0, 3)},
        "wild_ballot": {
            "name": st.sampled_from(["decline", "vote", "commit", "reveal", "propose"]),
            "person": people,
            "at": st.sampled_from([0, 0, 0, 1, -1, 2**31, 2**32 - 1, 2**32, -(2**40)]),
            "draft": drafts,
            "word": words,
            "content": contents,
        },
        "wild_experiment": {
            "name": st.sampled_from(
                ["start", "advance", "leave", "cancel", "decline", "join", "set_encryption_key"]
            ),
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
