"""Ballots are bound to the proposals they judge, which are read deep in the chain."""

from __future__ import annotations

from typing import Any

import pytest

from colearn_ledger.chains.evm import TransactionLost
from colearn_ledger.ledger import LedgerUnavailable, Pending
from colearn_ledger.protocol import BallotState, Duty, Scores, Vote, WrongProposals
from tests.support.anvil_chain import Chain, RequestObserver, WaitingThread
from tests.support.joining import join
from tests.support.samples import content_of, digest_of, params
from tests.support.waiting import LIMIT

NO_SCORES = (Scores(), Scores())


class VotingRound:
    """A round with a proposer, and a voter whose ledger has the given settings."""

    def __init__(self, chain: Chain, url: str = "", **voting: Any) -> None:
        self._chain = chain
        chain("evm_setAutomine", True)
        proposer = chain.view(fee_seconds=3_600)
        self.voter = chain.view(chain.other, url, **voting)
        self.experiment = proposer.create(params(min_learners=2, max_learners=2)).wait().experiment
        join(proposer, self.experiment).wait(LIMIT)
        join(chain.view(chain.other), self.experiment).wait(LIMIT)
        chain.mine(5)  # deep enough for all settings
        chain("evm_setAutomine", False)

    def propose(self, text: str) -> None:
        """Propose content as a proposer that has forgotten all earlier proposals."""
        proposer = self._chain.view(journal=self._chain.folder / text)
        proposer.propose(self.experiment, 0, content_of(text), Scores())
        self._chain.mine()

    def vote(self, text: str, approvals: int = 1) -> Pending:
        """Send a ballot on this proposal."""
        vote = Vote(approvals, NO_SCORES)
        return self.voter.vote(self.experiment, 0, digest_of({0: text}), vote)

    def ballot(self) -> tuple[BallotState, int]:
        """Return the state of the voter's ballot, and the slots that it approves."""
        found = self._chain.view().ballot(self.experiment, 0, self._chain.other.address)
        return found.state, found.approvals


class TestProposalBinding:
    def test_ballot_is_not_counted_for_another_proposal_after_a_reorganisation(self, chain: Chain):
        """Two views share no journal, so the proposer's own transactions are lost too."""
        round_ = VotingRound(chain)
        round_.propose("A")
        approval = round_.vote("A")
        chain.mine()
        approval.wait(LIMIT)
        chain("anvil_rollback", 2)
        chain("anvil_dropAllTransactions")
        round_.propose("B")
        rejection = round_.vote("B", approvals=0)
        chain.mine()
        rejection.wait(LIMIT)
        assert round_.ballot() == (BallotState.CAST, 0)

    def test_awaited_ballot_is_lost_when_a_reorganisation_replaces_its_proposal(
        self, chain: Chain, watched: RequestObserver
    ):
        round_ = VotingRound(chain, url=watched.url, confirmations=2)
        round_.propose("A")
        waiting = WaitingThread(round_.vote("A"))
        chain.mine()
        watched.wait_for_receipt_request()
        chain("anvil_rollback", 2)
        chain("anvil_dropAllTransactions")
        round_.propose("B")
        with pytest.raises(TransactionLost):
            waiting.receipt()
        chain.mine(2)
        assert round_.ballot() == (BallotState.NONE, 0)

    def test_awaited_proposal_is_sent_again_while_its_slot_is_open(
        self, chain: Chain, watched: RequestObserver
    ):
        round_ = VotingRound(chain)
        proposer = chain.view(url=watched.url, confirmations=2)
        sent = proposer.propose(round_.experiment, 0, content_of("A"), Scores())
        chain.mine()
        waiting = WaitingThread(sent)
        watched.wait_for_receipt_request()
        chain("anvil_rollback", 1)
        chain("anvil_dropAllTransactions")
        watched.wait_for_receipt_request()
        chain.mine(2)
        waiting.receipt()
        assert chain.view().round(round_.experiment, 0).contents == {0: content_of("A")}

    def test_proposal_is_read_at_the_depth_of_confirmations(self, chain: Chain):
        round_ = VotingRound(chain, confirmations=3)
        round_.propose("A")
        for depth in (1, 2):
            assert round_.voter.round(round_.experiment, 0).contents == {}, depth
            assert round_.voter.duty(round_.experiment, round_.voter.account) == Duty.WAIT
            chain.mine()
        assert round_.voter.round(round_.experiment, 0).contents == {0: content_of("A")}
        assert round_.voter.duty(round_.experiment, round_.voter.account) == Duty.VOTE

    def test_ballot_on_replaced_proposals_is_refused_before_it_is_sent(self, chain: Chain):
        round_ = VotingRound(chain, confirmations=2)
        round_.propose("B")
        with pytest.raises(WrongProposals) as refused:
            round_.vote("A")
        assert refused.value.args == (digest_of({0: "B"}),)
        assert chain.pool(chain.other) == {}
        round_.vote("B")
        assert len(chain.pool(chain.other)) == 1

    def test_contract_that_is_not_deep_enough_is_reported(self, chain: Chain):
        with pytest.raises(LedgerUnavailable, match="less than 100 blocks deep"):
            chain.view(confirmations=100).experiments()
