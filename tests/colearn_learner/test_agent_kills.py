"""An agent killed at any moment continues in the same folder after a restart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.loop import Action, Agent
from colearn_learner.interface import Weights
from colearn_ledger.protocol import ContentRef, Outcome, Status
from tests.support.toyworld import TowardsTarget, World

KEPT = 1
"""Number of accepted weights that stay pinned; small, so that few rounds release some."""


class Killed(BaseException):
    """Raised where the process is killed."""


class Life:
    """Counts an agent's operations with side effects, and kills the agent before the n-th one.

    Between two such operations a process only computes, so these kills cover every moment.
    """

    def __init__(self, ends_before: int | None) -> None:
        self._ends_before = ends_before
        self.used = 0
        self.awake = False

    def tick(self) -> None:
        if not self.awake:
            return
        self.used += 1
        if self.used == self._ends_before:
            raise Killed


class Mortal:
    """A proxy that may die before each call; so may the handles of a ledger's writes."""

    def __init__(self, target: Any, life: Life) -> None:
        self._target, self._life = target, life

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._life.tick()
            result = value(*args, **kwargs)
            return Mortal(result, self._life) if hasattr(result, "wait") else result

        return call


class PinnedWhenProposed:
    """A ledger's view of agent 1 which checks that proposals are pinned before they are sent."""

    def __init__(self, w: World) -> None:
        self._w = w

    def __getattr__(self, name: str) -> Any:
        return getattr(self._w.views[1], name)

    def propose(self, experiment: Any, index: int, content: ContentRef, scores: Any) -> Any:
        assert content.cid in self._w.pins(1)
        return self._w.views[1].propose(experiment, index, content, scores)


class NeverTheSame(TowardsTarget):
    """A learner that trains to different weights each time, so a restart cannot repeat them."""

    count = 0

    def mli_propose_weights(self) -> Weights:
        NeverTheSame.count += 1
        weights = super().mli_propose_weights()
        weights.weights[0] += 1e-9 * NeverTheSame.count
        return weights


class Restarted:
    """Agent 1, which dies once and returns at once, or two rounds later."""

    def __init__(self, w: World, life: Life, *, late: bool) -> None:
        self._w, self._life, self._late = w, life, late
        self._agent: Agent | None = None
        self._back_in = -1  # round

    def step(self) -> Action:
        if not self._may_be_back():
            return Action.WAITED
        self._life.awake = True
        try:
            self._agent = self._agent or self._start()
            return self._agent.step()
        except Killed:
            if self._agent is not None:
                self._agent.close()
            self._agent = None
            self._w.learners[1] = NeverTheSame(self._w.learners[1].target)  # its memory is lost
            begun = self._round() >= 0
            self._back_in = self._round() + 2 if self._late and begun else -1
            return self.step()
        finally:
            self._life.awake = False

    def _start(self) -> Agent:
        w, life = self._w, self._life
        return w.agent(
            1,
            ledger=Mortal(PinnedWhenProposed(w), life),
            store=Mortal(w.store(1), life),
            learner=Mortal(w.learners[1], life),
            keep_accepted=KEPT,
        )

    def _may_be_back(self) -> bool:
        over = self._w.ledger.experiment(self._w.experiment).status == Status.COMPLETED
        return over or self._round() >= self._back_in

    def _round(self) -> int:
        index = self._w.ledger.experiment(self._w.experiment).round
        return -1 if index is None else index

    def close(self) -> None:
        self._agent.close()


FILE_OPERATIONS: list[tuple[Any, str]] = [
    (os, "fsync"),
    (os, "truncate"),
    (Path, "mkdir"),
    (Path, "replace"),
    (Path, "touch"),
    (Path, "unlink"),
]


@pytest.fixture
def mortal_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[Life], None]:
    """Let a life end before any file operation, in the store or in the agent's folder."""
    real = {name: getattr(owner, name) for owner, name in FILE_OPERATIONS}
    real["fsync"] = lambda _: None  # a killed process loses nothing that it has written

    def install(life: Life) -> None:
        for owner, name in FILE_OPERATIONS:

            def operation(*args: Any, name: str = name, **kwargs: Any) -> Any:
                life.tick()
                return real[name](*args, **kwargs)

            monkeypatch.setattr(owner, name, operation)

    return install


