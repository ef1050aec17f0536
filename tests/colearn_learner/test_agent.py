from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toyworld import TowardsTarget, World

from colearn_learner.agent import Action
from colearn_learner.agent_folder import AgentFolder, DamagedFolder, FolderInUse
from colearn_learner.interface import (
    DiffPrivBudget,
    ErrorCodes,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import BallotState, Outcome, Status, VoteCast
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import read_weights


def targets(*numbers: float) -> list[TowardsTarget]:
    return [TowardsTarget(number) for number in numbers]


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_an_experiment_runs_to_its_end_and_all_adopt_the_same_weights(world, reveal_window):
    w = world(targets(4, 5, 6), reveal_window=reveal_window)
    agents = w.agents()
    w.drive(agents)
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 6
    final = [learner.weights[0].tobytes() for learner in w.learners]
    assert len(set(final)) == 1
    assert w.learners[0].weights[0][0] > 3
    assert w.final in {a.name.split(".")[0] for a in (w.folder / "agent-1/weights").iterdir()}


class Killed(BaseException):
    """The process dies here."""


class Mortal:
    """Hands calls on; dies before or after the n-th one."""

    def __init__(self, target: Any, life: Life) -> None:
        self._target, self._life = target, life

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._life.tick()
            result = value(*args, **kwargs)
            self._life.tick()
            return result

        return call


class Life:
    def __init__(self, ticks: int | None) -> None:
        self.left = ticks
        self.used = 0

    def tick(self) -> None:
        self.used += 1
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Killed


def mortal_agent(w, index: int, life: Life):
    agent = w.agent(index, ledger=Mortal(w.views[index], life), store=Mortal(w.store(index), life))
    for name in ("_record", "save_weights"):
        inner = getattr(agent._folder, name)

        def call(*args: Any, inner: Any = inner) -> Any:
            life.tick()
            inner(*args)
            life.tick()

        setattr(agent._folder, name, call)
    return agent


class Restarted:
    """Agent 1 in a process that is killed once, and started again in the same folder."""

    def __init__(self, w: Any, life: Life) -> None:
        self._w = w
        self.agent = mortal_agent(w, 1, life)

    def step(self) -> Action:
        try:
            return self.agent.step()
        except Killed:
            self.agent.close()
            self._w.learners[1] = TowardsTarget(self._w.learners[1].target)  # its memory is gone
            self.agent = self._w.agent(1)
            return self.agent.step()

    def close(self) -> None:
        self.agent.close()


def run_with_a_kill(w: Any, ticks: int | None) -> Life:
    """Run with agent 1 killed after so many operations; return how many it made."""
    life = Life(ticks)
    agents = [w.agent(0), Restarted(w, life), w.agent(2)]
    w.drive(agents)
    for agent in agents:
        agent.close()
    return life


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_a_kill_at_any_operation_changes_nothing(tmp_path, reveal_window):
    params = {"rounds": 3, "reveal_window": reveal_window}

    def fresh(name: str) -> World:
        return World(tmp_path / name, targets(4, 5, 6), params)

    calm = fresh("calm")
    operations = run_with_a_kill(calm, None).used
    assert operations > 100
    for ticks in range(1, operations + 1, 3 if reveal_window else 2):
        w = fresh(f"killed-{ticks}")
        run_with_a_kill(w, ticks)
        assert w.final == calm.final, f"killed at operation {ticks}"
        assert [r.approvals for r in w.rounds()] == [r.approvals for r in calm.rounds()]
        assert not any(r.by_deadline for r in w.rounds())
        trained = [
            json.loads(line)["round"]
            for line in (w.folder / "agent-1/journal.jsonl").read_text().splitlines()
            if json.loads(line)["kind"] == "trained"
        ]
        assert len(trained) == len(set(trained))


class WrongShape(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=[np.zeros(4)])


class NotANumber(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=[np.full(3, np.nan)])


class TooBig(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=[np.zeros(300_000)])


class RaisesInTraining(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        raise ZeroDivisionError("no records left")


class Unmoved(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=self.weights)


class SpentBudget(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(
            weights=self.weights,
            training_summary=TrainingSummary(
                dp_budget=DiffPrivBudget(
                    target_epsilon=1.0,
                    target_delta=0.1,
                    consumed_epsilon=1.1,
                    consumed_delta=0.1,
                ),
                error_code=ErrorCodes.DP_BUDGET_EXCEEDED,
            ),
        )


@pytest.mark.parametrize(
    "learner", [WrongShape, NotANumber, TooBig, RaisesInTraining, SpentBudget, Unmoved]
)
def test_an_honest_agent_declines_what_its_learner_should_not_have_trained(world, learner, caplog):
    w = world([TowardsTarget(4), learner(4), TowardsTarget(5)])
    w.drive(w.agents())
    outcomes = [r.outcome for r in w.rounds()]
    assert outcomes[1] == outcomes[4] == Outcome.NO_PROPOSAL
    assert outcomes[2] == Outcome.ACCEPTED
    assert not any(r.by_deadline for r in w.rounds())
    assert "declines round 1" in caplog.text


@pytest.mark.parametrize("bad", ["shape", "nan", "too big", "no weights", "unavailable"])
def test_bad_weights_of_a_byzantine_proposer_are_out_voted(world, bad, caplog):
    """The proposer goes around its agent: it proposes what no honest agent would send."""
    from colearn_ledger.protocol import ContentRef, Scores
    from colearn_ledger.weights.codec import encode_weights

    w = world(targets(4, 5, 6))
    data = {
        "shape": encode_weights([np.zeros(4)]),
        "nan": encode_weights([np.full(3, np.nan)]),
        "too big": encode_weights([np.zeros(3)]) + bytes(200_000_000),
        "no weights": b"these are no weights",
        "unavailable": b"",
    }[bad]
    if bad == "unavailable":
        digest = hashlib.sha256(b"gone")
        content = ContentRef.from_digest(0x55, digest.digest(), digest.hexdigest(), 4)
    else:
        content = w.store(0).put([data])
    agents = w.agents()
    while w.ledger.experiment(w.experiment).round is None:
        for agent in agents:
            agent.step()
    w.views[0].propose(w.experiment, 0, content, Scores()).wait()
    w.drive(agents)
    first = w.rounds()[0]
    assert (first.outcome, first.rejections) == (Outcome.REJECTED, 2)
    assert not first.by_deadline or bad == "unavailable"
    assert w.rounds()[1].outcome == Outcome.ACCEPTED
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
    assert "rejects the proposal of round 0" in caplog.text


class RaisesInTesting(TowardsTarget):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        raise ZeroDivisionError("no vote records")


class ScoresNotANumber(TowardsTarget):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        nan = float("nan")
        return ProposedWeights(weights=weights, vote_score=nan, test_score=nan, vote=True)


def ballots_of(w, index: int) -> list[VoteCast]:
    events = [r.event for r in w.ledger.events(w.experiment)]
    mine = w.wallets[index].address
    return [e for e in events if isinstance(e, VoteCast) and e.learner == mine]


def test_a_learner_that_fails_to_test_rejects_with_absent_scores(world):
    w = world([TowardsTarget(4), TowardsTarget(5), RaisesInTesting(4), TowardsTarget(5)])
    w.drive(w.agents())
    votes = [e.vote for e in ballots_of(w, 2)]
    assert votes
    assert not any(v.approve for v in votes)
    assert {(v.scores.vote_score, v.scores.test_score) for v in votes} == {(None, None)}
    assert w.rounds()[0].outcome == Outcome.ACCEPTED


def test_scores_that_are_not_numbers_are_absent(world):
    w = world([TowardsTarget(4), ScoresNotANumber(4)])
    w.drive(w.agents())
    assert {e.vote.scores.vote_score for e in ballots_of(w, 1)} == {None}
    assert all(e.vote.approve for e in ballots_of(w, 1))


class RaisesInAccepting(TowardsTarget):
    def mli_accept_weights(self, weights: Weights) -> None:
        raise ZeroDivisionError("no room")


def test_a_learner_that_can_not_accept_rejects_and_declines(world):
    w = world([TowardsTarget(4), RaisesInAccepting(4), TowardsTarget(5)])
    w.drive(w.agents())
    assert not any(e.vote.approve for e in ballots_of(w, 1))
    assert w.rounds()[1].outcome == Outcome.NO_PROPOSAL
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED


def test_a_ballot_without_its_salt_is_not_revealed_and_the_round_closes(world, caplog):
    w = world(targets(4, 5, 6), reveal_window=100, rounds=1)
    agents = w.agents()
    for agent in agents:
        agent.step()  # joins
    for _ in range(10):
        agents[0].step()
        if agents[1].step() == Action.COMMITTED:
            break
    agents[1].close()
    (w.folder / "agent-1" / "journal.jsonl").unlink()
    agents[1] = w.agent(1)
    w.drive(agents)
    ballot = w.ledger.ballot(w.experiment, 0, w.wallets[1].address)
    assert ballot.state == BallotState.COMMITTED
    assert w.rounds()[0].by_deadline
    assert "salt is not in the agent's folder" in caplog.text


def test_summaries_travel_in_the_file_under_its_hash(world):
    class Private(TowardsTarget):
        def mli_propose_weights(self) -> Weights:
            weights = super().mli_propose_weights()
            weights.training_summary = TrainingSummary(
                dp_budget=DiffPrivBudget(
                    target_epsilon=2.0,
                    target_delta=0.1,
                    consumed_epsilon=0.5,
                    consumed_delta=0.01,
                )
            )
            return weights

    w = world([Private(4), TowardsTarget(5)], rounds=1)
    w.drive(w.agents())
    params = w.ledger.experiment(w.experiment).params
    schema = ExperimentSpec.read(w.store(0), params.spec).schema
    read = read_weights(w.store(0), w.rounds()[0].content, schema=schema)
    assert read.summary["dp_budget"]["consumed_epsilon"] == 0.5


def test_accepted_weights_stay_pinned_superseded_and_rejected_ones_do_not(world):
    w = world(targets(4, 5, -9))
    w.drive(w.agents(keep_accepted=2))
    rounds = w.rounds()
    accepted = [r.content for r in rounds if r.outcome == Outcome.ACCEPTED]
    rejected = [r for r in rounds if r.outcome == Outcome.REJECTED]
    assert len(accepted) > 2
    assert rejected
    for index in range(3):
        assert [w.store(index).pinned(c) for c in accepted[-2:]] == [True, True]
        assert not any(w.store(index).pinned(c) for c in accepted[:-2])
    assert not w.store(2).pinned(rejected[0].content)


def test_a_ledger_that_fails_is_asked_again(world):
    class Flaky(Mortal):
        def __getattr__(self, name: str) -> Any:
            value = getattr(self._target, name)
            if name != "duty":
                return value

            def duty(*args: Any) -> Any:
                self._life.used += 1
                if self._life.used % 2:
                    raise LedgerUnavailable("the node does not answer")
                return value(*args)

            return duty

    w = world(targets(4, 5), rounds=2)
    agents = [
        w.agent(0, ledger=Flaky(w.views[0], Life(None)), max_backoff=0.001, poll=0.01),
        w.agent(1, poll=0.01),
    ]
    threads = [threading.Thread(target=agent.run) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED


def test_one_agent_to_a_folder(world, tmp_path: Path):
    w = world(targets(4, 5))
    first = w.agent(0)
    with pytest.raises(FolderInUse, match="another agent"):
        w.agent(0)
    first.close()
    with pytest.raises(FolderInUse, match="belongs to"):
        AgentFolder(w.folder / "agent-0", "somebody else")


def test_a_torn_last_line_is_forgotten_and_a_damaged_one_is_not(tmp_path: Path):
    with AgentFolder(tmp_path, "me") as folder:
        folder.record_sent("voted", 1, "0xab")
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"kind": "sent", "act')
    with AgentFolder(tmp_path, "me") as folder:
        folder.record_sent("voted", 2, "0xcd")
    assert len(journal.read_text().splitlines()) == 3
    journal.write_bytes(b"garbage\n" + whole)
    with pytest.raises(DamagedFolder, match="line 1"):
        AgentFolder(tmp_path, "me")
