"""The transactions behind events, read from a scripted node of a Cosmos chain."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from colearn_ledger.calls import CALLS
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.cosmos.origins import read_origins
from colearn_ledger.chains.cosmos.records import Block, ChainEvent, Executed, FullBlock
from colearn_ledger.chains.cosmos.sent_calls import decode_call
from colearn_ledger.chains.cosmos.transactions import (
    Action,
    Signing,
    execute_action,
    hash_transaction,
    pay_action,
    sign_transaction,
)
from colearn_ledger.chains.errors import NodeRefused
from colearn_ledger.ledger import Origin, RecordedEvent
from colearn_ledger.protocol import Event, LearnerLeft
from tests.support.contract_answers import ANA, BOB, CONTRACT, PARAMS
from tests.support.samples import wallet_of

HEIGHT = 7
SECOND = 1_000_000_000
TIME = 1_700_000_000
LEAVE = {"leave": {"experiment": "1"}}
PAID = ChainEvent("tx", (("fee", "5ustake"), ("fee_payer", ANA)))


def make_raw(*actions: Action, sequence: int = 0) -> bytes:
    return sign_transaction(
        wallet_of("ana"), actions, Signing("chain-1", 3, sequence, 100_000, 5, "ustake")
    )


def make_events(*learners: str) -> tuple[ChainEvent, ...]:
    """Return the events of one message by which these learners leave."""
    attributes = (
        (("_contract_address", CONTRACT), ("experiment", "1"), ("learner", each))
        for each in learners
    )
    left = (ChainEvent("wasm-learner_left", each) for each in attributes)
    return (ChainEvent("message", (("action", "any"),)), *left)


@dataclass
class ScriptedNode:
    """A node with one block; ``codes`` and ``events`` are by the transaction's place in it."""

    raws: list[bytes]
    codes: dict[int, int] = field(default_factory=dict)
    events: dict[int, tuple[ChainEvent, ...]] = field(default_factory=dict)
    refuses: bool = False
    nanoseconds: int = TIME * SECOND + 5
    name: str = "http://scripted"

    def executed_in(self, height: int) -> list[Executed]:
        if self.refuses:
            raise NodeRefused("a transaction cannot be decoded")
        return [
            Executed(
                hash_transaction(raw), HEIGHT, TIME, self.codes.get(place, 0), "", "", 1,
                self.events.get(place, (PAID,)),
            )
            for place, raw in enumerate(self.raws)
        ]  # fmt: skip

    def transaction(self, name: str) -> Executed | None:
        refuses, self.refuses = self.refuses, False
        found = next((each for each in self.executed_in(HEIGHT) if each.hash == name), None)
        self.refuses = refuses
        return found

    def full_block(self, height: int) -> FullBlock | None:
        block = Block(HEIGHT, "ab" * 32, self.nanoseconds // SECOND)
        return FullBlock(block, self.nanoseconds, tuple(self.raws))


def read(node: ScriptedNode, *events: Event, place: int = -1) -> list[Origin | None]:
    name = hash_transaction(node.raws[place])
    recorded = [RecordedEvent(number, TIME, name, event) for number, event in enumerate(events)]
    return read_origins(cast(Node, node), CONTRACT, recorded)


def leave(sender: str = ANA, sequence: int = 0, contract: str = CONTRACT) -> bytes:
    return make_raw(execute_action(sender, contract, LEAVE), sequence=sequence)


def entropy_of(number: int, nanoseconds: int = TIME * SECOND + 5) -> bytes:
    text = HEIGHT.to_bytes(8, "big") + nanoseconds.to_bytes(8, "big") + number.to_bytes(4, "big")
    return hashlib.sha256(b"CollectiveLearning entropy" + text).digest()


def test_origin_has_sender_call_arguments_and_entropy():
    [origin] = read(ScriptedNode([leave()]), LearnerLeft(1, ANA))
    assert origin == Origin(
        ANA, entropy_of(0), CALLS["leave"], (1,), other_entropy=entropy_of(2**32 - 1)
    )


@pytest.mark.parametrize(
    ("node", "number"),
    [
        (ScriptedNode([leave(BOB), leave()]), 1),
        (ScriptedNode([leave(BOB), leave()], codes={0: 5}), 1),
        (ScriptedNode([leave(BOB), leave()], codes={0: 32}, events={0: ()}), 0),
        (ScriptedNode([leave(BOB), leave()], codes={0: 32}, events={0: (ChainEvent("x", ()),)}), 0),
    ],
    ids=["succeeded", "failed", "not charged", "not charged, with another event"],
)
def test_charged_transactions_before_it_are_counted(node: ScriptedNode, number: int):
    [origin] = read(node, LearnerLeft(1, ANA))
    assert origin is not None
    assert origin.entropy == entropy_of(number)


def test_entropy_is_unknown_if_the_block_s_results_are():
    [origin] = read(ScriptedNode([leave(BOB), leave()], refuses=True), LearnerLeft(1, ANA))
    assert origin is not None
    assert (origin.entropy, origin.call) == (None, CALLS["leave"])


def test_calls_of_several_messages_belong_to_their_events():
    raw = make_raw(
        pay_action(ANA, BOB, 1, "ustake"),
        execute_action(ANA, CONTRACT, LEAVE),
        execute_action(ANA, BOB, LEAVE),
        execute_action(BOB, CONTRACT, LEAVE),
    )
    parts = (PAID, *make_events(), *make_events(ANA), *make_events(BOB), *make_events(BOB))
    node = ScriptedNode([raw], events={0: parts})
    first, through_another, last = read(
        node, LearnerLeft(1, ANA), LearnerLeft(1, BOB), LearnerLeft(1, BOB)
    )
    assert first is not None
    assert through_another is not None
    assert last is not None
    assert (first.sender, first.call, first.number) == (ANA, CALLS["leave"], 1)
    assert (through_another.call, through_another.number) == (None, 2)
    assert (last.sender, last.call, last.number) == (BOB, CALLS["leave"], 3)


def test_calls_are_unknown_if_messages_cannot_be_separated():
    raw = make_raw(*[execute_action(ANA, CONTRACT, LEAVE)] * 2)
    node = ScriptedNode([raw], events={0: (PAID, *make_events(ANA))})
    [origin] = read(node, LearnerLeft(1, ANA))
    assert origin is not None
    assert (origin.call, origin.fault) == (None, "")


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (leave(contract=BOB), ""),
        (make_raw(pay_action(ANA, BOB, 1, "ustake")), ""),
        (make_raw(), "a transaction with 0 events of the experiment"),
        (b"\xff\xff", "the transaction's bytes cannot be decoded"),
    ],
    ids=["another contract", "another module", "no message", "no transaction"],
)
def test_call_is_unknown_or_impossible_in_other_transactions(raw: bytes, fault: str):
    [origin] = read(ScriptedNode([raw]), LearnerLeft(1, ANA))
    assert origin is not None
    assert (origin.call, origin.fault) == (None, fault)


