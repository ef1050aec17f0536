"""Learners that do nothing, or propose bad weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from colearn_ledger.protocol import Scores
from tests.support.faults.agents import DEADLINE
from tests.support.faults.harness import World

Worlds = Callable[..., World]

HONEST = ("alice", "bob", "carol")


def test_absent_learner_gets_strikes_and_delays_nobody(world: Worlds):
    w = world("mallory", *HONEST, rounds=4)
    w.start(*HONEST)
    mallory = w.agent("mallory").account
    w.agent("alice").wait_log('"adopted"')
    w.pass_time(601)
    for index in (1, 2, 3):
        w.wait_phase(index, "voting")
        w.wait_ballots(index, *(n for n in HONEST if n != HONEST[index - 1]))
        w.pass_time(601)
    w.final_check(*HONEST)
    assert w.reader.outcomes() == ["no proposal", *["accepted"] * 3]
    assert w.reader.strikes(mallory) == 3  # ballots; one proposal is counted separately
    assert not any(w.reader.strikes(w.agent(name).account) for name in HONEST)
    advances = [t for t in w.reader.transactions() if t.call == "advance"]
    assert sum(t.succeeded for t in advances) == 4
    sent = Counter(t.account for t in advances)  # a slow agent may advance too late, but only once
    assert max(sent.values()) <= 4


def test_poisoned_weights_are_rejected(world: Worlds):
    w = world("mallory", *HONEST, rounds=4)
    w.agent("mallory").arguments = ("--learner-arg", "poison=true")
    w.start()
    w.final_check()
    assert w.reader.outcomes() == ["rejected", *["accepted"] * 3]


@pytest.mark.parametrize("kind", ["malformed", pytest.param("missing", marks=pytest.mark.long)])
def test_unusable_weights_are_rejected(world: Worlds, kind: str):
    w = world("mallory", *HONEST, rounds=4, terms={"settle_early": True})
    if kind == "malformed":
        content = w.store("mallory").put([b"these are no weights" * 10])
    else:
        content = w.missing_content()
    w.view("mallory").propose(w.experiment, 0, content, Scores()).wait(DEADLINE)
    w.start(*HONEST)
    if kind == "missing":
        for name in HONEST:
            w.agent(name).wait_log("waiting for the proposal")
        w.move_clock_to_last_call(0)
        w.wait_round(1)
        w.restart_clock()
    w.final_check(*HONEST)
    assert w.reader.outcomes() == ["rejected", *["accepted"] * 3]
