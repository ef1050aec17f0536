from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.folder import AgentFolder, FolderInUse
from colearn_learner.agent.loop import Action
from colearn_learner.agent.progress import Progress, Work
from colearn_learner.agent.weights_cache import DamagedFolder
from colearn_learner.interface import (
    DiffPrivBudget,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_ledger.protocol import (
    BallotState,
    ContentRef,
    ExperimentId,
    Outcome,
    Round,
    Status,
    VoteCast,
)
from colearn_ledger.spec import ExperimentSpec
from tests.support.toyworld import TowardsTarget
from tests.support.weights import read_weights


def make_learners(*numbers: float) -> list[TowardsTarget]:
    return [TowardsTarget(number) for number in numbers]


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_all_learners_end_with_the_same_weights(world, reveal_window):
    w = world(make_learners(4, 5, 6), reveal_window=reveal_window)
    agents = w.agents()
    w.drive(agents)
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED
    assert [r.outcome for r in w.rounds()] == [Outcome.ACCEPTED] * 6
    final = [learner.weights[0].tobytes() for learner in w.learners]
    assert len(set(final)) == 1
    assert w.learners[0].weights[0][0] > 3
    assert w.final in {a.name.split(".")[0] for a in (w.folder / "agent-1/weights").iterdir()}


class NeverLearns(TowardsTarget):
    def mli_propose_weights(self) -> Weights:
        return Weights(weights=self.weights)


def test_training_without_changes_is_declined_and_stores_nothing(world):
    w = world([NeverLearns(4), TowardsTarget(5)], rounds=2)
    agents = w.agents()
    reports: list[Progress] = []
    agents[0].on_progress(reports.append)
    w.drive(agents)
    assert [r.outcome for r in w.rounds()] == [Outcome.NO_PROPOSAL, Outcome.ACCEPTED]
    assert Work.TRAINING in {progress.work for progress in reports}
    assert Work.SENDING not in {progress.work for progress in reports}


class RaisesInTesting(TowardsTarget):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        raise ZeroDivisionError("no vote records")


class ScoresNotANumber(TowardsTarget):
    def mli_test_weights(self, weights: Weights) -> ProposedWeights:
        nan = float("nan")
        return ProposedWeights(weights=weights, vote_score=nan, test_score=nan, vote=True)


def find_ballots(w, index: int) -> list[VoteCast]:
    events = [r.event for r in w.ledger.events(w.experiment)]
    mine = w.wallets[index].address
    return [e for e in events if isinstance(e, VoteCast) and e.learner == mine]


def test_proposal_is_rejected_without_scores_if_testing_fails(world):
    w = world([TowardsTarget(4), TowardsTarget(5), RaisesInTesting(4), TowardsTarget(5)])
    w.drive(w.agents())
    votes = [e.vote for e in find_ballots(w, 2)]
    assert votes
    assert not any(v.approve for v in votes)
    assert {(v.scores.vote_score, v.scores.test_score) for v in votes} == {(None, None)}
    assert w.rounds()[0].outcome == Outcome.ACCEPTED


def test_nan_scores_are_recorded_as_absent(world):
    w = world([TowardsTarget(4), ScoresNotANumber(4)])
    w.drive(w.agents())
    assert {e.vote.scores.vote_score for e in find_ballots(w, 1)} == {None}
    assert all(e.vote.approve for e in find_ballots(w, 1))


class RaisesInAccepting(TowardsTarget):
    def mli_accept_weights(self, weights: Weights) -> None:
        raise ZeroDivisionError("no room")


def test_learner_that_cannot_accept_rejects_and_declines(world):
    w = world([TowardsTarget(4), RaisesInAccepting(4), TowardsTarget(5)])
    w.drive(w.agents())
    assert not any(e.vote.approve for e in find_ballots(w, 1))
    assert w.rounds()[1].outcome == Outcome.NO_PROPOSAL
    assert w.ledger.experiment(w.experiment).status == Status.COMPLETED


def test_ballot_with_a_lost_salt_is_not_revealed_and_the_round_still_closes(world, caplog):
    w = world(make_learners(4, 5, 6), reveal_window=100, rounds=1)
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


def test_refused_reveal_reports_a_possible_second_agent_with_the_same_key(world, caplog):
    w = world(make_learners(4, 5, 6), reveal_window=100, rounds=1)
    agents = w.agents()
    for _ in range(10):
        if Action.COMMITTED in [agents[i].step() for i in (0, 2, 1)][2:]:
            break
    agents[1].close()
    path = w.folder / "agent-1" / "journal.jsonl"
    lines = w.journal(1)
    [ballot] = [line for line in lines if line["kind"] == "ballot"]
    ballot["salt"] = "ab" * 32  # as if from another agent's folder
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    agents[1] = w.agent(1)
    w.drive(agents)
    assert w.ledger.ballot(w.experiment, 0, w.wallets[1].address).state == BallotState.COMMITTED
    errors = [r for r in caplog.records if "cannot reveal its ballot of round 0" in r.getMessage()]
    assert [r.levelname for r in errors] == ["ERROR"]
    assert "Another agent with the same key may be running" in errors[0].getMessage()


def test_training_summary_is_stored_in_the_weights_file(world):
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


def test_only_the_last_accepted_weights_stay_pinned(world):
    w = world(make_learners(4, 5, -9))
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


def test_folder_refuses_a_second_agent_and_another_owner(world, tmp_path: Path):
    w = world(make_learners(4, 5))
    first = w.agent(0)
    with pytest.raises(FolderInUse, match="another agent"):
        w.agent(0)
    first.close()
    with pytest.raises(FolderInUse, match="belongs to"):
        AgentFolder(w.folder / "agent-0", "somebody else")


def test_torn_last_journal_line_is_dropped_but_a_damaged_line_is_an_error(tmp_path: Path):
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


class LedgerWithReplacedProposal:
    """A ledger whose open round contains another proposal, as after a reorganisation."""

    def __init__(self, ledger: Any, other: ContentRef) -> None:
        self._ledger, self._other = ledger, other
        self.is_replaced = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def round(self, experiment: ExperimentId, index: int) -> Round:
        round_ = self._ledger.round(experiment, index)
        if self.is_replaced and round_.content is not None:
            return dataclasses.replace(round_, content=self._other)
        return round_


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_ballot_is_not_sent_if_the_tested_proposal_was_replaced(world, reveal_window):
    w = world(make_learners(4, 5), rounds=1, reveal_window=reveal_window)
    agents = w.agents()
    for _ in range(2):
        for agent in agents:
            agent.step()
    assert agents[0].step() == Action.PROPOSED
    ledger = LedgerWithReplacedProposal(
        agents[1]._ledger, w.ledger.experiment(w.experiment).params.initial
    )
    agents[1]._ledger = agents[1]._carrier = ledger
    test_weights = w.learners[1].mli_test_weights

    def test_and_reorganise(weights: Weights) -> ProposedWeights:
        ledger.is_replaced = True
        return test_weights(weights)

    w.learners[1].mli_test_weights = test_and_reorganise
    assert agents[1].step() == Action.WAITED
    assert w.ledger.ballot(w.experiment, 0, w.wallets[1].address).state == BallotState.NONE
    ledger.is_replaced = False
    assert agents[1].step() == (Action.COMMITTED if reveal_window else Action.VOTED)


def test_ballot_for_a_replaced_proposal_is_not_revealed(world):
    w = world(make_learners(4, 5), rounds=1, reveal_window=100)
    agents = w.agents()
    for _ in range(2):
        for agent in agents:
            agent.step()
    assert agents[0].step() == Action.PROPOSED
    ledger = LedgerWithReplacedProposal(
        agents[1]._ledger, w.ledger.experiment(w.experiment).params.initial
    )
    agents[1]._ledger = agents[1]._carrier = ledger
    assert agents[1].step() == Action.COMMITTED
    ledger.is_replaced = True
    assert agents[1].step() == Action.WAITED
    assert w.ledger.ballot(w.experiment, 0, w.wallets[1].address).state == BallotState.COMMITTED
