"""Weights that stay in the store: the last accepted ones and the current proposal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from colearn_learner import simulation
from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_learner.errors import InvalidArgument
from colearn_learner.simulation import SimulationConfig
from colearn_ledger.protocol import Agenda, Outcome, Status
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.store import ContentNotStored
from colearn_ledger.weights.stores.directory import DirectoryStore
from tests.support.toyworld import TowardsTarget, World
from tests.support.weights import read_weights


def make_learners(*numbers: float) -> list[TowardsTarget]:
    return [TowardsTarget(number) for number in numbers]


def list_stored(root: Path) -> set[str]:
    """Return the CIDs of the files in a store."""
    return {path.name for path in (root / "files").glob("*/*")}


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_store_keeps_only_the_last_accepted_weights(world, keep: int):
    w = world(make_learners(4, 5, -9), rounds=9)
    agents = [w.agent(i, store=w.store(i, spare=0), keep_accepted=keep) for i in range(3)]
    w.drive(agents)
    spec = w.ledger.experiment(w.experiment).params.spec
    assert any(r.outcome == Outcome.REJECTED for r in w.rounds())
    assert len(w.accepted()) > keep
    kept = {spec.cid, *(content.cid for content in w.accepted()[-keep:])}
    assert list_stored(w.folder / "store") == kept
    assert [w.pins(i) for i in range(3)] == [kept] * 3


def test_superseded_weights_are_collected_only_when_they_are_old(world):
    w = world(make_learners(4, 5), rounds=4)
    w.drive(w.agents(keep_accepted=1))
    assert {content.cid for content in w.accepted()} < list_stored(w.folder / "store")
    for path in (w.folder / "store" / "files").glob("*/*"):
        os.utime(path, (0, 0))
    w.store(0).collect()
    assert {content.cid for content in w.accepted()} & list_stored(w.folder / "store") == {
        w.accepted()[-1].cid
    }


class OvertakingLedger:
    """A ledger that closes the last round before agent 0's query is answered."""

    def __init__(self, w: World, others: list[Agent]) -> None:
        self._w, self._others = w, others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._w.views[0], name)

    def agenda(self, *args: Any) -> Agenda:
        for agent in self._others:
            agent.step()
        return self._w.views[0].agenda(*args)


@pytest.mark.parametrize("target", [4, -9], ids=["accepted", "rejected"])
def test_final_weights_are_adopted_if_the_experiment_ends_between_two_queries(world, target: int):
    w = world(make_learners(target, 5), rounds=1)
    other = w.agent(1)
    with w.agent(0, ledger=OvertakingLedger(w, [other])) as agent:
        assert agent.step() == Action.JOINED
        for _ in range(20):
            if agent.step() == Action.DONE:
                break
    now = w.ledger.experiment(w.experiment)
    assert now.status == Status.COMPLETED
    [current] = now.current
    assert w.pins(0) == {now.params.spec.cid, now.params.initial.cid, current.cid}
    schema = ExperimentSpec.read(w.store(0), now.params.spec).schema
    adopted = read_weights(w.store(0), current, schema=schema).weights
    assert (w.learners[0].weights[0] == adopted[0]).all()


def test_keeping_no_accepted_weights_is_refused():
    with pytest.raises(InvalidArgument, match="at least 1"):
        AgentConfig(keep_accepted=0)


def test_failed_collection_does_not_stop_an_agent(world, caplog, monkeypatch):
    def refuse(*_: object, **__: object) -> int:
        raise ContentNotStored("could not collect: Permission denied")

    monkeypatch.setattr(DirectoryStore, "collect", refuse)
    w = world(make_learners(4, 5), rounds=4)
    w.drive(w.agents(keep_accepted=1))
    assert {w.accepted()[-1].cid, w.ledger.experiment(w.experiment).params.spec.cid} == w.pins(0)
    assert "Permission denied" in caplog.text


@pytest.mark.parametrize("keep", [1, 3])
def test_simulation_keeps_the_last_accepted_weights_in_its_store(tmp_path: Path, keep: int):
    config = SimulationConfig(agent=AgentConfig(poll=0.1, keep_accepted=keep))
    result = simulation.run(make_learners(1, 2, 3, 9), 8, folder=tmp_path, config=config)
    rounds = [record.round for record in result.history.rounds]
    accepted = [r for r in rounds if r.outcome == Outcome.ACCEPTED]
    contents = [content.cid for r in accepted for content in r.contents.values()]
    assert len(contents) > keep
    spec = result.history.experiment.params.spec
    assert list_stored(tmp_path / "store") == {spec.cid, *contents[-keep:]}
