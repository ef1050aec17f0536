"""CosmosLedger on a real wasmd: behaviour that the scenarios of all ledgers do not cover."""

from __future__ import annotations

import base64
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgInstantiateContract
from google.protobuf.any_pb2 import Any as AnyMessage

from colearn_ledger.chains.cosmos import (
    CosmosConfig,
    CosmosLedger,
    CosmosSenderConfig,
    EmptyWallet,
    GrpcConfig,
    MissingChainId,
    WrongChain,
    WrongContract,
    artifact,
    deployment,
)
from colearn_ledger.chains.cosmos.artifact import load_artifact
from colearn_ledger.chains.cosmos.deployment import deploy_contract
from colearn_ledger.chains.cosmos.node import Node
from colearn_ledger.chains.errors import KeyInUse
from colearn_ledger.keys.signing import sign_ballot
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger, LedgerUnavailable, Pending
from colearn_ledger.protocol import (
    Admission,
    AlreadyJoined,
    BallotSkipped,
    Basis,
    ContentRef,
    DeadlineNotPassed,
    Duty,
    ExperimentId,
    ExperimentParams,
    LearnerAdmitted,
    LearnerJoined,
    ProtocolError,
    RoundClosed,
    Scores,
    SkipReason,
    Vote,
    VoteCast,
)
from colearn_ledger.relay.http import RelayClient, serving
from colearn_ledger.relay.relay import Relay
from colearn_localnet.cosmos import CosmosChain
from tests.support.cosmos_place import Place
from tests.support.joining import join
from tests.support.waiting import LIMIT, run_with_limit, wait_until_true

SPEC = ContentRef.from_digest(0x55, b"\xab" * 32, "ab" * 32, 5)
WEIGHTS = ContentRef.from_digest(0x55, b"\xcd" * 32, "cd" * 32, 7)
ANA, BOB, CY = (Wallet.from_key(bytes([n]) * 32) for n in (41, 42, 43))
VOTE = Vote(1, (Scores(), Scores(0.5, None)))
PARAMS = ExperimentParams("x", SPEC, None, 3, 2, 10, propose_window=1_000, vote_window=1_000)


@pytest.fixture(scope="module")
def place(cosmos_place: Place) -> Place:
    cosmos_place.fund([ANA, BOB, CY])
    return cosmos_place


@pytest.fixture
def ledger(place: Place) -> CosmosLedger:
    return place.ledger(ANA)


def start_voting(ledger: CosmosLedger) -> Basis:
    """Start an experiment of Ana, Bob and Cy, in which Ana has proposed; return what they judge."""
    number = ledger.create(PARAMS).wait(LIMIT).experiment
    for view in (ledger, ledger.acting_for(BOB), ledger.acting_for(CY)):
        join(view, number).wait(LIMIT)
    ledger.start(number).wait(LIMIT)
    ledger.propose(number, 0, WEIGHTS, Scores()).wait(LIMIT)
    return Basis(number, 0, bytes.fromhex(WEIGHTS.sha256))


