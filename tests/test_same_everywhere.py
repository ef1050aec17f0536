"""One experiment on every ledger gives the same weights, ballots and outcomes, byte for byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_learner.catalogue.factories import share
from colearn_ledger.audit import audit_experiment
from colearn_ledger.chains.evm.embedded import EmbeddedChain
from colearn_ledger.history import read_history
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import ExperimentParams
from colearn_ledger.reference import LocalLedger
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import write_weights
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.stores.directory import DirectoryStore

if TYPE_CHECKING:
    from tests.support.cosmos_place import Place

ROUNDS = 4
WALLETS = [Wallet.from_key(bytes([0, 0x70 + n]) * 16) for n in range(4)]
TERMS: dict[str, dict[str, int]] = {
    "open": {},
    "secret": {"reveal_window": 3_600},
    "plural": {"proposers": 2},
    "plural and secret": {"proposers": 3, "reveal_window": 3_600},
}


def connect_local() -> list[Ledger]:
    ledger = LocalLedger.new(WALLETS[0])
    return [ledger.acting_for(wallet) for wallet in WALLETS]


def connect_evm() -> list[Ledger]:
    chain = EmbeddedChain()
    ledger = chain.deploy(WALLETS[0])
    for wallet in WALLETS[1:]:
        chain.fund(wallet)
    return [ledger.acting_for(wallet) for wallet in WALLETS]


def connect_cosmos(place: Place) -> list[Ledger]:
    place.fund(WALLETS)
    ledger = place.ledger(WALLETS[0])
    return [ledger.acting_for(wallet) for wallet in WALLETS]


def run(views: Sequence[Ledger], folder: Path, **terms: int) -> tuple[dict[str, Any], list[bytes]]:
    """Run the experiment to its end; return its history and the files of the last weights."""
    learners = [share("breast-cancer", n, of=len(views)) for n in range(len(views))]
    store = DirectoryStore(folder / "store", owner="creator")
    first = learners[0].mli_get_current_weights().weights
    spec = ExperimentSpec("cancer", WeightsSchema.of(first), "loss", higher_is_better=False)
    params = ExperimentParams(
        name="the same everywhere",
        spec=spec.put(store),
        initial=write_weights(store, first),
        rounds=ROUNDS,
        min_learners=len(views),
        max_learners=len(views),
        **{"propose_window": 3_600, "vote_window": 3_600, **terms},
    )
    experiment = views[0].create(params).wait(60).experiment
    with ExitStack() as closing:
        agents = []
        for n, (view, learner) in enumerate(zip(views, learners, strict=True)):
            at, own = folder / str(n), DirectoryStore(folder / "store", owner=str(n))
            agents.append(Agent(view, own, learner=learner, experiment=experiment, folder=at))
            closing.callback(agents[-1].close)
        for agent in agents:  # the first to join proposes first
            assert agent.step() == Action.JOINED
        while {agent.step() for agent in agents} != {Action.DONE}:
            pass
    assert audit_experiment(views[0], store, experiment).findings == ()
    history = read_history(views[0], experiment)
    files = []
    for content in history.experiment.current:
        with store.get(content, max_size=content.size) as pieces:
            files.append(b"".join(pieces))
    return json.loads(history.to_json()), files


def comparable(history: dict[str, Any]) -> dict[str, Any]:
    """Return a history without times, and with learners' numbers in place of addresses."""
    numbers = {learner["account"]: learner["index"] for learner in history["learners"]}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            lasting = [k for k in value if k != "time" and not k.endswith("_at")]
            return {k: plain(value[k]) for k in lasting}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    # the hash is over the creator's address, which differs between chains
    other = {"id": "its id", "hash": "its hash"}
    return {**plain(history), "experiment": {**plain(history["experiment"]), **other}}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_experiment_has_the_same_result_on_every_ledger(
    cosmos_place: Place, tmp_path: Path, terms: dict[str, int]
):
    local_history, local_weights = run(connect_local(), tmp_path / "local", **terms)
    evm_history, evm_weights = run(connect_evm(), tmp_path / "evm", **terms)
    cosmos_history, cosmos_weights = run(connect_cosmos(cosmos_place), tmp_path / "cosmos", **terms)

    assert local_history["experiment"]["status"] == "completed"
    assert "accepted" in [r["outcome"] for r in local_history["rounds"]]
    ballots = [b for r in local_history["rounds"] for b in r["ballots"] if b["ballot"] == "cast"]
    # otherwise the comparison would prove little
    assert len({tuple(ballot["approvals"]) for ballot in ballots}) > 1
    for other in (evm_history, cosmos_history):
        assert len(other["rounds"]) == len(local_history["rounds"])
        for mine, theirs in zip(
            comparable(local_history)["rounds"], comparable(other)["rounds"], strict=True
        ):
            assert mine == theirs
        assert comparable(other)["learners"] == comparable(local_history)["learners"]
        assert comparable(other) == comparable(local_history)
    assert [hashlib.sha256(file).hexdigest() for file in local_weights] == [
        content["sha256"] for content in local_history["experiment"]["current"]
    ]
    assert local_weights == evm_weights == cosmos_weights


def test_comparison_detects_another_experiment(tmp_path: Path):
    usual, _ = run(connect_local(), tmp_path / "usual")
    strict, _ = run(connect_local(), tmp_path / "strict", approval_bps=10_000)
    assert [r["outcome"] for r in usual["rounds"]] != [r["outcome"] for r in strict["rounds"]]
    assert comparable(usual) != comparable(strict)
    assert comparable(usual) == comparable(run(connect_local(), tmp_path / "again")[0])
