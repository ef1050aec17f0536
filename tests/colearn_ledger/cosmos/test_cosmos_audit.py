"""An audit of experiments on wasmd compares every event with its transaction.

The node of these tests lies about transactions and blocks. Each lie is found in its round.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from colearn_ledger.audit import AuditReport, FindingKind, audit_experiment
from colearn_ledger.calls import REVEAL, VOTE, VOTE_SIGNED
from colearn_ledger.chains.cosmos.encoder import CosmosEncoder
from colearn_ledger.chains.cosmos.records import Executed, FullBlock
from colearn_ledger.chains.cosmos.transactions import Action, execute_action, pay_action
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, RecordedEvent
from colearn_ledger.protocol import (
    Event,
    RoundStarted,
    Selection,
    VoteCast,
    WeightsProposed,
)
from tests.support.audited import audit_all
from tests.support.cosmos_place import Place, start_place
from tests.support.lying_cosmos_node import LyingNode, change_attribute, forge_call, read_raw
from tests.support.samples import ANYONE, salt_of, wallet_of
from tests.support.waiting import LIMIT
from tests.support.world import World

ROUND = 1
PEOPLE = ("ana", "bob", "cy")
SECRET = {"selection": Selection.RANDOM, "reveal_window": 1_000, "rounds": 2}


class WasmdWorld(World):
    """People on wasmd whose experiments never wait for a deadline."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.ledger = place.ledger(wallet_of(ANYONE))

    def connect(self, wallet: Wallet) -> Ledger:
        self.place.fund([wallet])
        return self.ledger.acting_for(wallet)

    def set_time(self, time: int) -> None:
        raise NotImplementedError

    def voters(self) -> list[str]:
        return [name for name in PEOPLE if name not in self.proposers()]

    def propose_and_commit(self) -> None:
        self.propose(self.proposer())
        for name in self.voters():
            self.commit(name)

    def action(self, name: str, call: Any, *arguments: object) -> Action:
        message = CosmosEncoder().encode(call, (self.id, *arguments))
        return execute_action(self.account(name), self.ledger.contract, message)


@dataclass(frozen=True)
class Played:
    """A completed experiment and its events."""

    place: Place
    world: WasmdWorld
    events: list[RecordedEvent]

    def find(self, kind: type[Event], round_index: int) -> RecordedEvent:
        wanted = (
            each
            for each in self.events
            if isinstance(each.event, kind) and getattr(each.event, "round", None) == round_index
        )
        return next(wanted)

    def audit(self, node: LyingNode) -> AuditReport:
        return audit_experiment(node.view(self.world.ledger.contract), None, self.world.id)


@pytest.fixture(
    scope="module",
    params=[
        "newest",
        pytest.param("0.61", marks=pytest.mark.long),
        pytest.param("0.27", marks=pytest.mark.long),
    ],
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    if request.param == "newest":
        yield request.getfixturevalue("cosmos_place")
    else:
        with start_place(tmp_path_factory.mktemp("wasmd"), wasmd=request.param) as old:
            yield old


@pytest.fixture(scope="module")
def secret(place: Place) -> Played:
    world = WasmdWorld(place)
    world.run(*PEOPLE, **SECRET)
    for _ in range(2):
        world.propose_and_commit()
        for name in world.voters():
            world.reveal(name)
    return Played(place, world, world.ledger.events(world.id))


@pytest.fixture(scope="module")
def signed(place: Place) -> Played:
    world = WasmdWorld(place)
    world.run(*PEOPLE, rounds=2)
    for _ in range(2):
        world.propose(world.proposer())
        one, other = map(world.sign_ballot, world.voters())
        broken = replace(one, signature=other.signature)
        world.submit_ballots(broken, one, one, other)
    return Played(place, world, world.ledger.events(world.id))


@pytest.fixture
def node(place: Place) -> Iterator[LyingNode]:
    node = LyingNode(place)
    yield node
    node.close()


def count_calls(events: list[RecordedEvent]) -> int:
    return len({each.transaction for each in events})


def test_every_call_of_a_secret_and_random_experiment_is_checked(secret: Played, node: LyingNode):
    report = secret.audit(node)
    assert report.findings == ()
    assert report.unchecked == ("All files: no store was given.",)
    assert report.counts.transactions == count_calls(secret.events)
    assert (report.counts.reveals, report.counts.selections) == (4, 2)


def test_every_signed_ballot_is_verified(signed: Played, node: LyingNode):
    report = signed.audit(node)
    assert report.findings == ()
    assert report.unchecked == ("All files: no store was given.",)
    assert report.counts.signatures == 8


# ------------------------------------------------------------------ lies about transactions


def set_bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], None]:
    def edit(arguments: dict[str, Any]) -> None:
        old = base64.b64decode(arguments[name])
        arguments[name] = base64.b64encode(change(old)).decode()

    return edit


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