class TestConnection:
    def test_view_without_wallet_reads_but_cannot_send(self, place: Place, ledger: CosmosLedger):
        number = start_voting(ledger).experiment
        view = CosmosLedger.connect(place.terms, ledger.contract, config=place.config)
        assert not isinstance(view, Ledger)
        assert not hasattr(view, "join")
        assert view.experiment(number) == ledger.experiment(number)
        assert view.duty(number, ledger.acting_for(BOB).account) == Duty.VOTE

    def test_node_of_another_chain_is_refused_before_anything_is_sent(self, place: Place):
        config = replace(place.config, chain_id="fetchhub-4")
        with pytest.raises(WrongChain, match="on chain colearn-local, not on chain fetchhub-4"):
            CosmosLedger.connect(place.terms, place.instance(), ANA, config=config)
        before = place.node.account(place.sender.address(ANA))
        with pytest.raises(WrongChain):
            deploy_contract(place.terms, ANA, config=config)
        assert place.node.account(place.sender.address(ANA)) == before

    def test_address_without_contract_is_refused(self, place: Place):
        with pytest.raises(WrongContract, match="there is no contract at"):
            CosmosLedger.connect(place.terms, place.sender.address(BOB), ANA, config=place.config)

    def test_contract_with_other_code_is_refused(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ):
        other = artifact.Artifact(b"", bytes(32))
        monkeypatch.setattr(deployment, "load_artifact", lambda: other)
        with pytest.raises(WrongContract, match="is not the one that this version"):
            CosmosLedger.connect(place.terms, place.instance(), ANA, config=place.config)

    def test_contract_with_an_admin_is_refused(self, place: Place):
        admin = place.sender.address(place.bank)
        message = AnyMessage()
        message.Pack(
            MsgInstantiateContract(
                sender=admin, admin=admin, code_id=place.code, label="x", msg=b"{}"
            ),
            type_url_prefix="/",
        )
        sent = place.sender.send(place.bank, message.SerializeToString())
        made = place.sender.wait(sent, LIMIT)
        (contract,) = (
            dict(event.attributes)["_contract_address"]
            for event in made.events
            if event.type == "instantiate"
        )
        with pytest.raises(WrongContract, match=f"has the admin {admin}"):
            CosmosLedger.connect(place.terms, contract, ANA, config=place.config)

    def test_signing_domain_equals_the_one_of_the_contract(self, ledger: CosmosLedger):
        answer = ledger._channel.node.query(ledger.contract, {"domain": {}}, dict)
        place = (answer["chain_id"], answer["contract"])
        assert place == (ledger.domain.chain_id, ledger.domain.contract)
        assert base64.b64decode(answer["separator"]) == ledger.domain.separator

    def test_unreachable_node_raises_ledger_unavailable(self, place: Place):
        terms = replace(place.terms, grpc="http://127.0.0.1:9")
        config = CosmosConfig(grpc=GrpcConfig(timeout=1.0, patience=0.3))
        with pytest.raises(LedgerUnavailable, match=r"http://127\.0\.0\.1:9 does not answer"):
            CosmosLedger.connect(terms, place.instance(), ANA, config=config)

    def test_nothing_is_signed_without_a_chain_id(self, place: Place):
        config = replace(place.config, chain_id=None)
        ledger = CosmosLedger.connect(place.terms, place.instance(), ANA, config=config)
        assert ledger.experiments() == []
        with pytest.raises(MissingChainId, match=rf"chain {place.sender.chain_id}\. .*chain_id="):
            ledger.cancel(ExperimentId(1))
        with pytest.raises(MissingChainId):
            deploy_contract(place.terms, ANA, config=config)

    def test_stored_code_is_the_code_of_this_package(self, place: Place):
        info = place.node.contract(place.instance())
        assert info is not None
        assert (info.checksum, info.admin) == (load_artifact().checksum, "")


class TestCalls:
    def test_empty_wallet_is_reported_before_anything_is_sent(
        self, place: Place, ledger: CosmosLedger
    ):
        poor = Wallet.create()
        account = place.sender.address(poor)
        with pytest.raises(EmptyWallet, match=f"{account} holds 0 stake"):
            ledger.acting_for(poor).create(PARAMS)
        with pytest.raises(EmptyWallet, match=f"{account} holds 0 stake"):
            deploy_contract(place.terms, poor, config=place.config)
        place.pay([account], 1_000)
        with pytest.raises(EmptyWallet, match=f"{account} holds 1,000 stake"):
            ledger.acting_for(poor).create(PARAMS)

    def test_ledgers_that_share_a_key_and_a_journal_lose_no_call(
        self, place: Place, ledger: CosmosLedger
    ):
        """Two independent ledgers share a journal, as processes do."""
        other = place.ledger(ANA, ledger.contract)
        ids: list[int] = []

        def create(view: CosmosLedger, name: str) -> None:
            for i in range(3):
                mine = replace(PARAMS, name=f"{name}{i}")
                ids.append(view.create(mine).wait(LIMIT).experiment)

        views = zip((ledger, other) * 2, "abcd", strict=True)
        threads = [threading.Thread(target=create, args=view) for view in views]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ids) == list(range(1, 13))

    def test_ledgers_that_share_only_a_key_lose_no_call(
        self, place: Place, ledger: CosmosLedger, tmp_path: Path
    ):
        """A second journal stands for another program, which does not see these transactions."""
        config = replace(place.config, sending=CosmosSenderConfig(journal=tmp_path))
        other = CosmosLedger.connect(place.terms, ledger.contract, ANA, config=config)
        views = (ledger, other, ledger, other)
        sent = [
            wait_until_true(lambda view=view, name=f"{number}": self.try_to_create(view, name))
            for number, view in enumerate(views)
        ]
        assert sorted(one.wait(LIMIT).experiment for one in sent) == [1, 2, 3, 4]

    def try_to_create(self, ledger: CosmosLedger, name: str) -> Pending | None:
        try:
            return ledger.create(replace(PARAMS, name=name))
        except KeyInUse:
            return None

    def test_call_refused_in_its_block_raises_the_protocol_error(self, ledger: CosmosLedger):
        """Both calls pass the simulation; the second one is refused in its block."""
        number = ledger.create(PARAMS).wait(LIMIT).experiment
        experiment_hash = ledger.experiment(number).hash
        first, second = ledger.join(number, experiment_hash), None
        try:
            second = ledger.acting_for(ANA).join(number, experiment_hash, b"\1" * 32)
        except AlreadyJoined:
            first.wait(LIMIT)  # the first call was already in a block
            return
        first.wait(LIMIT)
        with pytest.raises(AlreadyJoined) as refused:
            second.wait(LIMIT)
        assert refused.value.args == (ledger.account,)

    def test_call_that_ran_out_of_gas_is_sent_again_with_more(
        self, place: Place, ledger: CosmosLedger
    ):
        config = replace(
            place.config,
            sending=replace(place.config.sending, gas_headroom=0.6, gas_margin=0),
        )
        short = CosmosLedger.connect(place.terms, ledger.contract, ANA, config=config)
        receipt = short.create(PARAMS).wait(LIMIT)
        assert receipt.experiment == 1
        assert receipt.cost > 50_000
        assert [e.id for e in ledger.experiments()] == [1]

    def test_repeated_call_after_a_timeout_takes_effect_once(
        self, ledger: CosmosLedger, monkeypatch: pytest.MonkeyPatch
    ):
        sent = ledger.create(PARAMS)
        with monkeypatch.context() as late:
            late.setattr(Node, "transaction", lambda node, name: None)  # not in a block yet
            with pytest.raises(LedgerUnavailable, match=r"is in no block after 0 s"):
                sent.wait(0.0)
        assert ledger.create(PARAMS).wait(LIMIT).experiment == 1  # resumed, not created twice
        assert len(ledger.experiments()) == 1


