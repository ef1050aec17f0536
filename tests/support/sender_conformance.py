"""Tests that every chain's sender must pass; each chain subclasses them with a fixture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest

from colearn_ledger.chains.errors import BudgetSpent, BudgetUnreadable, TransactionLost
from colearn_ledger.chains.hooks import Sent
from colearn_ledger.chains.journal import Premise
from colearn_ledger.ledger import LedgerUnavailable
from tests.support.journals import change_transactions
from tests.support.waiting import Clock

ROUND = 3
DIGEST_A = "digest of proposals A"
DIGEST_B = "digest of proposals B"
JUDGES_A = Premise("the contract", 1, ROUND, DIGEST_A)
JUDGES_B = Premise("the contract", 1, ROUND, DIGEST_B)
PROPOSES_A = Premise("the contract", 1, ROUND, DIGEST_A, proposer="ana")


class ChainWithFaults(ABC):
    """A chain whose node can lose transactions, and processes that send to it with one key.

    ``proposals`` is the digest of the current round's proposals.
    """

    node: Any
    proposals: str = DIGEST_A
    highest_cost: int
    """Maximum cost of one transaction, in the smallest unit."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock

    def start_process(self, **settings: Any) -> Any:
        """Return the sender of a new process; all processes share the journal."""
        sender = self.make_sender(**settings)
        sender.check_premise = lambda premise: premise.fits(self.proposals)
        return sender

    @abstractmethod
    def make_sender(self, **settings: Any) -> Any: ...

    @abstractmethod
    def send(self, sender: Any, call: int = 0, premise: Premise | None = None) -> Sent[Any]: ...

    @abstractmethod
    def hold_blocks(self) -> None: ...

    @abstractmethod
    def make_block(self) -> None: ...

    @abstractmethod
    def lose_pool(self) -> None: ...

    @abstractmethod
    def pool(self) -> dict[int, str]:
        """Return the hashes of the pending transactions, by nonce."""

    @abstractmethod
    def included(self) -> list[str]:
        """Return the hashes of the transactions in blocks."""

    @abstractmethod
    def use_nonce_elsewhere(self) -> None:
        """Include a transaction that other software signed with the same key."""

    @abstractmethod
    def lose_next_answer(self) -> None:
        """Accept the next transaction, but break the connection before the answer."""

    @abstractmethod
    def repeat_next_answer(self) -> None:
        """Accept the next transaction, but answer that its nonce was already used."""

    @abstractmethod
    def disconnect(self) -> None:
        """Break the connection before the next transaction arrives."""

    @abstractmethod
    def refuse(self, *calls: int) -> None:
        """Make the contract refuse calls from now on."""

    @abstractmethod
    def show_amount(self, amount: int) -> str:
        """Return an amount as error messages show it."""

    def journal(self) -> Path:
        [path] = self.folder.rglob("*.jsonl")
        return path