FORGERIES: dict[str, tuple[type[Event], Callable[[dict[str, Any]], Any], str]] = {
    "salt": (VoteCast, set_bytes("salt", flip_last), "BadReveal"),
    "score": (VoteCast, set_bytes("scores", flip_last), "vote of reveal"),
    "approvals": (VoteCast, lambda call: call.update(approvals=0), "vote of reveal"),
    "round": (VoteCast, lambda call: call.update(round=0), "round of reveal"),
    "score of a proposer": (
        WeightsProposed,
        lambda call: call.update(vote_score="4607182418800017408"),
        "scores of propose",
    ),
    "file": (
        WeightsProposed,
        lambda call: call["content"].update(size="9"),
        "content of propose",
    ),
}


@pytest.mark.parametrize("lie", FORGERIES)
def test_forged_argument_is_found_in_its_round(lie: str, secret: Played, node: LyingNode):
    kind, change, words = FORGERIES[lie]
    name = secret.find(kind, ROUND).transaction
    node.forged[name] = forge_call(read_raw(node, name), change)
    first = secret.audit(node).findings[0]
    assert first.round == ROUND
    assert words in first.subject + first.found


def test_forged_sender_is_found_in_its_round(secret: Played, node: LyingNode):
    name = secret.find(VoteCast, ROUND).transaction
    stranger = secret.world.account("stranger")
    raw = read_raw(node, name)
    node.forged[name] = forge_call(raw, lambda call: None, sender=stranger)
    [finding] = secret.audit(node).findings
    assert (finding.kind, finding.round) == (FindingKind.TRANSACTION, ROUND)
    assert (finding.subject, finding.found) == ("sender of reveal", stranger)


def test_forged_signature_is_found_in_its_round(signed: Played, node: LyingNode):
    name = signed.find(VoteCast, ROUND).transaction

    def change(call: dict[str, Any]) -> None:
        set_bytes("signature", flip_last)(call["ballots"][3])

    node.forged[name] = forge_call(read_raw(node, name), change)
    [finding] = signed.audit(node).findings
    assert (finding.kind, finding.round) == (FindingKind.TRANSACTION, ROUND)
    assert (finding.subject[:13], finding.found) == ("signed ballot", "an invalid signature")


@pytest.mark.parametrize("parts", [(32, 65), (34, 63)])
def test_key_and_signature_are_not_joined_at_another_place(
    parts: tuple[int, int], signed: Played, node: LyingNode
):
    name = signed.find(VoteCast, ROUND).transaction

    def change(call: dict[str, Any]) -> None:
        ballot = call["ballots"][3]
        joined = base64.b64decode(ballot["public_key"]) + base64.b64decode(ballot["signature"])
        ballot["public_key"] = base64.b64encode(joined[: parts[0]]).decode()
        ballot["signature"] = base64.b64encode(joined[parts[0] :]).decode()

    node.forged[name] = forge_call(read_raw(node, name), change)
    [finding] = signed.audit(node).findings
    assert (finding.round, finding.found) == (ROUND, "an invalid signature")


def test_false_score_in_an_event_is_found_in_its_round(secret: Played, node: LyingNode):
    scores = "3ff0000000000000" * 4
    node.rewrite_events = change_attribute("vote_cast", ROUND, scores=scores)
    findings = secret.audit(node).findings
    assert {finding.round for finding in findings} == {ROUND}


def test_false_learner_in_an_event_is_found_in_its_round(secret: Played, node: LyingNode):
    other = secret.world.account("stranger")
    node.rewrite_events = change_attribute("weights_proposed", ROUND, proposer=other)
    assert secret.audit(node).findings[0].round == ROUND


def test_call_of_another_contract_is_not_compared(secret: Played, node: LyingNode):
    name = secret.find(WeightsProposed, ROUND).transaction
    other = secret.world.account("stranger")
    node.forged[name] = forge_call(read_raw(node, name), lambda call: None, contract=other)
    report = secret.audit(node)
    assert report.findings == ()
    assert report.unchecked[0].startswith("1 events were not compared with the calls")


# ------------------------------------------------------------------ lies about blocks


def change_block_of(
    lied: RecordedEvent, node: LyingNode, change: Callable[[FullBlock], FullBlock | None]
) -> None:
    executed = node.transaction(lied.transaction)
    assert executed is not None
    height = executed.height
    node.rewrite_block = lambda block: change(block) if block.block.height == height else block