class TestEvents:
    def test_receipt_and_ledger_return_the_same_events_of_a_batch(
        self, place: Place, ledger: CosmosLedger
    ):
        basis = start_voting(ledger)
        number = basis.experiment
        ballots = [sign_ballot(wallet, ledger.domain, basis, VOTE) for wallet in (BOB, BOB, CY)]
        sent = ledger.vote_signed(number, 0, basis.proposals, ballots)
        events = sent.wait(LIMIT).events
        bob, cy = (place.sender.address(wallet) for wallet in (BOB, CY))
        assert events[:4] == (
            VoteCast(number, 0, bob, VOTE),
            BallotSkipped(number, 0, bob, SkipReason.ALREADY_VOTED),
            VoteCast(number, 0, cy, VOTE),
            events[3],
        )
        assert isinstance(events[3], RoundClosed)
        recorded = ledger.events(number)
        assert tuple(r.event for r in recorded[-len(events) :]) == events
        fresh = place.ledger(BOB, ledger.contract)
        assert fresh.events(number) == recorded
        assert fresh.events(number, after=recorded[2].cursor, limit=2) == recorded[3:5]

    def test_call_with_a_hundred_accounts_emits_a_hundred_events_in_order(
        self, place: Place, ledger: CosmosLedger
    ):
        number = (
            ledger.create(replace(PARAMS, admission=Admission.ALLOWLIST)).wait(LIMIT).experiment
        )
        wanted = [Wallet.create().cosmos_address("wasm") for _ in range(100)]
        receipt = ledger.admit(number, wanted).wait(LIMIT)
        assert receipt.events == tuple(LearnerAdmitted(number, account) for account in wanted)
        assert [r.event for r in ledger.events(number)][1:] == list(receipt.events)

    def test_wait_ends_with_a_block_or_a_timeout(self, ledger: CosmosLedger):
        assert ledger.acting_for(BOB).wait_for_change(5)
        ledger.wait_for_change(0.0)
        assert run_with_limit(ledger.wait_for_change, 30 * LIMIT)
        while ledger.wait_for_change(0.0):  # until it has seen the last block
            pass


def test_relay_carries_ballots_of_learners_without_coins(ledger: CosmosLedger):
    basis = start_voting(ledger)
    relay = Relay(ledger, wait=0.0)
    with serving(relay, "127.0.0.1", 0) as url:
        for wallet in (BOB, CY):
            RelayClient(url).offer(basis, sign_ballot(wallet, ledger.domain, basis, VOTE))
        relay.carry_due()
    [slot] = ledger.round(basis.experiment, 0).slots
    assert (relay.carried, slot.approvals) == (2, 2)


def test_ledger_continues_after_its_node_was_killed_and_restarted(tmp_path: Path):
    with CosmosChain(tmp_path / "chain", block_time=0.1) as chain:
        place = Place(chain, tmp_path / "journals")
        ledger = place.ledger(ANA)
        number = ledger.create(PARAMS).wait(LIMIT).experiment
        chain.kill()
        quick = replace(place.config, grpc=GrpcConfig(timeout=1.0, patience=0.2))
        with pytest.raises(LedgerUnavailable):
            CosmosLedger.connect(place.terms, ledger.contract, BOB, config=quick)
        chain.start()
        assert ledger.experiment(number).id == number
        assert isinstance(join(ledger, number).wait(LIMIT).events[0], LearnerJoined)
        with pytest.raises(ProtocolError) as refused:
            ledger.advance(number)
        assert not isinstance(refused.value, DeadlineNotPassed)
