"""Whatever a node changes in any of its answers, the proven audit is the honest one or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from colearn_ledger.audit import AuditReport, audit_experiment
from colearn_ledger.chains.evm import EvmConfig, HttpConfig
from colearn_ledger.chains.evm.proving import connect_with_proofs
from colearn_ledger.protocol import LedgerError
from colearn_localnet.anvil import Anvil
from tests.support.anvil_world import AnvilWorld, play_on_anvil
from tests.support.faulty_proxy import FaultyProxy
from tests.support.waiting import LIMIT

CONFIG = EvmConfig(chain_id=31337, http=HttpConfig(timeout=LIMIT, first_pause=0.001, tries=1))
METHODS = (
    *("eth_getBlockByHash", "eth_getBlockByNumber", "eth_getBlockReceipts"),
    *("eth_getProof", "eth_getCode"),
)
LIES, MANY_LIES = 60, 1_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilWorld]:
    with Anvil() as anvil:
        yield play_on_anvil(anvil, tmp_path_factory.mktemp("world"), "open", rounds=1)


def audit(world: AnvilWorld, url: str) -> AuditReport:
    contract, trusted = world.ledger.contract, world.head()
    view = connect_with_proofs(url, contract, trusted=trusted, config=CONFIG)
    return audit_experiment(view, None, world.experiment)


def list_places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in JSON, the whole included."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict | list):
        for key, inner in entries:
            yield from list_places(inner, (*path, key))


def change_at(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    key, *rest = path
    inner = change_at(value[key], tuple(rest), change)
    if isinstance(value, dict):
        return {**value, key: inner}
    return [*value[:key], inner, *value[key + 1 :]]


def spoil(value: Any, random: Random) -> Any:
    """Return another value of the same type, or of another one."""
    if isinstance(value, str) and len(value) > 2 and random.random() < 0.8:
        at = random.randrange(2, len(value))
        return value[:at] + random.choice("0123456789abcdef") + value[at + 1 :]
    if isinstance(value, list) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        return random.choice(
            [value[:at] + value[at + 1 :], [*value[: at + 1], *value[at:]], value[::-1]]
        )
    return random.choice([None, "0x", "0x1", "0x" + "00" * 32, 7, [], {}, True, "nonsense"])


def lie_once(proxy: FaultyProxy, random: Random, answers: int) -> None:
    """Let a node change one value in one of its answers."""
    left = [random.randrange(answers)]

    def lie(true: Callable[[], Any], _: list[Any]) -> Any:
        honest = true()
        left[0] -= 1
        if left[0] != -1:
            return honest
        path = random.choice(list(list_places(honest)))
        return change_at(honest, path, lambda value: spoil(value, random))

    for method in METHODS:
        proxy.lie(method, lie)


@pytest.mark.parametrize("lies", [LIES, pytest.param(MANY_LIES, marks=pytest.mark.long)])
def test_one_changed_value_never_changes_the_report(lies: int, world: AnvilWorld):
    rejected = 0
    with FaultyProxy(world.anvil.url) as proxy:
        expected = audit(world, proxy.url)
        answers = sum(method in METHODS for method in proxy.asked)
        for seed in range(lies):
            lie_once(proxy, Random(seed), answers)
            try:
                assert audit(world, proxy.url) == expected, seed
            except LedgerError:
                rejected += 1
    assert expected.findings == ()
    assert rejected > lies / 2  # the others changed what no hash covers, such as a block's size