class SenderConformance:
    """Tests of every sender; subclass it and supply the fixture ``chain``."""

    def test_transactions_in_flight_have_consecutive_nonces(self, chain: ChainWithFaults):
        chain.hold_blocks()
        sender = chain.start_process()
        sent = [chain.send(sender, call) for call in range(4)]
        assert sorted(chain.pool()) == [0, 1, 2, 3]
        chain.make_block()
        for one in sent:
            sender.wait(one, 1)
        assert len(chain.included()) == 4

    def test_processes_that_share_a_key_use_different_nonces(self, chain: ChainWithFaults):
        chain.hold_blocks()
        one, two = chain.start_process(), chain.start_process()
        sent = [chain.send(one, 1), chain.send(two, 2), chain.send(one, 3)]
        assert sorted(chain.pool()) == [0, 1, 2]
        chain.make_block()
        for item in sent:
            one.wait(item, 1)
        assert set(chain.included()) == {item.hash for item in sent}

    def test_lost_transactions_are_sent_again_as_the_same_bytes(self, chain: ChainWithFaults):
        chain.hold_blocks()
        sender = chain.start_process()
        first, second = chain.send(sender, 1), chain.send(sender, 2)
        chain.lose_pool()
        with pytest.raises(LedgerUnavailable, match="read the state before"):
            sender.wait(second, 0.05)
        assert set(chain.pool().values()) == {first.hash, second.hash}
        chain.make_block()
        for one in (first, second):
            sender.wait(one, 1)
        assert len(chain.included()) == 2

    def test_repeated_call_resumes_a_transaction_whose_answer_was_lost(
        self, chain: ChainWithFaults
    ):
        sender = chain.start_process()
        chain.lose_next_answer()
        with pytest.raises(LedgerUnavailable):
            chain.send(sender)
        assert len(chain.included()) == 1
        again = chain.send(sender)
        sender.wait(again, 1)
        assert chain.included() == [again.hash]

    def test_restarted_process_resumes_the_transaction_in_flight(self, chain: ChainWithFaults):
        chain.hold_blocks()
        before = chain.send(chain.start_process())
        again = chain.send(chain.start_process())
        assert again.hash == before.hash
        assert len(chain.pool()) == 1
        chain.make_block()
        third = chain.send(chain.start_process())  # the caller has seen the block
        assert third.hash != before.hash

    def test_repeated_call_after_a_receipt_is_a_new_transaction(self, chain: ChainWithFaults):
        sender = chain.start_process()
        for _ in range(2):
            sender.wait(chain.send(sender), 1)
        assert len(chain.included()) == 2

    def test_equal_call_while_one_is_awaited_is_a_new_transaction(self, chain: ChainWithFaults):
        chain.hold_blocks()
        sender = chain.start_process()
        one, two = chain.send(sender), chain.send(sender)
        assert one.hash != two.hash
        chain.make_block()
        for sent in (one, two):
            sender.wait(sent, 1)
        assert set(chain.included()) == {one.hash, two.hash}

    def test_used_nonce_is_not_an_error_if_the_transaction_itself_used_it(
        self, chain: ChainWithFaults
    ):
        sender = chain.start_process()
        chain.repeat_next_answer()
        sender.wait(chain.send(sender), 1)
        assert len(chain.included()) == 1

    def test_transaction_whose_nonce_other_software_used_is_reported_lost(
        self, chain: ChainWithFaults
    ):
        chain.hold_blocks()
        sender = chain.start_process()
        mine = chain.send(sender)
        chain.lose_pool()
        chain.use_nonce_elsewhere()
        with pytest.raises(TransactionLost, match=r"0 of .* was used for another"):
            sender.wait(mine, 5)
        assert chain.send(sender).entry.nonce == 1

    def test_call_can_be_repeated_after_the_node_was_unreachable(self, chain: ChainWithFaults):
        sender = chain.start_process()
        chain.disconnect()
        with pytest.raises(LedgerUnavailable):
            chain.send(sender)
        sender.wait(chain.send(sender), 1)
        assert len(chain.included()) == 1

    def test_lost_transaction_that_the_contract_refuses_now_is_dropped_with_later_ones(
        self, chain: ChainWithFaults
    ):
        chain.hold_blocks()
        before = chain.start_process()
        for call in (1, 2):
            chain.send(before, call)
        chain.lose_pool()
        chain.refuse(1)
        after = chain.start_process()
        other = chain.send(after, 5)
        assert chain.pool() == {0: other.hash}
        chain.make_block()
        after.wait(other, 1)
        assert chain.included() == [other.hash]


class PremiseConformance:
    """Tests that a call is sent again only while its round has the proposals that it assumes."""

    def test_lost_ballot_is_sent_again_while_its_proposals_stand(self, chain: ChainWithFaults):
        chain.hold_blocks()
        ballot = chain.send(chain.start_process(), 1, JUDGES_A)
        chain.lose_pool()
        chain.send(chain.start_process(), 2)
        assert chain.pool()[0] == ballot.hash

    def test_lost_ballot_is_dropped_when_its_round_has_other_proposals(
        self, chain: ChainWithFaults
    ):
        chain.hold_blocks()
        sender = chain.start_process()
        chain.send(sender, 1, JUDGES_A)
        chain.lose_pool()
        chain.proposals = DIGEST_B
        rejection = chain.send(sender, 2, JUDGES_B)
        chain.make_block()
        sender.wait(rejection, 1)
        assert chain.included() == [rejection.hash]

    def test_lost_ballot_is_dropped_when_its_round_has_no_proposals_yet(
        self, chain: ChainWithFaults
    ):
        chain.hold_blocks()
        chain.send(chain.start_process(), 1, JUDGES_A)
        chain.lose_pool()
        chain.proposals = ""
        other = chain.send(chain.start_process(), 2)
        assert chain.pool() == {0: other.hash}

    def test_restarted_process_drops_a_lost_ballot_too(self, chain: ChainWithFaults):
        chain.hold_blocks()
        chain.send(chain.start_process(), 1, JUDGES_A)
        chain.lose_pool()
        chain.proposals = DIGEST_B
        other = chain.send(chain.start_process(), 2)
        assert chain.pool() == {0: other.hash}

    def test_awaited_ballot_is_dropped_when_its_round_has_other_proposals(
        self, chain: ChainWithFaults
    ):
        chain.hold_blocks()
        sender = chain.start_process()
        ballot = chain.send(sender, 1, JUDGES_A)
        chain.lose_pool()
        chain.proposals = DIGEST_B
        with pytest.raises(TransactionLost, match="round 3 now has other proposals"):
            sender.wait(ballot, 5)
        assert chain.pool() == {}

    def test_lost_proposal_is_sent_again_while_its_slot_is_open(self, chain: ChainWithFaults):
        chain.hold_blocks()
        chain.proposals = ""
        proposal = chain.send(chain.start_process(), 1, PROPOSES_A)
        chain.lose_pool()
        chain.send(chain.start_process(), 2)
        assert chain.pool()[0] == proposal.hash

    def test_lost_proposal_is_dropped_when_its_slot_has_another(self, chain: ChainWithFaults):
        chain.hold_blocks()
        chain.proposals = ""
        chain.send(chain.start_process(), 1, PROPOSES_A)
        chain.lose_pool()
        chain.proposals = DIGEST_B
        other = chain.send(chain.start_process(), 2)
        assert chain.pool() == {0: other.hash}


