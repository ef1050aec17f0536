"""Drive the reference and the embedded chain through random steps, and anvil beside them.

Every transaction's status, gas, logs and contract are compared with anvil's, and every answer and
revert of a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from hypothesis.stateful import run_state_machine_as_test
from web3.types import RPCEndpoint

from colearn_ledger.calls import CALLS
from colearn_ledger.chains.evm import embedded
from colearn_localnet.anvil import Anvil
from tests.support.duel.backends import Calendar, ChainBackend
from tests.support.duel.machine import duel_on
from tests.support.duel.plans import PEOPLE
from tests.support.duel.profile import profile
from tests.support.duel.twin import COMPARED, TwinProvider
from tests.support.samples import params

START = 1_900_000_000
"""A time after that of anvil's first block."""


class AnvilStarter:
    """Start a new anvil for each embedded chain, and stop the previous one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._running = ExitStack()

    def open_backend(self) -> ChainBackend:
        return ChainBackend(self.open_chain())

    def open_chain(self) -> Calendar:
        self._running.close()
        anvil = self._running.enter_context(Anvil(chain_id=1337))
        self._monkeypatch.setattr(embedded, "EmbeddedProvider", partial(TwinProvider, anvil))
        return Calendar(PEOPLE, START)

    def close(self) -> None:
        self._running.close()


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnvilStarter]:
    starter = AnvilStarter(monkeypatch)
    yield starter
    starter.close()


def test_embedded_chain_agrees_with_anvil(starter: AnvilStarter, is_long: bool):
    duels, steps = (40, 50) if is_long else (5, 40)
    COMPARED.clear()
    run_state_machine_as_test(
        duel_on("an embedded chain beside anvil", starter.open_backend),
        settings=profile(duels, steps, is_long=is_long),
    )
    assert COMPARED["transaction succeeded"] > 50
    assert COMPARED["call answered"] > 100
    assert COMPARED["call refused"] > 10


@pytest.mark.parametrize(
    ("name", "gas"), [("start", 200_000), ("start", 22_000), ("create", 60_000)], ids=str
)
def test_failed_transaction_agrees_with_anvil(starter: AnvilStarter, name: str, gas: int):
    calendar = starter.open_chain()
    ledger, wallet = calendar.chain.deploy(calendar.bank), PEOPLE[0]
    COMPARED.clear()
    arguments = {"start": (1,), "create": (params(),)}[name]
    fields = {
        "type": 2,
        "chainId": ledger.domain.chain_id,
        "nonce": 0,
        "gas": gas,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "to": ledger.contract,
        "value": 0,
        "data": ledger._encoder.encode(CALLS[name], arguments),
    }
    raw = "0x" + wallet.sign_transaction(fields).hex()
    calendar.chain.provider.make_request(RPCEndpoint("eth_sendRawTransaction"), [raw])
    assert COMPARED == {"transaction failed": 1}