def test_block_of_another_time_is_a_fault():
    node = ScriptedNode([leave()], nanoseconds=(TIME + 1) * SECOND)
    [origin] = read(node, LearnerLeft(1, ANA))
    assert origin is not None
    assert origin.fault == f"block {HEIGHT} of the time {TIME + 1}"


CONTENT = PARAMS["spec"]
BALLOT = {"learner": ANA, "approvals": 1, "scores": "AAAA", "public_key": "", "signature": ""}


@pytest.mark.parametrize(
    "message",
    [
        *("", "null", "[]", "{}", '"leave"', '{"leave": null}', '{"leave": {}}', "\ud800"),
        '{"leave": {"experiment": 1}}',
        '{"leave": {"experiment": "-1"}}',
        '{"leave": {"experiment": "1"}, "start": {"experiment": "1"}}',
        '{"leave": {"experiment": "1", "experiment": "2"}}',
        '{"experiment": {"experiment": "1"}}',
        '{"create": {"params": 5}}',
        '{"create": {"params": {"name": "x"}}}',
        '{"admit": {"experiment": "1", "accounts": "x"}}',
        '{"admit": {"experiment": "1", "accounts": [7]}}',
        json.dumps({"announce": {"experiment": "1", "topic": 5, "content": CONTENT}}),
        json.dumps(
            {"vote_signed": {"experiment": "1", "round": 0, "proposals": "", "ballots": [BALLOT]}}
        ),
        '{"vote": {"experiment": "1", "round": 0, "proposals": "", "approvals": 70000}}',
        "[" * 10_000,
    ],
)
def test_message_that_cannot_be_decoded_is_no_call(message: str):
    assert decode_call(message.encode("utf-8", "surrogatepass")) is None


def test_reference_that_is_null_may_be_left_out():
    without: dict[str, Any] = {k: v for k, v in PARAMS.items() if k != "initial"}
    found = decode_call(json.dumps({"create": {"params": without}}).encode())
    assert found is not None
    [params] = found[1]
    assert params.initial is None
    assert found == decode_call(
        json.dumps({"create": {"params": {**without, "initial": None}}}).encode()
    )