def test_bytes_of_another_transaction_are_found_in_their_round(secret: Played, node: LyingNode):
    lied = secret.find(VoteCast, ROUND)
    other = read_raw(node, secret.find(VoteCast, 0).transaction)
    change_block_of(lied, node, lambda block: replace(block, transactions=(other,)))
    first = secret.audit(node).findings[0]
    assert (first.kind, first.round) == (FindingKind.TRANSACTION, ROUND)
    assert "without this transaction" in first.found


def test_failed_transaction_is_found_in_its_round(secret: Played, node: LyingNode):
    name = secret.find(WeightsProposed, ROUND).transaction
    node.rewrite_transaction = lambda found: replace(found, code=5) if found.hash == name else found
    [finding] = secret.audit(node).findings
    assert (finding.kind, finding.round) == (FindingKind.TRANSACTION, ROUND)
    assert "failed with code 5" in finding.found


def test_block_of_another_time_is_found_in_its_round(secret: Played, node: LyingNode):
    change_block_of(
        secret.find(WeightsProposed, ROUND),
        node,
        lambda block: replace(block, block=replace(block.block, time=block.block.time + 1)),
    )
    [finding] = secret.audit(node).findings
    assert (finding.kind, finding.round) == (FindingKind.TRANSACTION, ROUND)


def test_false_entropy_is_found_in_its_round(secret: Played, node: LyingNode):
    change_block_of(
        secret.find(RoundStarted, ROUND),
        node,
        lambda block: replace(block, nanoseconds=block.nanoseconds ^ 1),
    )
    first = secret.audit(node).findings[0]
    assert first.round == ROUND
    assert first.subject in ("proposers of round started", "seed of the experiment")


def test_dropped_block_leaves_its_calls_and_later_seeds_unchecked(secret: Played, node: LyingNode):
    change_block_of(secret.find(RoundStarted, ROUND), node, lambda block: None)
    report = secret.audit(node)
    assert report.findings == ()
    assert report.counts.selections == 1
    calls, seeds, _ = report.unchecked
    assert calls.startswith("1 events were not compared")
    assert seeds.startswith("The seeds")


# ------------------------------------------------------------------ several calls


def test_calls_of_one_transaction_are_distinguished(place: Place, node: LyingNode):
    world = WasmdWorld(place)
    world.run(*PEOPLE, "dan", rounds=1)
    world.propose(world.proposer())
    voters = [name for name in (*PEOPLE, "dan") if name not in world.proposers()]
    ballots = [world.sign_ballot(name) for name in voters[:2]]
    basis, vote = world.make_basis(), world.make_vote(voters[2])
    sender = world.account(voters[2])
    actions = [
        pay_action(sender, world.account(ANYONE), 1, place.terms.denomination),
        *(
            world.action(voters[2], VOTE_SIGNED, basis.round, basis.proposals, [ballot] * 2)
            for ballot in ballots
        ),
        world.action(voters[2], VOTE, basis.round, basis.proposals, vote),
    ]
    sent = place.sender.send(wallet_of(voters[2]), *actions)
    assert place.sender.wait(sent, LIMIT).code == 0
    report = audit_experiment(world.ledger, None, world.id)
    assert report.findings == ()
    assert report.unchecked == ("All files: no store was given.",)
    assert report.counts.signatures == 4

    def drop_skipped(found: Executed) -> Executed:
        kept = [each for each in found.events if each.type != "wasm-ballot_skipped"]
        return replace(found, events=tuple(kept))

    node.rewrite_events = drop_skipped
    found = audit_experiment(node.view(world.ledger.contract), None, world.id).findings
    assert {(each.kind, each.round) for each in found} == {(FindingKind.TRANSACTION, 0)}
    assert "7 events of the experiment" in found[0].found


def test_rounds_are_drawn_by_the_place_among_charged_transactions(place: Place):
    world = WasmdWorld(place)
    world.run(*PEOPLE, **{**SECRET, "rounds": 8})
    refused = execute_action(
        world.account(ANYONE), world.ledger.contract, {"advance": {"experiment": "999"}}
    )
    for index in range(7):
        world.propose_and_commit()
        reveals = [
            (name, world.action(name, REVEAL, index, world.make_vote(name), salt_of(name)))
            for name in world.voters()
        ]
        height = place.node.head().height
        while place.node.head().height == height:  # the next block is then as far away as possible
            pass
        sent = [place.sender.send(wallet_of(ANYONE), refused, gas=300_000)]
        sent += [place.sender.send(wallet_of(name), one, gas=900_000) for name, one in reveals]
        done = [place.sender.wait(each, LIMIT) for each in sent]
        assert done[0].code != 0
        if done[0].height == done[2].height:
            audit_all(world.ledger)
            return
    raise AssertionError("the transactions were never in one block")
