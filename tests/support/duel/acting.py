"""The steps of which the rules of a duel are made."""

from __future__ import annotations

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import (
    Account,
    Admission,
    Basis,
    Duty,
    ExperimentParams,
    Phase,
    SignedBallot,
    Status,
    Vote,
    commitment_hash,
)
from tests.support.duel.backends import outcome_of
from tests.support.duel.comparison import Comparison
from tests.support.duel.plans import (
    PEOPLE,
    Draft,
    content_of,
    crowd_wallet,
    hash_text,
    shorten_windows,
)


class Acting(Comparison):
    """Make calls on both ledgers that fit the current state."""

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
            self.join(person, hash_text(f"key {person}"))
        if start and self.experiment.status == Status.ENROLLING:
            self.call_both(0, "start", self.id)

    def join(self, person: int, key: bytes) -> None:
        self.call_both(person, "join", self.id, self.experiment.hash, key)

    def join_and_leave(self, wallet: Wallet) -> None:
        """Let an account join and leave again, which uses up an index."""
        self.time = self.contract.now()
        for name, rest in (("join", (self.experiment.hash, bytes(32))), ("leave", ())):
            self.contract.transact(wallet, name, (self.id, *rest))
            getattr(self.reference.acting_for(wallet), name)(self.id, *rest)

    # ------------------------------------------------------------------ duties

    def act(self, pick: int, draft: Draft, text: int) -> None:
        """Let a person do its duty, or advance the experiment if nobody has one."""
        e = self.experiment
        if e.status == Status.ENROLLING:
            self.enrol(pick)
        elif busy := self.list_busy():
            person = busy[pick % len(busy)]
            getattr(self, f"do_{self.duty(person).name.lower()}")(person, draft, text)
        elif not self.is_over():
            self.call_both(pick % len(PEOPLE), "advance", self.id)

    def act_anyway(self, pick: int, draft: Draft, text: int) -> None:
        """Make the phase's call as any person, whether or not it is due or in time."""
        round_, person = self.round, pick % len(PEOPLE)
        if round_ is None:
            self.enrol(pick)
        elif round_.phase == Phase.CLOSED:
            self.call_both(person, "advance", self.id)
        elif round_.phase == Phase.PROPOSING:
            self.do_propose(person, draft, text)
        elif round_.phase == Phase.REVEALING:
            self.do_reveal(person, draft, text)
        elif self.experiment.params.reveal_window:
            self.do_commit(person, draft, text)
        else:
            self.do_vote(person, draft, text)

    def enrol(self, pick: int) -> None:
        e = self.experiment
        outside = [p for p in range(5) if self.duty(p) == Duty.WAIT and not self.has_joined(p)]
        if e.active_learners >= e.params.min_learners and (pick % 2 or not outside):
            self.call_both(0, "start", self.id)
        elif outside:
            self.join(outside[pick % len(outside)], bytes(32))
        else:
            self.call_both(0, "cancel", self.id)

    def has_joined(self, person: int) -> bool:
        account = self.accounts[person]
        return outcome_of(lambda: self.reference.learner(self.id, account))[0] == "ok"

    def do_propose(self, person: int, draft: Draft, text: int) -> None:
        if text == 0:
            self.call_both(person, "decline", self.id, self.index())
            return
        whose = "anybody's" if text == 1 else f"{person}'s"
        content = content_of(f"{whose} weights {self.id}.{self.index()}", raw=text % 2 == 0)
        if text == 6 and self.experiment.current:
            content = self.experiment.current[0]
        self.call_both(person, "propose", self.id, self.index(), content, draft.scores[0])

    def do_vote(self, person: int, draft: Draft, text: int) -> None:
        basis, vote = self.make_basis(draft), self.make_vote(person, draft)
        place = (self.id, basis.round, basis.proposals)
        if text % 3 == 0:
            ballot = sign_ballot(PEOPLE[person], self.reference.domain, basis, vote)
            self.call_both(text, "vote_signed", *place, [ballot])
        else:
            self.call_both(person, "vote", *place, vote)

    def do_commit(self, person: int, draft: Draft, text: int) -> None:
        vote, salt = self.make_vote(person, draft), hash_text(f"salt {text}")
        self.commit_to(person, draft, vote, salt, self.commitment(person, vote, salt))

    def commit_to(
        self, person: int, draft: Draft, vote: Vote, salt: bytes, commitment: bytes
    ) -> None:
        """Commit, and remember the vote that reveals the commitment."""
        basis = self.make_basis(draft)
        kind, _ = self.call_both(
            person, "commit", self.id, basis.round, basis.proposals, commitment
        )
        if kind == "ok":
            self.salts[self.id, basis.round, self.accounts[person]] = vote, salt

    def do_reveal(self, person: int, draft: Draft, text: int) -> None:
        mine = (self.id, self.index(), self.accounts[person])
        vote, salt = self.salts.get(mine, (self.make_vote(person, draft), bytes(32)))
        self.call_both(person, "reveal", self.id, self.index(), vote, salt)

    # ------------------------------------------------------------------ ballots

    def make_basis(self, draft: Draft, at: int = 0) -> Basis:
        """Return what a ballot of the current round judges, or what it must not judge."""
        round_ = self.round
        proposals = (round_ and round_.proposals) or bytes(32)
        if draft.flaw == "digest":
            proposals = hash_text("other proposals")
        return Basis(self.id, self.index() + at, proposals)

    def make_vote(self, person: int, draft: Draft, flaw: str | None = None) -> Vote:
        """Return a draft as a vote on the proposals of the current round.

        Its own flaw is the one given, or else that of the draft.
        """
        round_, flaw = self.round, flaw or draft.flaw
        contents = round_.contents if round_ else {}
        account = self.accounts[person]
        own = {s for s in contents if round_ and round_.slots[s].proposer == account}
        allowed = sum(1 << slot for slot in contents if slot not in own)
        approvals = draft.mask & allowed
        if flaw == "approvals":
            refused = own or {len(contents), 15}
            approvals |= 1 << min(slot for slot in refused)
        length = 1 + len(contents) + (0 if flaw != "scores" else draft.mask % 2 or -1)
        scores = (draft.scores * length)[:length]
        return Vote(approvals, scores)

    def commitment(self, person: int, vote: Vote, salt: bytes) -> bytes:
        basis = self.make_basis(Draft(0, ()))
        account: Account = self.accounts[person]
        return commitment_hash(self.reference.domain, basis, account, vote, salt)

    def sign(self, person: int, basis: Basis, vote: Vote) -> SignedBallot:
        return sign_ballot(PEOPLE[person], self.reference.domain, basis, vote)
