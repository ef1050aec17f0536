"""Ballots are bound to the proposal they were decided on, which is read deep in the chain."""

from __future__ import annotations

from typing import Any

import pytest

from colearn_ledger.chains.evm import TransactionLost
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import BallotState, Duty, Scores, Vote
from tests.support.anvil_chain import Chain, RequestObserver, WaitingThread
from tests.support.samples import content_of, params
from tests.support.waiting import LIMIT


class VotingRound:
    """A round with a proposer, and a voter whose ledger has the given settings."""

    def __init__(self, chain: Chain, url: str = "", **voting: Any) -> None:
        self._chain = chain
        chain("evm_setAutomine", True)
        proposer = chain.view(fee_seconds=3_600)
        self.voter = chain.view(chain.other, url, **voting)
        self.experiment = proposer.create(params(min_learners=2, max_learners=2)).wait().experiment
        proposer.join(self.experiment).wait(LIMIT)
        chain.view(chain.other).join(self.experiment).wait(LIMIT)
        chain.mine(5)  # deep enough for all settings
        chain("evm_setAutomine", False)

    def propose(self, text: str) -> None:
        """Propose content as a proposer that has forgotten all earlier proposals."""
        proposer = self._chain.view(journal=self._chain.folder / text)
        proposer.propose(self.experiment, 0, content_of(text), Scores())
        self._chain.mine()

    def ballot(self) -> BallotState:
        return self._chain.view().ballot(self.experiment, 0, self._chain.other.address).state


class TestProposalBinding:
    def test_ballot_is_not_counted_for_another_proposal_after_a_reorganisation(self, chain: Chain):
        """Two views share no journal, so the proposer's own transactions are lost too."""
        round_ = VotingRound(chain)
        round_.propose("A")
        approval = round_.voter.vote(round_.experiment, 0, Vote(True))
        chain.mine()
        approval.wait(LIMIT)
        chain("anvil_rollback", 2)
        chain("anvil_dropAllTransactions")
        round_.propose("B")
        rejection = round_.voter.vote(round_.experiment, 0, Vote(False))
        chain.mine()
        rejection.wait(LIMIT)
        assert round_.ballot() == BallotState.REJECTED

    def test_awaited_ballot_is_lost_when_a_reorganisation_replaces_its_proposal(
        self, chain: Chain, watched: RequestObserver
    ):
        round_ = VotingRound(chain, url=watched.url, confirmations=2)
        round_.propose("A")
        chain.mine()  # deep enough to be visible to the voter
        waiting = WaitingThread(round_.voter.vote(round_.experiment, 0, Vote(True)))
        chain.mine()
        watched.wait_for_receipt_request()
        chain("anvil_rollback", 3)
        chain("anvil_dropAllTransactions")
        round_.propose("B")
        with pytest.raises(TransactionLost):
            waiting.receipt()
        chain.mine(2)
        assert round_.ballot() == BallotState.NONE

    def test_proposal_is_read_at_the_depth_of_confirmations(self, chain: Chain):
        round_ = VotingRound(chain, confirmations=3)
        round_.propose("A")
        for depth in (1, 2):
            assert round_.voter.round(round_.experiment, 0).content is None, depth
            assert round_.voter.duty(round_.experiment, round_.voter.account) == Duty.WAIT
            chain.mine()
        assert round_.voter.round(round_.experiment, 0).content == content_of("A")
        assert round_.voter.duty(round_.experiment, round_.voter.account) == Duty.VOTE

    def test_no_ballot_is_sent_while_its_proposal_is_being_replaced(self, chain: Chain):
        round_ = VotingRound(chain, confirmations=2)
        round_.propose("A")
        with pytest.raises(TransactionLost, match="round 0 is being replaced: nothing was sent"):
            round_.voter.vote(round_.experiment, 0, Vote(True))
        chain.mine()
        round_.voter.vote(round_.experiment, 0, Vote(True))
        assert len(chain.pool(chain.other)) == 1

    def test_contract_that_is_not_deep_enough_is_reported(self, chain: Chain):
        with pytest.raises(LedgerUnavailable, match="less than 100 blocks deep"):
            chain.view(confirmations=100).experiments()
