"""The relay accepts the ballots that the ledger would count, and submits each once, in batches."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from colearn_ledger.backoff import Backoff
from colearn_ledger.chains.errors import BadAnswer, EmptyWallet, NodeRefused, TransactionFailed
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import (
    Account,
    BallotState,
    Basis,
    LedgerError,
    Outcome,
    SignedBallot,
    Vote,
    VoteCast,
    WrongProposals,
)
from colearn_ledger.relay.relay import (
    BallotRefused,
    Relay,
    RelayFull,
)
from tests.support.relay_place import LEARNERS, PAYER, SCORES, ChangingLedger, Place, relay_of
from tests.support.waiting import Clock

ERRORS = [
    LedgerUnavailable("down"),
    NodeRefused("limit exceeded"),
    BadAnswer("nonsense"),
    EmptyWallet(Account("0x" + "11" * 20), balance=0, needed=1),
    TransactionFailed("reverted"),
]


@pytest.fixture
def place() -> Place:
    return Place()


class TestSubmission:
    def test_ballots_wait_until_all_arrived_and_are_sent_in_one_transaction(self, place):
        relay = relay_of(place)
        for i in (1, 2, 3):
            relay.offer(place.basis, place.ballot(i))
        relay.carry_due()
        assert place.state(1) == BallotState.NONE
        relay.offer(place.basis, place.ballot(4, approvals=0))
        relay.carry_due()
        round_ = place.ledger.round(place.id, 0)
        approvals = round_.slots[0].approvals
        assert (approvals, round_.ballots, round_.outcome) == (3, 4, Outcome.ACCEPTED)
        assert (relay.carried, relay.waiting) == (4, 0)
        transactions = {
            e.transaction for e in place.ledger.events(place.id) if isinstance(e.event, VoteCast)
        }
        assert len(transactions) == 1

    def test_full_batch_is_submitted_at_once(self, place):
        relay = relay_of(place, batch=2)
        for i in (1, 2, 3):
            relay.offer(place.basis, place.ballot(i))
        relay.carry_due()
        states = [place.state(i) for i in (1, 2, 3)]
        assert states == [BallotState.CAST, BallotState.CAST, BallotState.NONE]
        assert relay.waiting == 1

    def test_old_ballot_is_submitted_alone(self, place):
        relay = relay_of(place, wait=0.0)
        relay.offer(place.basis, place.ballot(1))
        relay.carry_due()
        assert place.state(1) == BallotState.CAST

    def test_offering_again_changes_nothing(self, place):
        relay = relay_of(place)
        relay.offer(place.basis, place.ballot(1))
        relay.offer(place.basis, place.ballot(1))
        assert relay.waiting == 1
        relay.carry_due(all_of_them=True)
        assert place.state(1) == BallotState.CAST

    def test_waiting_ballots_are_submitted_when_the_relay_ends(self, place):
        relay = relay_of(place)
        relay.offer(place.basis, place.ballot(1))
        stop = threading.Event()
        stop.set()
        relay.run(stop)
        assert place.state(1) == BallotState.CAST

    def test_ballots_of_a_closed_round_are_dropped(self, place):
        relay = relay_of(place)
        relay.offer(place.basis, place.ballot(1))
        place.close_round()
        relay.carry_due(all_of_them=True)
        assert (relay.waiting, relay.carried) == (0, 0)

    def test_ballots_on_several_proposals_are_counted_for_each(self):
        place = Place(proposers=3, proposed=2)
        relay = relay_of(place)
        for i, approvals in enumerate([0b10, 0b01, 0b11, 0b11]):
            relay.offer(place.basis, place.ballot(i, approvals))
        relay.carry_due()
        assert relay.waiting == 4  # the proposers vote too, so a fifth voter is missing
        relay.offer(place.basis, place.ballot(4, 0b10))
        relay.carry_due()
        round_ = place.ledger.round(place.id, 0)
        assert [slot.approvals for slot in round_.slots] == [3, 4, 0]
        assert (round_.outcome, relay.carried) == (Outcome.ACCEPTED, 5)

    @pytest.mark.parametrize(
        ("query", "wait"), [("vote_signed", 0.0), ("agenda", 0.0), ("agenda", 1_000.0)]
    )
    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_no_error_of_the_ledger_loses_a_ballot_or_ends_the_relay(
        self, place, monkeypatch, error: LedgerError, query: str, wait: float
    ):
        relay = relay_of(place, wait=wait)
        relay.offer(place.basis, place.ballot(1))
        stop = threading.Event()

        def fail(*_: object) -> None:
            stop.set()
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(place.ledger, query, fail)
            relay.run(stop)
        assert relay.waiting == 1
        relay.carry_due(all_of_them=True)
        assert place.state(1) == BallotState.CAST

    def test_pauses_grow_after_each_failure_and_end_with_success(self, place, monkeypatch):
        clock = Clock()
        monkeypatch.setattr("colearn_ledger.relay.relay.time", clock)
        monkeypatch.setattr(
            "colearn_ledger.relay.relay._BACKOFF", Backoff(1.0, 60.0, fraction=lambda: 0.0)
        )
        relay, attempts = relay_of(place, wait=0.0), []
        relay.offer(place.basis, place.ballot(1))
        start = clock.time()

        def fail(*_: object) -> None:
            attempts.append(clock.time() - start)
            raise NodeRefused("limit exceeded")

        with monkeypatch.context() as broken:
            broken.setattr(place.ledger, "vote_signed", fail)
            for _ in range(8):
                relay.carry_due()
                clock.sleep(1.0)
        assert attempts == [0.0, 1.0, 3.0, 7.0]
        clock.sleep(8.0)
        relay.carry_due()
        assert place.state(1) == BallotState.CAST


class TestReorgs:
    """The proposals of a round change while ballots on the old ones are waiting."""

    @pytest.fixture
    def other(self, place: Place) -> Place:
        return Place(domain=place.ledger.domain, weights=4)

    def test_ballots_on_former_proposals_are_dropped_and_others_counted(self, place, other, caplog):
        ledger: Any = ChangingLedger(place.ledger)
        relay = Relay(ledger, wait=0.0)
        relay.offer(place.basis, place.ballot(1))
        relay.offer(place.basis, place.ballot(2))
        ledger.ledger = other.ledger
        relay.offer(other.basis, other.ballot(1, approvals=0))  # the same learner
        assert relay.waiting == 3
        relay.carry_due()
        assert (relay.waiting, relay.carried) == (0, 1)
        assert [other.state(i) for i in (1, 2)] == [BallotState.CAST, BallotState.NONE]
        assert "dropped 2 ballots of round 0: WrongProposals" in caplog.text

    def test_ballots_are_dropped_if_the_proposals_change_just_before_the_transaction(
        self, place, monkeypatch
    ):
        relay = relay_of(place, wait=0.0)
        relay.offer(place.basis, place.ballot(1))

        def fail(*_: object) -> None:
            raise WrongProposals(b"\x07" * 32)

        monkeypatch.setattr(place.ledger, "vote_signed", fail)
        relay.carry_due()
        assert (relay.waiting, relay.carried) == (0, 0)

    def test_ballot_on_other_proposals_is_refused(self, place, other):
        with pytest.raises(BallotRefused, match="judges other proposals than those of the round"):
            relay_of(place).offer(other.basis, other.ballot(1))


class TestRefusals:
    def refuse(
        self, relay: Relay, place: Place, ballot: SignedBallot, basis: Basis | None = None
    ) -> str:
        with pytest.raises(BallotRefused) as caught:
            relay.offer(basis or place.basis, ballot)
        assert relay.waiting == 0
        return str(caught.value)

    def test_ballot_with_a_forged_signature_is_refused(self, place):
        forged = place.ballot(1)
        forged = SignedBallot(LEARNERS[2].address, forged.vote, forged.signature)
        assert "not signed" in self.refuse(relay_of(place), place, forged)

    def test_ballot_for_another_round_is_refused(self, place):
        later = Basis(place.id, 1, place.basis.proposals)
        ballot = place.ballot(1, basis=later)
        assert "not signed" in self.refuse(relay_of(place), place, ballot)
        assert "WrongRound(0)" in self.refuse(relay_of(place), place, ballot, later)

    def test_ballots_of_the_only_proposer_and_of_strangers_are_refused(self, place):
        assert "NotEligible" in self.refuse(relay_of(place), place, place.ballot(0, approvals=0))
        stranger = sign_ballot(PAYER, place.ledger.domain, place.basis, place.vote())
        assert "NotALearner" in self.refuse(relay_of(place), place, stranger)

    def test_ballot_after_a_counted_one_is_refused(self, place):
        view = place.ledger.acting_for(LEARNERS[1])
        view.vote(place.id, 0, place.basis.proposals, place.vote()).wait()
        assert "AlreadyVoted" in self.refuse(relay_of(place), place, place.ballot(1))

    def test_ballots_of_secret_rounds_and_before_a_proposal_are_refused(self):
        secret = Place(reveal_window=100)
        assert "WrongPhase" in self.refuse(relay_of(secret), secret, secret.ballot(1))
        early = Place(proposed=None)
        assert "WrongPhase" in self.refuse(relay_of(early), early, early.ballot(1))

    def test_ballots_before_the_start_and_of_unknown_experiments_are_refused(self, place):
        terms = place.ledger.experiment(place.id).params
        unstarted = place.ledger.create(terms).wait().experiment
        for number, error in ((unstarted, "WrongRound"), (9, "UnknownExperiment(9)")):
            basis = Basis(number, 0, bytes(32))
            ballot = place.ballot(1, basis=basis)
            assert error in self.refuse(relay_of(place), place, ballot, basis)

    @pytest.mark.parametrize(("learner", "approvals"), [(0, 0b01), (1, 0b10), (2, 0b100), (3, 8)])
    def test_approval_of_the_own_slot_or_of_one_without_a_proposal_is_refused(
        self, learner: int, approvals: int
    ):
        place = Place(proposers=3, proposed=2)
        answer = self.refuse(relay_of(place), place, place.ballot(learner, approvals))
        assert "may not approve" in answer

    @pytest.mark.parametrize("given", [0, 2, 4])
    def test_ballot_with_the_wrong_number_of_scores_is_refused(self, given: int):
        place = Place(proposers=2, proposed=2)
        ballot = place.sign(2, Vote(0, (SCORES,) * given))
        answer = self.refuse(relay_of(place), place, ballot)
        assert f"scores of {given} weights" in answer
        assert "3 in all" in answer

    def test_ballots_of_other_experiments_are_refused(self, place):
        relay = relay_of(place, experiments=[place.id + 1])
        assert "does not carry" in self.refuse(relay, place, place.ballot(1))

    def test_full_relay_accepts_no_ballot(self, place, monkeypatch):
        monkeypatch.setattr("colearn_ledger.relay.relay._MOST_WAITING", 1)
        relay = relay_of(place)
        relay.offer(place.basis, place.ballot(1))
        with pytest.raises(RelayFull):
            relay.offer(place.basis, place.ballot(2))
