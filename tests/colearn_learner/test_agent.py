from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_learner.agent.errors import AgentStopped, DamagedFolder
from colearn_learner.agent.folder import AgentFolder, FolderInUse
from colearn_learner.agent.observation import Action
from colearn_learner.agent.progress import Progress, Work
from colearn_learner.interface import (
    DiffPrivBudget,
    ProposedWeights,
    TrainingSummary,
    Weights,
)
from colearn_ledger.calls import QUERIES
from colearn_ledger.protocol import (
    Account,
    Agenda,
    BallotState,
    ContentRef,
    ExperimentId,
    Outcome,
    Scores,
    Status,
    VoteCast,
    WrongExperiment,
)
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import encode_weights, write_weights
from tests.support.journals import rewrite_decisions
from tests.support.toyworld import TowardsTarget, content_of_round
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
    assert not any(v.approvals for v in votes)
    assert {scores for v in votes for scores in v.scores} == {Scores()}
    assert w.rounds()[0].outcome == Outcome.ACCEPTED


def test_nan_scores_are_recorded_as_absent(world):
    w = world([TowardsTarget(4), ScoresNotANumber(4)])
    w.drive(w.agents())
    assert {scores for e in find_ballots(w, 1) for scores in e.vote.scores} == {Scores()}
    assert all(e.vote.approvals for e in find_ballots(w, 1))


class RaisesInAccepting(TowardsTarget):
    def mli_accept_weights(self, weights: Weights) -> None:
        raise ZeroDivisionError("no room")


def test_learner_that_cannot_accept_rejects_and_declines(world):
    w = world([TowardsTarget(4), RaisesInAccepting(4), TowardsTarget(5)])
    w.drive(w.agents())
    assert not any(e.vote.approvals for e in find_ballots(w, 1))
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
    (w.folder / "agent-1").rename(w.folder / "moved away")
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
    rewrite_decisions(path, lines)
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
    read = read_weights(w.store(0), content_of_round(w.rounds()[0]), schema=schema)
    assert read.summary["dp_budget"]["consumed_epsilon"] == 0.5


def test_only_the_last_accepted_weights_stay_pinned(world):
    w = world(make_learners(4, 5, -9))
    w.drive(w.agents(keep_accepted=2))
    accepted = w.accepted()
    rejected = [r for r in w.rounds() if r.outcome == Outcome.REJECTED]
    assert len(accepted) > 2
    assert rejected
    for index in range(3):
        assert [w.store(index).pinned(c) for c in accepted[-2:]] == [True, True]
        assert not any(w.store(index).pinned(c) for c in accepted[:-2])
    assert not w.store(2).pinned(content_of_round(rejected[0]))


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
    """A ledger whose agenda contains other proposals, as a node on another branch would report."""

    def __init__(self, ledger: Any, other: ContentRef) -> None:
        self._ledger, self._other = ledger, other
        self.is_replaced = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def agenda(self, experiment: ExperimentId, account: Account) -> Agenda:
        agenda = self._ledger.agenda(experiment, account)
        if not self.is_replaced or agenda.round is None or agenda.round.proposals is None:
            return agenda
        [slot] = agenda.round.slots
        slots = (dataclasses.replace(slot, content=self._other),)
        proposals = bytes.fromhex(self._other.sha256)
        round_ = dataclasses.replace(agenda.round, slots=slots, proposals=proposals)
        return dataclasses.replace(agenda, round=round_)


def replace_proposal(w: Any, agents: list[Any]) -> LedgerWithReplacedProposal:
    """Step two agents until the first has proposed; let the second see another proposal later."""
    for _ in range(2):
        for agent in agents:
            agent.step()
    assert agents[0].step() == Action.PROPOSED
    other = write_weights(w.store(0), [np.full(3, 5.0)])
    ledger = LedgerWithReplacedProposal(agents[1]._ledger, other)
    agents[1]._ledger = agents[1]._carrier = ledger
    return ledger


