"""Agents that are killed (kill -9) at each step of their duties and at random times."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.support.faults.harness import World

SECRET = {"reveal_window": 600}
SEND = "eth_sendRawTransaction"
RECEIPT = "eth_getTransactionReceipt"

Worlds = Callable[..., World]


class TestKilledProposer:
    """Tests in which alice is the proposer of round 0 and is killed."""

    @pytest.mark.long
    @pytest.mark.parametrize("step", ["before-training", "after-training"])
    def test_proposer_killed_around_training_still_proposes(self, world: Worlds, step: str):
        w = world("alice", "bob", "carol", rounds=2)
        alice = w.agent("alice")
        alice.hold(step)
        w.start()
        alice.wait_until_stopped_at(step)
        alice.kill()
        alice.release(step)
        alice.start()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 2
        assert len(alice.calls("before-training")) == 2  # only the unfinished training is repeated

    @pytest.mark.long
    def test_proposer_killed_before_sending_proposes_the_trained_weights(self, world: Worlds):
        w = world("alice", "bob", "carol", swarm=None, rounds=2, gated=["alice"])
        alice = w.agent("alice")
        sending = alice.gate.hold(SEND)
        w.start()
        sending.wait()
        alice.kill()
        sending.drop()
        (trained,) = alice.journal("trained")
        assert w.is_pinned("alice", trained["content"][0])
        alice.start()
        w.final_check()
        assert w.reader.slot(0).content.sha256Hash.hex() == trained["content"][1]
        assert len(alice.calls("before-training")) == 1  # not trained again

    def test_proposer_killed_before_the_answer_proposes_once(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=2, gated=["alice"])
        answer = w.agent("alice").gate.hold(SEND, answer=True)
        w.start()
        answer.wait()
        w.agent("alice").kill()
        answer.drop()
        w.agent("alice").start()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 2

    def test_proposer_killed_before_the_receipt_proposes_once(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=2, gated=["alice"])
        receipt = w.agent("alice").gate.hold(RECEIPT)
        w.start()
        receipt.wait()
        w.agent("alice").kill()
        receipt.drop()
        w.agent("alice").start()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 2

    def test_proposer_killed_with_a_pending_transaction_proposes_once(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=2, gated=["alice"])
        alice = w.agent("alice")
        sending = alice.gate.hold(SEND)
        w.start()
        sending.wait()
        w.stop_mining()
        receipt = alice.gate.hold(RECEIPT)
        sending.release()
        receipt.wait()
        alice.kill()
        receipt.drop()
        before = alice.gate.requests
        alice.start()
        w.wait_for("alice queries the chain", lambda: alice.gate.requests > before + 30)
        w.mine()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 2


class TestKilledVoter:
    """Tests in which bob is a voter of round 0 and is killed; ballots are secret."""

    @pytest.mark.long
    @pytest.mark.parametrize("step", ["before-testing", "after-testing"])
    def test_voter_killed_around_testing_still_votes(self, world: Worlds, step: str):
        w = world("alice", "bob", "carol", rounds=2, terms=SECRET)
        bob = w.agent("bob")
        bob.hold(step)
        w.start()
        bob.wait_until_stopped_at(step)
        bob.kill()
        bob.release(step)
        bob.start()
        w.final_check()
        assert w.reader.outcomes() == ["accepted"] * 2

    def test_voter_killed_before_committing_decides_once(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=2, terms=SECRET, gated=["bob"])
        bob = w.agent("bob")
        sending = bob.gate.hold(SEND)
        w.start()
        sending.wait()
        bob.kill()
        sending.drop()
        bob.start()
        w.final_check()
        assert len([b for b in bob.journal("ballot") if b["round"] == 0]) == 1

    @pytest.mark.long
    def test_voter_killed_after_committing_still_reveals(self, world: Worlds):
        w = world("alice", "bob", "carol", rounds=2, terms=SECRET)
        bob, carol = w.agent("bob"), w.agent("carol")
        carol.hold("before-testing")
        w.start()
        w.wait_ballots(0, "bob")
        bob.kill()
        carol.release("before-testing")
        w.wait_phase(0, "revealing")
        bob.start()
        w.final_check()
        assert w.reader.slot(0).approvals == 2

    @pytest.mark.long
    @pytest.mark.parametrize("at", ["before", "after"])
    def test_voter_killed_around_revealing_still_reveals(self, world: Worlds, at: str):
        w = world("alice", "bob", "carol", rounds=2, terms=SECRET, gated=["bob"])
        bob, carol = w.agent("bob"), w.agent("carol")
        carol.hold("before-testing")
        w.start()
        w.wait_ballots(0, "bob")
        bob.wait_log("committed")
        revealing = bob.gate.hold(SEND, answer=at == "after")
        carol.release("before-testing")
        revealing.wait()
        bob.kill()
        revealing.drop()
        bob.start()
        w.final_check()
        assert w.reader.slot(0).approvals == 2


def test_experiment_completes_despite_kills_at_random_times(world: Worlds, is_long: bool):
    kills, rounds = (20, 14) if is_long else (6, 6)
    dice = random.Random(4)
    w = world("alice", "bob", "carol", "dave", rounds=rounds, joins=True, terms=SECRET)
    alice = w.agent("alice")
    alice.hold("before-testing", after=rounds - 3)  # all kills happen before the end
    w.start()
    calls = w.reader.calls()
    for _ in range(kills):
        calls = max(calls, w.reader.calls()) + dice.randrange(1, 4)
        w.wait_calls(calls, or_stopped_at=(alice, "before-testing"))
        w.agent(dice.choice(w.names)).restart()
    assert w.reader.status != "completed"
    alice.release("before-testing")
    w.final_check(seconds=300)
    assert w.reader.outcomes() == ["accepted"] * rounds