def run_experiment(w: World, mortal_files: Any, ends_before: int | None, *, late: bool) -> Life:
    """Run the experiment, kill agent 1 before an operation, and return the life that it used."""
    life = Life(ends_before)
    mortal_files(life)
    agents = [w.agent(0, keep_accepted=KEPT), Restarted(w, life, late=late)]
    agents.append(w.agent(2, keep_accepted=KEPT))
    w.drive(agents)
    for agent in agents:
        agent.close()
    return life


def check_agent_1_keeps_what_it_needs(w: World, *, late: bool) -> None:
    """Check that agent 1 pins and stores exactly what it needs, and sent what it had decided."""
    now = w.ledger.experiment(w.experiment)
    rounds = w.rounds()
    accepted = [now.params.initial, *(r.content for r in rounds if r.outcome == Outcome.ACCEPTED)]
    kept = [c for c in accepted if c.cid in read_kept_cids(w)]
    pinned, spec = w.pins(1), now.params.spec
    assert kept[-1] == now.current
    if late:  # it missed some weights, or was killed before it adopted them
        assert len(kept) <= KEPT
        assert {spec.cid, now.current.cid} <= pinned <= {spec.cid, *(c.cid for c in kept)}
        assert {file_name(now.current)} <= list_weights(w) <= {file_name(c) for c in kept}
    else:
        assert kept == accepted[-KEPT:]
        assert pinned == {spec.cid, *(c.cid for c in kept)}
        assert list_weights(w) == {file_name(c) for c in kept}
    trained = [line for line in w.journal(1) if line["kind"] == "trained"]
    assert len({line["round"] for line in trained}) == len(trained)
    proposed = {r.index: r.content for r in rounds if r.proposer == w.wallets[1].address}
    for line in trained:
        content = proposed[line["round"]]
        assert content.cid == line["content"][0] if content else late


def read_kept_cids(w: World) -> set[str]:
    """Return the CIDs of the weights that the journal records as kept."""
    kept: set[str] = set()
    for line in w.journal(1):
        if line["kind"] == "adopted":
            kept.add(line["content"][0])
        elif line["kind"] == "released":
            kept.remove(line["content"][0])
    return kept


def file_name(content: ContentRef) -> str:
    return f"{content.sha256}.safetensors"


def list_weights(w: World) -> set[str]:
    return {path.name for path in (w.folder / "agent-1" / "weights").iterdir()}


@pytest.mark.parametrize(
    ("reveal_window", "target", "late"),
    [(0, 5, False), (100, -9, False), (0, 5, True)],
    ids=["open", "secret and rejected", "back late"],
)
def test_kill_before_any_operation_loses_no_decision_and_leaks_no_pin(
    tmp_path: Path, mortal_files, reveal_window: int, target: int, late: bool
):
    def fresh(name: str) -> World:
        learners = [TowardsTarget(4), NeverTheSame(target), TowardsTarget(6)]
        params = {"rounds": 3, "reveal_window": reveal_window}
        return World(tmp_path / name, learners, params)

    calm = fresh("calm")
    operations = run_experiment(calm, mortal_files, None, late=late).used
    check_agent_1_keeps_what_it_needs(calm, late=False)
    assert operations > 100
    for n in range(1, operations + 1):
        w = fresh(f"killed-{n}")
        try:
            run_experiment(w, mortal_files, n, late=late)
            check_agent_1_keeps_what_it_needs(w, late=late)
            assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
            assert len({learner.weights[0].tobytes() for learner in w.learners}) == 1
            if not late:
                assert [r.approvals for r in w.rounds()] == [r.approvals for r in calm.rounds()]
                assert not any(r.by_deadline for r in w.rounds())
        except AssertionError as error:
            error.add_note(f"killed before operation {n} of {operations}")
            raise