@pytest.mark.parametrize("reveal_window", [0, 100], ids=["open", "secret"])
def test_ballot_is_only_sent_for_the_tested_proposals(world, reveal_window):
    w = world(make_learners(4, 5), rounds=1, reveal_window=reveal_window)
    agents = w.agents()
    ledger = replace_proposal(w, agents)
    ledger.is_replaced = True
    assert agents[1].step() == Action.WAITED  # the ledger refused the ballot
    assert w.ledger.ballot(w.experiment, 0, w.wallets[1].address).state == BallotState.NONE
    ledger.is_replaced = False
    assert agents[1].step() == (Action.COMMITTED if reveal_window else Action.VOTED)
    lines = [line for line in w.journal(1) if line["kind"] == "ballot"]
    assert len({line["proposals"] for line in lines}) == len(lines) == 2
    assert len({line["salt"] for line in lines}) == (2 if reveal_window else 1)
    w.drive(agents)
    assert w.rounds()[0].slots[0].approvals == 1


def test_ballot_for_a_replaced_proposal_is_not_revealed(world, caplog):
    w = world(make_learners(4, 5), rounds=1, reveal_window=100)
    agents = w.agents()
    ledger = replace_proposal(w, agents)
    assert agents[1].step() == Action.COMMITTED
    ledger.is_replaced = True
    assert agents[1].step() == Action.WAITED
    assert "the round now contains other proposals" in caplog.text
    assert w.ledger.ballot(w.experiment, 0, w.wallets[1].address).state == BallotState.COMMITTED
    ledger.is_replaced = False
    assert agents[1].step() == Action.REVEALED


def test_proposal_records_the_weights_it_was_trained_from(world):
    w = world(make_learners(4, 5), rounds=2)
    w.drive(w.agents())
    params = w.ledger.experiment(w.experiment).params
    schema = ExperimentSpec.read(w.store(0), params.spec).schema
    bases = [read_weights(w.store(0), c, schema=schema).base for c in w.accepted()]
    assert bases == [params.initial.sha256, w.accepted()[0].sha256]


@pytest.mark.parametrize("base", [None, "ab" * 32])
def test_proposal_trained_from_other_weights_is_rejected(world, caplog, base: str | None):
    w = world(make_learners(4, 5), rounds=1)
    agents = w.agents()
    for _ in range(2):
        for agent in agents:
            agent.step()
    content = w.store(0).put([encode_weights([np.ones(3)], base=base)])
    w.views[0].propose(w.experiment, 0, content, Scores()).wait()
    assert agents[1].step() == Action.VOTED
    assert w.rounds()[0].outcome == Outcome.REJECTED
    assert f"it was trained from {base or 'nothing'}, but the current weights are" in caplog.text


def test_scores_of_the_current_weights_come_first(world):
    w = world(make_learners(4, 5), rounds=1)
    w.drive(w.agents())
    [ballot] = find_ballots(w, 1)
    assert [scores.vote_score for scores in ballot.vote.scores] == [-15.0, -12.0]


class AnotherExperiment:
    """A ledger on which a reorganisation assigns the experiment's id to another experiment."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def agenda(self, experiment: ExperimentId, account: Account) -> Agenda:
        agenda = self._ledger.agenda(experiment, account)
        seen = dataclasses.replace(agenda.experiment, hash=b"x" * 32)
        return dataclasses.replace(agenda, experiment=seen)


def test_agent_joins_only_the_experiment_that_its_owner_agreed_to(world):
    w = world(make_learners(4, 5))
    known = w.ledger.experiment(w.experiment).hash
    with w.agent(0, hash=bytes(32)) as agent, pytest.raises(WrongExperiment) as refused:
        agent.step()  # a protocol error ends `run`
    assert refused.value.args == (known,)
    assert w.ledger.learners(w.experiment) == []
    with w.agent(0, hash=known) as agent:
        assert agent.step() == Action.JOINED


def test_agent_does_not_join_another_experiment_than_the_one_it_checked(world):
    w = world(make_learners(4, 5))
    with (
        w.agent(0, ledger=AnotherExperiment(w.views[0])) as agent,
        pytest.raises(AgentStopped, match="another creator or other parameters"),
    ):
        agent.run()
    assert w.ledger.learners(w.experiment) == []


class CountingLedger:
    """A ledger that counts queries."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.queries: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        if name in QUERIES:
            self.queries[name] += 1
        return getattr(self._ledger, name)


def test_each_step_asks_the_ledger_once(world):
    w = world(make_learners(4, 5), rounds=2, reveal_window=100)
    ledger, steps = CountingLedger(w.views[1]), 0
    agents = [w.agent(0), w.agent(1, ledger=ledger)]
    step = agents[1].step

    def count_and_step() -> Action:
        nonlocal steps
        steps += 1
        return step()

    agents[1].step = count_and_step
    w.drive(agents)
    assert ledger.queries == {"agenda": steps}
