"""Faults of a node are reported clearly, and retried where that may help."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate

import pytest

from colearn_ledger.calls import BALLOTS
from colearn_ledger.chains.evm import (
    BadAnswer,
    EvmConfig,
    EvmLedger,
    EvmSenderConfig,
    HttpConfig,
    NodeRefused,
    WrongChain,
    WrongContract,
    http_provider,
)
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_localnet.anvil import Anvil
from colearn_localnet.rpc import json_rpc
from tests.support.faulty_proxy import FaultyProxy
from tests.support.joining import join
from tests.support.samples import params
from tests.support.waiting import LIMIT, Clock

PATIENT = HttpConfig(timeout=LIMIT, tries=3, first_pause=0.01, longest_answer=1_000_000)
"""Settings under which no answer is late, however slow the machine is."""

HASTY = replace(PATIENT, timeout=2.0)
"""Settings for an answer that never comes, or ends too late; see `DRIP_SECONDS`."""

PASSING = ["reset", "lost", "cut", "timeout", "drip", "429", "500", "502", "503"]
NONSENSE = ["malformed", "deep", "empty", "wrong-id", "oversize"]
MESSAGES = {
    "reset": "broke the connection",
    "lost": "broke the connection",
    "cut": "broke the connection",
    "timeout": "did not answer within 2 s",
    "drip": "did not finish its answer within 2 s",
    "429": "too many requests",
    "500": "HTTP 500",
    "502": "HTTP 502",
    "503": "HTTP 503",
    "malformed": "not valid JSON",
    "deep": "not valid JSON",
    "empty": "not valid JSON",
    "wrong-id": "the answer to another request than eth_blockNumber",
    "oversize": "more than 1,000,000 bytes",
}


def config_for(kind: str) -> HttpConfig:
    return HASTY if kind in ("timeout", "drip") else PATIENT


@pytest.fixture
def proxy(anvil: Anvil) -> Iterator[FaultyProxy]:
    with FaultyProxy(anvil.url) as proxy:
        yield proxy


@pytest.mark.parametrize("kind", [*PASSING, *NONSENSE])
def test_faults_that_end_within_the_tries_are_hidden(proxy: FaultyProxy, kind: str):
    node = Node(proxy.url, http=config_for(kind))
    proxy.fail(kind, times=2)
    assert node.chain_id() == 31337
    assert proxy.asked == ["eth_chainId"] * 3


@pytest.mark.parametrize("kind", [*PASSING, *NONSENSE])
def test_lasting_faults_are_raised_after_all_tries(proxy: FaultyProxy, kind: str):
    node = Node(proxy.url, http=config_for(kind))
    proxy.fail(kind, times=None)
    expected = LedgerUnavailable if kind in PASSING else BadAnswer
    with pytest.raises(expected, match=MESSAGES[kind]) as caught:
        node.block_number()
    assert type(caught.value).__module__.startswith("colearn_ledger")
    assert f"http://127.0.0.1:{proxy.url.split(':')[-1]}" in str(caught.value)
    assert len(proxy.asked) == 3
    proxy.heal()
    assert node.block_number() >= 0


def test_node_that_refuses_the_key_is_not_asked_again(proxy: FaultyProxy):
    proxy.fail("403", times=None)
    with pytest.raises(NodeRefused, match=r"HTTP 403.*check the network's URL"):
        Node(proxy.url, http=PATIENT).block_number()
    assert len(proxy.asked) == 1


def test_closed_port_is_unavailable_until_it_opens_again(proxy: FaultyProxy):
    node = Node(proxy.url, http=PATIENT)
    node.block_number()
    proxy.down()
    with pytest.raises(LedgerUnavailable, match="is it running"):
        node.block_number()
    proxy.up()
    assert node.chain_id() == 31337


@pytest.mark.parametrize("as_date", [False, True])
def test_demanded_pause_is_kept(proxy: FaultyProxy, as_date: bool, monkeypatch: pytest.MonkeyPatch):
    node, clock = Node(proxy.url, http=PATIENT), Clock()
    monkeypatch.setattr(http_provider, "time", clock)
    proxy.fail("429", retry_after=formatdate(clock.time() + 4, usegmt=True) if as_date else 4)
    node.block_number()
    assert clock.slept == [4]
    assert len(proxy.asked) == 2


def test_no_request_is_sent_during_a_long_demanded_pause(proxy: FaultyProxy):
    node = Node(proxy.url, http=PATIENT)
    proxy.fail("429", retry_after=100)
    with pytest.raises(LedgerUnavailable, match="demands a pause of 100 s"):
        node.block_number()
    with pytest.raises(LedgerUnavailable, match="accepts no requests for another"):
        node.chain_id()
    assert proxy.asked == ["eth_blockNumber"]


@pytest.mark.parametrize("kind", ["down", "reset", "cut-head", "timeout", "403"])
def test_neither_errors_nor_their_causes_show_the_key_in_the_url(
    proxy: FaultyProxy, kind: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, logger="colearn_ledger")
    http = replace(PATIENT, timeout=0.3) if kind == "timeout" else PATIENT
    node = Node(proxy.url + "/v3/secret?token=secret", http=http)
    if kind == "down":
        proxy.down()
    else:
        proxy.fail(kind, times=None)
    with pytest.raises((LedgerUnavailable, NodeRefused, BadAnswer)) as caught:
        node.block_number()
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in str(error)
        error = error.__cause__
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "secret" not in caplog.text


def test_blocks_are_fetched_one_by_one_where_batches_are_refused(
    proxy: FaultyProxy,
):
    node = Node(proxy.url, http=PATIENT)
    assert [b and b.number for b in node.blocks([0, 0, 10**6])] == [0, 0, None]
    assert proxy.exchanges == 1
    proxy.fail("403")
    assert [b and b.number for b in node.blocks([0, 10**6])] == [0, None]
    assert proxy.exchanges == 4


@pytest.mark.parametrize("kind", ["reset", "wrong-id", "malformed", "502", "cut"])
def test_failed_batch_is_repeated_as_one(proxy: FaultyProxy, kind: str):
    proxy.fail(kind)
    assert len(Node(proxy.url, http=PATIENT).blocks([0] * 120)) == 120
    assert proxy.exchanges == 4


class TestLedger:
    @pytest.fixture
    def kind(self) -> str:
        """Return the default fault, which tests may replace."""
        return "reset"

    @pytest.fixture
    def ledger(self, anvil: Anvil, proxy: FaultyProxy, tmp_path, kind: str) -> EvmLedger:
        wallet = Wallet.from_key(anvil.keys[0])
        config = EvmConfig(
            chain_id=31337,
            http=config_for(kind),
            sending=EvmSenderConfig(journal=tmp_path),
            websocket="off",
        )
        return EvmLedger.deploy(proxy.url, wallet, config=config)

    @pytest.mark.parametrize("kind", [*PASSING, *NONSENSE])
    def test_faults_while_sending_neither_lose_nor_double_a_transaction(
        self, proxy: FaultyProxy, ledger: EvmLedger, kind: str
    ):
        proxy.fail(kind, times=2, methods={"eth_sendRawTransaction"})
        assert ledger.create(params()).wait(LIMIT).experiment == 1
        assert len(ledger.experiments()) == 1
        assert proxy.asked.count("eth_sendRawTransaction") == 4

    @pytest.mark.parametrize("kind", ["reset", "lost", "cut", "wrong-id"])
    def test_repeated_call_of_unknown_outcome_takes_effect_once(
        self, proxy: FaultyProxy, ledger: EvmLedger, kind: str
    ):
        proxy.fail(kind, times=None, methods={"eth_sendRawTransaction"})
        with pytest.raises((LedgerUnavailable, BadAnswer)):
            ledger.create(params())
        proxy.heal()
        assert ledger.create(params()).wait(LIMIT).experiment == 1
        assert len(ledger.experiments()) == 1
        assert ledger.create(params()).wait(LIMIT).experiment == 2

    def test_ballots_of_many_rounds_are_fetched_by_one_exchange(
        self, anvil: Anvil, proxy: FaultyProxy, ledger: EvmLedger
    ):
        other = ledger.acting_for(Wallet.from_key(anvil.keys[1]))
        experiment = ledger.create(params()).wait(LIMIT).experiment
        for view in (ledger, other):
            join(view, experiment).wait(LIMIT)
        ledger.start(experiment).wait(LIMIT)
        ledger.decline(experiment, 0).wait(LIMIT)
        before = proxy.exchanges
        rows = ledger.ask_all(BALLOTS, [(experiment, index, 0, 100) for index in [0, 1] * 20])
        assert proxy.exchanges == before + 1
        assert [[b.round for b in page] for page in rows] == [[0, 0], [1, 1]] * 20

    def test_node_that_moved_to_another_chain_is_reported(
        self, proxy: FaultyProxy, ledger: EvmLedger
    ):
        with Anvil(chain_id=777) as other:
            proxy._target = proxy._target._replace(netloc=other.url.removeprefix("http://"))
            for use in (lambda: ledger.experiments(), lambda: ledger.create(params()).wait(LIMIT)):
                with pytest.raises(WrongChain, match=r"chain 777, not on chain 31337"):
                    use()

    def test_vanished_contract_is_reported(
        self, anvil: Anvil, proxy: FaultyProxy, ledger: EvmLedger
    ):
        json_rpc(anvil.url, "anvil_setCode", ledger.contract, "0x")
        for use in (lambda: ledger.experiments(), lambda: ledger.create(params()).wait(LIMIT)):
            with pytest.raises(WrongContract, match=f"no contract at {ledger.contract}"):
                use()
        json_rpc(anvil.url, "anvil_setCode", ledger.contract, "0x60006000fd")
        with pytest.raises(WrongContract, match="not the one"):
            ledger.experiments()
