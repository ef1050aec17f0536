"""Tests of plural rounds that every chain's ledger must pass; each chain supplies the ledgers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import (
    Announced,
    BallotSkipped,
    BallotState,
    Basis,
    CancelRequested,
    Duty,
    Event,
    ExperimentId,
    InvalidParameter,
    Merge,
    NotALearner,
    NotProposer,
    Outcome,
    Phase,
    Round,
    RoundClosed,
    RoundStarted,
    Scores,
    Selection,
    SkipReason,
    SlotState,
    Status,
    Vote,
    VoteCast,
    VotingStarted,
    WeightsProposed,
    WrongExperiment,
    WrongProposals,
    WrongRound,
    commitment_hash,
    experiment_hash,
)
from tests.support.joining import join
from tests.support.samples import content_of, digest_of, params, salt_of
from tests.support.waiting import LIMIT

OpenLedgers = Callable[[Sequence[Wallet]], Sequence[Ledger]]
"""Returns the ledgers of funded wallets on one contract without experiments."""

GasLimit = Callable[[Any], int]
"""Returns the gas limit of a transaction in flight."""

WALLETS = [Wallet.from_key((1_000 + i).to_bytes(32, "big")) for i in range(17)]


class Life:
    """An experiment on a chain, in which every learner of ``wallets`` joined."""

    def __init__(self, ledgers: Sequence[Ledger], **terms: Any) -> None:
        self.ledgers = ledgers
        self.first = ledgers[0]
        count = len(ledgers)
        wanted = params(**{"min_learners": count, "max_learners": count, "proposers": 3, **terms})
        self.id = ExperimentId(self.first.create(wanted).wait(LIMIT).experiment)
        for sent in [join(ledger, self.id) for ledger in ledgers]:
            sent.wait(LIMIT)

    @property
    def round(self) -> Round:
        return self.first.round(self.id, self.first.experiment(self.id).round or 0)

    @property
    def basis(self) -> Basis:
        round_ = self.round
        return Basis(self.id, round_.index, round_.proposals or bytes(32))

    def ledger_of(self, account: str) -> Ledger:
        return next(ledger for ledger in self.ledgers if ledger.account == account)

    def propose(self, *texts: str) -> tuple[Event, ...]:
        """Propose in the order of slots, and decline for an empty text; return the last events."""
        round_, events = self.round, ()
        for slot, text in zip(round_.slots, texts, strict=False):
            proposer = self.ledger_of(slot.proposer)
            if text:
                sent = proposer.propose(self.id, round_.index, content_of(text), Scores(0.5, None))
            else:
                sent = proposer.decline(self.id, round_.index)
            events = sent.wait(LIMIT).events
        return events

    def vote_of(self, ledger: Ledger, approved: Sequence[int] | None = None) -> Vote:
        """Return a vote that approves these slots, by default all that it may approve."""
        round_ = self.round
        others = [s for s in round_.contents if round_.slots[s].proposer != ledger.account]
        approvals = sum(1 << slot for slot in (others if approved is None else approved))
        return Vote(approvals, (Scores(), *(Scores(0.5, 1.0) for _ in round_.contents)))

    def vote_all(self) -> tuple[Event, ...]:
        """Let everybody approve everything; return the events of the last ballot."""
        basis, events = self.basis, ()
        for ledger in self.ledgers:
            vote = self.vote_of(ledger)
            sent = ledger.vote(self.id, basis.round, basis.proposals, vote)
            events = sent.wait(LIMIT).events
        return events


class PluralConformance:
    """Tests of plural rounds; subclass it and supply the fixture ``open_ledgers``."""

    @pytest.fixture
    def ledgers(self, open_ledgers: OpenLedgers) -> Sequence[Ledger]:
        return open_ledgers(WALLETS[:4])

    def test_accepted_proposals_are_the_current_weights_in_slot_order(
        self, ledgers: Sequence[Ledger]
    ):
        life = Life(ledgers, selection=Selection.RANDOM)
        assert len({slot.proposer for slot in life.round.slots}) == 3
        proposed, started = life.propose("a", "", "c")
        round_ = life.round
        proposer = round_.slots[2].proposer
        scores = Scores(0.5, None)
        assert proposed == WeightsProposed(life.id, 0, proposer, 2, content_of("c"), scores)
        digest = digest_of({0: "a", 2: "c"})
        assert started == VotingStarted(life.id, 0, digest, round_.deadline)
        assert (round_.phase, round_.proposals) == (Phase.VOTING, digest)
        assert [slot.state for slot in round_.slots] == [
            SlotState.PROPOSED,
            SlotState.DECLINED,
            SlotState.PROPOSED,
        ]
        assert round_.voters == 4
        cast, closed, begun = life.vote_all()
        assert isinstance(cast, VoteCast)
        assert closed == RoundClosed(life.id, 0, Outcome.ACCEPTED, 0b101, (3, 0, 3), 3)
        assert isinstance(begun, RoundStarted)
        experiment = life.first.experiment(life.id)
        assert experiment.current == (content_of("a"), content_of("c"))
        assert life.first.current_weights(life.id) == list(experiment.current)
        assert experiment.current_round == 0
        assert begun.proposers == tuple(slot.proposer for slot in life.round.slots)
        round_ = life.first.round(life.id, 0)
        assert [(slot.approvals, slot.accepted) for slot in round_.slots] == [
            (3, True),
            (0, False),
            (3, True),
        ]

    def test_best_proposal_alone_becomes_the_current_weights(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers, merge=Merge.BEST, proposers=2, initial=None)
        life.propose("a", "b")
        basis, approved = life.basis, ([1], [], [1], [0, 1])
        for ledger, slots in zip(life.ledgers, approved, strict=True):
            vote = life.vote_of(ledger, slots)
            events = ledger.vote(life.id, 0, basis.proposals, vote).wait(LIMIT).events
        assert events[1] == RoundClosed(life.id, 0, Outcome.ACCEPTED, 0b10, (1, 3), 3)
        assert life.first.experiment(life.id).current == (content_of("b"),)

    def test_agenda_is_the_answers_of_the_other_queries(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers[:3], min_learners=2, max_learners=4, late_join=True)
        stranger = ledgers[3].account
        agenda = life.first.agenda(life.id, stranger)
        assert (agenda.round, agenda.learner, agenda.duty) == (None, None, Duty.WAIT)
        life.first.start(life.id).wait(LIMIT)
        for account in (life.first.account, stranger):
            agenda = life.first.agenda(life.id, account)
            assert agenda.experiment == life.first.experiment(life.id)
            assert agenda.round == life.first.round(life.id, 0)
            assert agenda.duty == life.first.duty(life.id, account)
        assert agenda.learner is None
        agenda = life.first.agenda(life.id, life.first.account)
        assert agenda.learner == life.first.learner(life.id, life.first.account)
        assert agenda.duty == Duty.PROPOSE

    def test_signed_ballots_on_several_proposals_are_counted(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers)
        life.propose("a", "b", "")
        basis, domain = life.basis, life.first.domain
        ballots = [
            sign_ballot(wallet, domain, basis, life.vote_of(ledger))
            for wallet, ledger in zip(WALLETS, life.ledgers, strict=False)
        ]
        refused = sign_ballot(WALLETS[0], domain, basis, Vote(0b100, ballots[0].vote.scores))
        stale = sign_ballot(WALLETS[1], domain, Basis(life.id, 0, bytes(32)), ballots[1].vote)
        batch = [refused, stale, *ballots[:2], ballots[1]]
        sent = life.first.vote_signed(life.id, 0, basis.proposals, batch)
        events = sent.wait(LIMIT).events
        accounts = [ledger.account for ledger in ledgers]
        assert events == (
            BallotSkipped(life.id, 0, accounts[0], SkipReason.INVALID_BALLOT),
            BallotSkipped(life.id, 0, accounts[1], SkipReason.BAD_SIGNATURE),
            VoteCast(life.id, 0, accounts[0], ballots[0].vote),
            VoteCast(life.id, 0, accounts[1], ballots[1].vote),
            BallotSkipped(life.id, 0, accounts[1], SkipReason.ALREADY_VOTED),
        )
        assert life.round.ballots == 2
        rows = life.first.ballots(life.id, 0)
        states = [BallotState.CAST] * 2 + [BallotState.NONE] * 2
        assert [row.state for row in rows] == states
        assert [row.approvals for row in rows[:2]] == [b.vote.approvals for b in ballots[:2]]
        sent = life.first.vote_signed(life.id, 0, basis.proposals, ballots[2:])
        assert isinstance(sent.wait(LIMIT).events[2], RoundClosed)

    def test_secret_ballots_on_several_proposals_are_revealed(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers, reveal_window=1_000)
        life.propose("a", "b", "c")
        basis = life.basis
        votes = {ledger.account: life.vote_of(ledger) for ledger in ledgers}
        for ledger in ledgers:
            assert ledger.duty(life.id, ledger.account) == Duty.COMMIT
            salt, vote = salt_of(ledger.account), votes[ledger.account]
            commitment = commitment_hash(ledger.domain, basis, ledger.account, vote, salt)
            ledger.commit(life.id, 0, basis.proposals, commitment).wait(LIMIT)
        assert (life.round.phase, life.round.commitments) == (Phase.REVEALING, 4)
        for ledger in ledgers:
            sent = ledger.reveal(life.id, 0, votes[ledger.account], salt_of(ledger.account))
            events = sent.wait(LIMIT).events
            assert events[0] == VoteCast(life.id, 0, ledger.account, votes[ledger.account])
        assert events[1] == RoundClosed(life.id, 0, Outcome.ACCEPTED, 0b111, (3, 3, 3), 3)

    def test_errors_of_plural_rounds_carry_their_values(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers)
        first = life.first
        created = first.experiment(life.id)
        with pytest.raises(WrongRound) as wrong:
            first.decline(life.id, 1)
        assert wrong.value.args == (0,)
        life.propose("a", "b", "c")
        basis, vote = life.basis, life.vote_of(first)
        with pytest.raises(WrongProposals) as wrong:
            first.vote(life.id, 0, bytes(32), vote)
        assert wrong.value.args == (basis.proposals,)
        everything, short = Vote(0b111, vote.scores), Vote(vote.approvals, vote.scores[:2])
        for bad, name in ((everything, "approvals"), (short, "scores")):
            with pytest.raises(InvalidParameter) as invalid:
                first.vote(life.id, 0, basis.proposals, bad)
            assert invalid.value.args == (name,)
        mixed = [sign_ballot(WALLETS[0], first.domain, basis, each) for each in (vote, short)]
        with pytest.raises(InvalidParameter) as invalid:
            first.vote_signed(life.id, 0, basis.proposals, mixed)
        assert invalid.value.args == ("ballots",)
        for bad in ({"proposers": 17}, {"initial": None}, {"patience": 2**32}):
            with pytest.raises(InvalidParameter) as invalid:
                first.create(params(**{"proposers": 2, **bad}))
            assert invalid.value.args == tuple(bad)
        other = Life([first], min_learners=2, max_learners=3)
        expected = experiment_hash(first.account, first.experiment(other.id).params)
        with pytest.raises(WrongExperiment) as foreign:
            ledgers[1].join(other.id, created.hash)
        assert foreign.value.args == (expected,)
        join(ledgers[1], other.id).wait(LIMIT)
        first.start(other.id).wait(LIMIT)
        with pytest.raises(NotProposer) as caller:
            ledgers[2].decline(other.id, 0)
        assert caller.value.args == (ledgers[2].account,)

    def test_announcement_and_encryption_key_of_a_learner(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers[:3])
        sent = life.first.announce(life.id, "résumé", content_of("state"))
        announced = Announced(life.id, life.first.account, "résumé", content_of("state"))
        assert sent.wait(LIMIT).events == (announced,)
        assert life.first.set_encryption_key(life.id, b"\5" * 32).wait(LIMIT).events == ()
        assert life.first.learner(life.id, life.first.account).encryption_key == b"\5" * 32
        with pytest.raises(InvalidParameter):
            life.first.announce(life.id, "x" * 33, content_of("state"))
        with pytest.raises(NotALearner):
            ledgers[3].announce(life.id, "x", content_of("state"))

    def test_cancelled_vote_ends_by_its_own_rules(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers)
        life.propose("a", "b", "c")
        assert life.first.cancel(life.id).wait(LIMIT).events == (CancelRequested(life.id),)
        assert life.first.experiment(life.id).cancel_requested
        life.vote_all()
        experiment = life.first.experiment(life.id)
        assert (experiment.status, len(experiment.current)) == (Status.CANCELLED, 3)

    def test_abandoned_round_shows_the_proposals_made_until_then(self, ledgers: Sequence[Ledger]):
        life = Life(ledgers)
        life.propose("a")
        life.first.cancel(life.id).wait(LIMIT)
        round_ = life.first.round(life.id, 0)
        assert (round_.outcome, round_.proposals) == (Outcome.ABANDONED, None)
        assert round_.voting_started_at is None
        assert round_.contents == {0: content_of("a")}
        assert [slot.state for slot in round_.slots[1:]] == [SlotState.OPEN] * 2

    def test_call_that_closes_a_round_needs_no_more_gas_than_the_call_before_it_offered(
        self, open_ledgers: OpenLedgers, gas_limit: GasLimit
    ):
        """Both may be simulated before either is in a block, with sixteen proposers, too."""
        ledgers = open_ledgers(WALLETS)
        life = Life(ledgers, proposers=16, selection=Selection.RANDOM)
        for slot in life.round.slots[:-1]:
            sent = life.ledger_of(slot.proposer).decline(life.id, 0)
            sent.wait(LIMIT)
        offered = gas_limit(sent)
        last = life.ledger_of(life.round.slots[-1].proposer).decline(life.id, 0).wait(LIMIT)
        assert isinstance(last.events[-1], RoundStarted)
        assert last.cost <= offered

        texts = [f"proposal {slot}" for slot in range(16)]
        life.propose(*texts)
        basis = life.basis
        for ledger in ledgers:
            offered = gas_limit(sent)
            sent = ledger.vote(life.id, 1, basis.proposals, life.vote_of(ledger))
            receipt = sent.wait(LIMIT)
        closed, begun = receipt.events[1:]
        assert isinstance(closed, RoundClosed)
        assert closed.accepted == 2**16 - 1
        assert isinstance(begun, RoundStarted)
        assert len(begun.proposers) == 16
        assert life.first.current_weights(life.id) == [content_of(text) for text in texts]
        assert receipt.cost <= offered