class JournalConformance(ABC):
    """Tests that a transaction that was changed on disk is not sent."""

    def test_transaction_whose_hash_does_not_match_is_not_sent(self, chain: ChainWithFaults):
        chain.hold_blocks()
        chain.send(chain.start_process(), 1)
        chain.lose_pool()
        change_transactions(chain.journal(), self.damage)
        other = chain.send(chain.start_process(), 2)
        chain.make_block()
        assert chain.included() == [other.hash]

    def test_altered_transaction_is_not_offered_to_the_node(
        self, chain: ChainWithFaults, caplog: pytest.LogCaptureFixture
    ):
        chain.hold_blocks()
        sender = chain.start_process()
        sent = chain.send(sender, 1)
        change_transactions(chain.journal(), self.damage)
        chain.lose_pool()
        with pytest.raises(TransactionLost, match="was changed on the disk"):
            sender.wait(sent, 60)
        assert len(chain.node.offered) == 1
        assert "find out who can write to the journal" in caplog.text
        assert chain.send(sender, 2).entry.nonce == 0

    def test_transaction_with_the_name_of_another_call_is_not_sent(self, chain: ChainWithFaults):
        chain.hold_blocks()
        chain.send(chain.start_process(), 1)
        chain.lose_pool()
        change_transactions(chain.journal(), lambda line: line.update(call="another call"))
        other = chain.send(chain.start_process(), 2)
        assert chain.pool() == {0: other.hash}

    @abstractmethod
    def damage(self, line: dict[str, Any]) -> None:
        """Change a transaction in a line of the journal."""


class BudgetConformance:
    """Tests that all processes with one key together spend at most the daily budget."""

    def test_budget_limits_what_all_processes_of_a_day_spend(self, chain: ChainWithFaults):
        chain.hold_blocks()
        budget = chain.highest_cost * 2
        for call in (1, 2):
            chain.send(chain.start_process(daily_budget=budget), call)
        with pytest.raises(BudgetSpent, match=r"nothing was sent.*--daily-budget") as refused:
            chain.send(chain.start_process(daily_budget=budget), 3)
        assert str(refused.value).count(chain.show_amount(budget)) == 2  # the budget, the spending
        assert chain.show_amount(chain.highest_cost) in str(refused.value)
        assert len(chain.pool()) == 2

    def test_next_day_has_its_own_budget(self, chain: ChainWithFaults):
        chain.hold_blocks()
        sender = chain.start_process(daily_budget=chain.highest_cost)
        chain.send(sender, 1)
        chain.clock.sleep(86_400)
        chain.send(sender, 2)
        assert len(chain.pool()) == 2

    def test_transaction_sent_again_is_counted_once(self, chain: ChainWithFaults):
        chain.hold_blocks()
        sender = chain.start_process(daily_budget=chain.highest_cost * 2)
        chain.send(sender, 1)
        chain.lose_pool()
        chain.send(sender, 2)
        assert len(chain.pool()) == 2

    def test_unreadable_spending_file_prevents_sending(self, chain: ChainWithFaults):
        chain.hold_blocks()
        chain.send(chain.start_process(daily_budget=chain.highest_cost), 1)
        [path] = chain.folder.rglob("*.spending.json")
        path.write_text('{"date": ')
        with pytest.raises(BudgetUnreadable, match=r"spending\.json.*remove the file"):
            chain.send(chain.start_process(daily_budget=chain.highest_cost), 2)
