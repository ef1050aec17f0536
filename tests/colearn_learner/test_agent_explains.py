"""An agent's log explains its decisions, and what it waits for."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.observation import Action, Observation
from colearn_learner.agent.waiting import WaitingReporter
from colearn_learner.cli import agent as agent_command
from colearn_learner.cli._support.decisions import (
    describe_action,
    describe_closing,
    describe_verdict,
)
from colearn_learner.cli.logs import start_logging
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.protocol import ExperimentId, Merge, Outcome, Phase, RoundClosed, Selection
from colearn_ledger.text.shortening import shorten
from tests.support.plural_agents import make_learners, step_all, step_until
from tests.support.toyworld import TowardsTarget, World

SEVERAL = {"proposers": 3, "merge": Merge.MEAN}


def find(w: World, index: int, action: Action) -> Observation:
    """Return the first report of an agent's action."""
    account = str(w.views[index].account)
    return next(o for o in w.seen if (o.account, o.action) == (account, action))


class UnsentVotes:
    """A ledger that takes no votes."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def vote(self, *_: Any) -> Any:
        raise LedgerUnavailable("the node cannot be reached")


class CannotTest(TowardsTarget):
    def mli_test_weights(self, weights: Any) -> Any:
        raise RuntimeError(f"{weights} cannot be tested")


class CannotTrain(TowardsTarget):
    def mli_propose_weights(self) -> Any:
        raise RuntimeError("out of memory")


class TestBallots:
    def test_line_about_a_ballot_names_the_score_and_that_of_the_current_weights(
        self, tmp_path: Path
    ):
        w = World(tmp_path, make_learners(1.0, 1.1, -1.0), {"rounds": 1})
        w.drive(w.agents())
        agrees, differs = (describe_action(find(w, i, Action.VOTED)) for i in (1, 2))
        assert agrees.startswith("voted approve: score -2.")
        assert "(current -3.3) round=0" in agrees
        assert differs.startswith("voted reject: score -3.")

    def test_several_proposals_have_a_verdict_each(self, tmp_path: Path):
        w = World(tmp_path, make_learners(1.0, 1.1, -1.0), {"rounds": 1, **SEVERAL})
        w.drive(w.agents())
        voted = find(w, 0, Action.VOTED)
        lines = [describe_verdict(verdict, voted.score_name) for verdict in voted.verdicts]
        assert [line.split(":")[0] for line in lines] == ["own", "approve", "reject"]
        assert all("(current -3)" in line for line in lines)
        assert describe_action(voted).startswith("voted: approved 1 of 2 proposals round=0")

    def test_verdicts_after_a_restart_are_those_of_the_decision(self, tmp_path: Path):
        w = World(tmp_path, make_learners(1.0, 1.1), {"rounds": 1})
        proposer, voter = w.agent(0), w.agent(1, ledger=UnsentVotes(w.views[1]))
        step_all(w, [proposer, voter], Phase.VOTING)
        with pytest.raises(LedgerUnavailable):
            step_until(voter, Action.VOTED)
        voter.close()
        step_until(w.agent(1, learner=CannotTest(1.1)), Action.VOTED)
        [verdict] = find(w, 1, Action.VOTED).verdicts
        assert verdict.approved
        assert verdict.score is not None

    def test_proposal_is_reported_with_its_score(self, tmp_path: Path):
        w = World(tmp_path, make_learners(1.0, 1.1), {"rounds": 1})
        w.drive(w.agents())
        assert describe_action(find(w, 0, Action.PROPOSED)).startswith("proposed: score -2.")

    def test_round_without_a_proposal_has_no_approvals(self):
        closed = RoundClosed(ExperimentId(1), 2, Outcome.NO_PROPOSAL, 0, approvals=(0,), eligible=2)
        assert describe_closing(closed) == "round 2 closed: no proposal"


class TestNames:
    @pytest.fixture
    def names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("COLEARN_HOME", str(tmp_path / "home"))
        (tmp_path / "home").mkdir()
        return tmp_path / "home" / "names.toml"

    def find_verdicts(self, w: World, caplog: pytest.LogCaptureFixture) -> list[str]:
        """Return the first words of the lines about the proposals of a ballot."""
        caplog.set_level(logging.INFO, logger=agent_command.__name__)
        agent_command._log_observation(find(w, 0, Action.VOTED))
        lines = [getattr(record, "colearn_text", "") for record in caplog.records]
        return [line.split(":")[0] for line in lines if line.startswith("  proposal")]

    def test_proposals_have_the_names_of_their_proposers(
        self, tmp_path: Path, names: Path, caplog: pytest.LogCaptureFixture
    ):
        w = World(tmp_path, make_learners(1.0, 1.1, -1.0), {"rounds": 1, **SEVERAL})
        w.drive(w.agents())
        accounts = [view.account for view in w.views]
        names.write_text(f'alice = "{accounts[0]}"\ncarol = "{accounts[2]}"\n')
        assert self.find_verdicts(w, caplog) == [
            "  proposal 0 of alice",
            f"  proposal 1 of {shorten(accounts[1])}",
            "  proposal 2 of carol",
        ]

    def test_damaged_file_of_names_leaves_the_accounts_and_a_warning(
        self, tmp_path: Path, names: Path, caplog: pytest.LogCaptureFixture
    ):
        w = World(tmp_path, make_learners(1.0, 1.1, -1.0), {"rounds": 1, **SEVERAL})
        w.drive(w.agents())
        names.write_text("alice")
        accounts = [view.account for view in w.views]
        assert self.find_verdicts(w, caplog) == [
            f"  proposal {slot} of {shorten(account)}" for slot, account in enumerate(accounts)
        ]
        assert "the log shows accounts instead of names" in caplog.text

    def test_messages_begin_with_the_configured_name(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        w = World(tmp_path, [CannotTrain(1.0), *make_learners(1.1)], {"rounds": 1})
        agents = [w.agent(0, name="alice"), w.agent(1)]
        w.drive(agents)
        assert "alice: declines round 0: the learner failed to train" in caplog.text
        assert find(w, 0, Action.DECLINED).account == w.views[0].account


class TestWaiting:
    @pytest.fixture(autouse=True)
    def logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="colearn_learner.agent.waiting")

    def report(self, w: World, reporter: WaitingReporter, index: int = 0) -> None:
        reporter.report(w.views[index].agenda(w.experiment, w.views[index].account))

    def test_number_of_learners_is_logged_when_it_changes(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        w = World(tmp_path, make_learners(1.0, 1.1, 1.2))
        agents, reporter = w.agents(), WaitingReporter("alice")
        self.report(w, reporter)
        for agent in agents[:2]:
            step_until(agent, Action.JOINED)
            for _ in range(2):
                self.report(w, reporter)
        assert caplog.messages == [
            "alice: waiting until this account has joined",
            "alice: waiting for learners: 1 of 3 joined",
            "alice: waiting for learners: 2 of 3 joined",
        ]

    def test_turn_is_logged_once_for_each_turn(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        w = World(tmp_path, make_learners(1.0, 1.1, 1.2), {"rounds": 7})
        agents, reporter = w.agents(), WaitingReporter("carol")
        for index in range(7):
            step_all(w, agents, Phase.PROPOSING, index)
            self.report(w, reporter, 2)
        assert caplog.messages == ["carol: your turn in about 2 rounds"] * 2

    def test_nothing_is_logged_about_random_turns(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        w = World(tmp_path, make_learners(1.0, 1.1, 1.2), {"selection": Selection.RANDOM})
        agents = w.agents()
        step_all(w, agents, Phase.PROPOSING)
        self.report(w, WaitingReporter("carol"), 2)
        assert caplog.messages == []


def test_traceback_has_a_line_for_each_frame_below_the_users_own_line(tmp_path: Path):
    module = tmp_path / "my_learner.py"
    module.write_text("import json\n\ndef train():\n    json.loads('{')\n")
    stream, namespace = io.StringIO(), {}
    exec(compile(module.read_text(), str(module), "exec"), namespace)
    before = logging.getLogger().handlers[:]
    try:
        start_logging(as_json=False, verbose=False, stream=stream)
        try:
            namespace["train"]()
        except ValueError:
            logging.getLogger("test").exception("the learner failed to train")
    finally:
        logging.getLogger().handlers[:] = before
    head, where, *trace = stream.getvalue().splitlines()
    assert head.endswith("ERROR: the learner failed to train")
    assert where == f"  at {module}:4 in train"
    assert trace[0] == "  Traceback (most recent call last):"
    assert "JSONDecodeError" in trace[-1]
