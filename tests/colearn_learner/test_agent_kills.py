"""An agent killed at any moment continues in the same folder after a restart."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action
from colearn_learner.interface import Weights
from colearn_ledger.protocol import ContentRef, Status
from tests.support.toyworld import TowardsTarget, World, content_of_round

KEPT = 1
"""Number of accepted weights that stay pinned; small, so that few rounds release some."""


class Killed(BaseException):
    """Raised where the process is killed."""


class KillSwitch:
    """A counter of an agent's operations with side effects that kills it before the n-th one.

    A process only computes between two such operations, so these kills cover every moment, apart
    from those in the threads that fetch files.
    """

    def __init__(self, kill_before: int | None) -> None:
        self._kill_before = kill_before
        self.used = 0
        self.is_armed = False

    def tick(self) -> None:
        if not self.is_armed or threading.current_thread() is not threading.main_thread():
            return
        self.used += 1
        if self.used == self._kill_before:
            raise Killed


class KillableProxy:
    """A proxy that may be killed before each call, also by calls of a returned write handle."""

    def __init__(self, target: Any, switch: KillSwitch) -> None:
        self._target, self._switch = target, switch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._switch.tick()
            result = value(*args, **kwargs)
            return KillableProxy(result, self._switch) if hasattr(result, "wait") else result

        return call


class PinCheckingLedger:
    """A ledger view for agent 1 that checks that proposals are pinned before they are sent."""

    def __init__(self, w: World) -> None:
        self._w = w

    def __getattr__(self, name: str) -> Any:
        return getattr(self._w.views[1], name)

    def propose(self, experiment: Any, index: int, content: ContentRef, scores: Any) -> Any:
        is_plural = len(self._w.rounds()[index].slots) > 1
        assert (content.cid in self._w.pins(1)) != is_plural
        return self._w.views[1].propose(experiment, index, content, scores)


class UnrepeatableLearner(TowardsTarget):
    """A learner that trains to different weights each time, so a restart cannot repeat them."""

    count = 0

    def mli_propose_weights(self) -> Weights:
        UnrepeatableLearner.count += 1
        weights = super().mli_propose_weights()
        weights.weights[0] += 1e-9 * UnrepeatableLearner.count
        return weights


class RestartedAgent:
    """Agent 1, which is killed once and restarted at once, or two rounds later."""

    def __init__(self, w: World, switch: KillSwitch, *, late: bool) -> None:
        self._w, self._switch, self._late = w, switch, late
        self._agent: Agent | None = None
        self._back_in = -1  # round

    def step(self) -> Action:
        if not self._is_back():
            return Action.WAITED
        self._switch.is_armed = True
        try:
            self._agent = self._agent or self._start()
            return self._agent.step()
        except Killed:
            if self._agent is not None:
                self._agent.close()
            self._agent = None
            self._w.learners[1] = UnrepeatableLearner(
                self._w.learners[1].target
            )  # a restart loses its memory
            begun = self._round() >= 0
            self._back_in = self._round() + 2 if self._late and begun else -1
            return self.step()
        finally:
            self._switch.is_armed = False

    def _start(self) -> Agent:
        w, switch = self._w, self._switch
        return w.agent(
            1,
            ledger=KillableProxy(PinCheckingLedger(w), switch),
            store=KillableProxy(w.store(1), switch),
            learner=KillableProxy(w.learners[1], switch),
            keep_accepted=KEPT,
        )

    def _is_back(self) -> bool:
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
def killable_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[KillSwitch], None]:
    """Return a function that lets a switch kill before any file operation."""
    real = {name: getattr(owner, name) for owner, name in FILE_OPERATIONS}
    real["fsync"] = lambda _: None  # a killed process loses nothing that it has written

    def install(switch: KillSwitch) -> None:
        for owner, name in FILE_OPERATIONS:

            def operation(*args: Any, name: str = name, **kwargs: Any) -> Any:
                switch.tick()
                return real[name](*args, **kwargs)

            monkeypatch.setattr(owner, name, operation)

    return install


def run_experiment(
    w: World, killable_files: Any, kill_before: int | None, *, late: bool
) -> KillSwitch:
    """Run the experiment, kill agent 1 before an operation, and return its kill switch."""
    switch = KillSwitch(kill_before)
    killable_files(switch)
    agents = [w.agent(0, keep_accepted=KEPT), RestartedAgent(w, switch, late=late)]
    agents.append(w.agent(2, keep_accepted=KEPT))
    w.drive(agents)
    for agent in agents:
        agent.close()
    return switch


def check_agent_1(w: World, *, late: bool) -> None:
    """Check that agent 1 pins and stores exactly what it needs, and sent what it decided."""
    now = w.ledger.experiment(w.experiment)
    rounds = w.rounds()
    accepted = [now.params.initial, *w.accepted()]
    [current] = now.current
    kept = [c for c in accepted if c.cid in read_kept_cids(w)]
    pinned, spec = w.pins(1), now.params.spec
    assert kept[-1] == current
    if late:  # it missed some weights, or was killed before it adopted them
        assert len(kept) <= KEPT
        assert {spec.cid, current.cid} <= pinned <= {spec.cid, *(c.cid for c in kept)}
        assert {file_name(current)} <= list_weights(w) <= {file_name(c) for c in kept}
    else:
        assert kept == accepted[-KEPT:]
        assert pinned == {spec.cid, *(c.cid for c in kept)}
        assert list_weights(w) == {file_name(c) for c in kept}
    trained = [line for line in w.journal(1) if line["kind"] == "trained"]
    assert len({line["round"] for line in trained}) == len(trained)
    mine = [r for r in rounds if r.slots[0].proposer == w.wallets[1].address]
    proposed = {r.index: content_of_round(r) for r in mine}
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
    ("reveal_window", "target", "late", "first"),
    [(0, 5, False, 1), (100, -9, False, 2), (0, 5, True, 3)],
    ids=["open", "secret and rejected", "back late"],
)
def test_kill_before_any_operation_loses_no_decision_and_leaks_no_pin(
    tmp_path: Path,
    killable_files,
    reveal_window: int,
    target: int,
    late: bool,
    first: int,
    is_long: bool,
):
    """Kill before each operation; in the usual run, before every third one from ``first`` on."""

    def make_world(name: str) -> World:
        learners = [TowardsTarget(4), UnrepeatableLearner(target), TowardsTarget(6)]
        params = {"rounds": 3, "reveal_window": reveal_window}
        return World(tmp_path / name, learners, params)

    undisturbed = make_world("undisturbed")
    operations = run_experiment(undisturbed, killable_files, None, late=late).used
    check_agent_1(undisturbed, late=False)
    assert operations > 100
    for n in range(1, operations + 1) if is_long else range(first, operations + 1, 3):
        w = make_world(f"killed-{n}")
        try:
            run_experiment(w, killable_files, n, late=late)
            check_agent_1(w, late=late)
            assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
            assert len({learner.weights[0].tobytes() for learner in w.learners}) == 1
            if not late:
                assert [r.slots[0].approvals for r in w.rounds()] == [
                    r.slots[0].approvals for r in undisturbed.rounds()
                ]
                assert not any(r.by_deadline for r in w.rounds())
        except AssertionError as error:
            error.add_note(f"killed before operation {n} of {operations}")
            raise


def check_plural(w: World, undisturbed: World) -> None:
    """Check that agent 1 voted, merged, pinned and served as if it had not been killed."""
    now = w.ledger.experiment(w.experiment)
    assert now.status == Status.COMPLETED
    assert len({learner.weights[0].tobytes() for learner in w.learners}) == 1
    approvals = [[slot.approvals for slot in r.slots] for r in w.rounds()]
    assert approvals == [[slot.approvals for slot in r.slots] for r in undisturbed.rounds()]
    assert not any(r.by_deadline for r in w.rounds())
    trained = [line for line in w.journal(1) if line["kind"] == "trained"]
    assert len({line["round"] for line in trained}) == len(trained)
    merged = [line["content"] for line in w.journal(1) if line["kind"] == "merged"]
    own = {s.content.cid for s in w.rounds()[-1].slots if s.proposer == w.wallets[1].address}
    assert w.pins(1) == {now.params.spec.cid, merged[-1][0], *own}
    assert list_weights(w) == {f"{merged[-1][1]}.safetensors"}


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_kill_in_plural_rounds_loses_no_decision_and_leaks_no_pin(
    tmp_path: Path, killable_files, reveal_window: int, is_long: bool
):
    """Kill before each operation; in the usual run, before every seventh one."""

    def make_world(name: str) -> World:
        learners = [TowardsTarget(4), UnrepeatableLearner(5), TowardsTarget(6)]
        params = {"rounds": 2, "proposers": 2, "reveal_window": reveal_window}
        return World(tmp_path / name, learners, params)

    undisturbed = make_world("undisturbed")
    operations = run_experiment(undisturbed, killable_files, None, late=False).used
    check_plural(undisturbed, undisturbed)
    assert operations > 80
    first = 3 if reveal_window else 1
    for n in range(1, operations + 1) if is_long else range(first, operations + 1, 7):
        w = make_world(f"killed-{n}")
        try:
            run_experiment(w, killable_files, n, late=False)
            check_plural(w, undisturbed)
        except AssertionError as error:
            error.add_note(f"killed before operation {n} of {operations}")
            raise
