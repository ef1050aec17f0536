"""A learner's own vote rule and tolerance: checks, the log, and the options of the command."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from colearn_learner.agent.context import AgentConfig
from colearn_learner.agent.loop import Agent
from colearn_learner.errors import InvalidArgument
from colearn_ledger.protocol import NotALearner
from colearn_ledger.spec import VoteRule
from tests.support.commands import colearn
from tests.support.local_network import open_network
from tests.support.plural_agents import make_learners
from tests.support.toyworld import World


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vote_rule": "majority"}, "vote_rule 'majority' is not one of better-alone, leave-one"),
        ({"vote_rule": ""}, "vote_rule '' is not one of"),
        ({"tolerance": -0.1}, "tolerance is not a number of at least 0"),
        ({"tolerance": math.nan}, "tolerance is not a number of at least 0"),
        ({"tolerance": math.inf}, "tolerance is not a number of at least 0"),
        ({"tolerance": True}, "tolerance is not a number of at least 0"),
        (
            {"vote_rule": VoteRule.TRACK_RECORD, "tolerance": 0.1},
            "votes by track-record, which uses none; set no tolerance, or the vote rule leave-one",
        ),
    ],
)
def test_rules_and_tolerances_that_do_not_exist_are_refused(fields, message):
    with pytest.raises(InvalidArgument, match=message):
        AgentConfig(**fields)


def test_rule_can_be_given_as_text():
    config = AgentConfig(vote_rule="leave-one-out", tolerance=1)
    assert config.vote_rule is VoteRule.LEAVE_ONE_OUT
    assert type(config.tolerance) is float


def test_agent_with_an_unused_tolerance_does_not_join(tmp_path):
    w = World(tmp_path, make_learners(4, 5), spec={"vote_rule": "better-alone"})
    with w.agent(0, tolerance=0.1) as agent, pytest.raises(InvalidArgument, match="uses none"):
        agent.step()
    with pytest.raises(NotALearner):
        w.ledger.learner(w.experiment, w.wallets[0].address)


@pytest.mark.parametrize(
    ("agreed", "own", "logged"),
    [
        ({}, {"vote_rule": "track-record"}, "track-record, although the experiment agreed on bett"),
        (
            {"vote_rule": "leave-one-out", "tolerance": 0.1},
            {"tolerance": 0.25},
            "leave-one-out with a tolerance of 0.25, although the experiment agreed on "
            "leave-one-out with a tolerance of 0.1",
        ),
        ({}, {}, None),
        ({"tolerance": 0.1}, {"vote_rule": "better-alone"}, None),
        ({"vote_rule": "leave-one-out", "tolerance": 0.1}, {"tolerance": 0.1}, None),
    ],
    ids=["rule", "tolerance", "no own rule", "same rule", "same tolerance"],
)
def test_agent_logs_once_that_it_votes_by_another_rule(tmp_path, caplog, agreed, own, logged):
    caplog.set_level(logging.INFO)
    w = World(tmp_path, make_learners(4, 5), {"rounds": 2}, spec=agreed)
    w.drive([w.agent(0), w.agent(1, **own)])
    messages = [m for record in caplog.records if " votes by " in (m := record.getMessage())]
    assert len(messages) == (0 if logged is None else 1)
    assert all(f"{w.wallets[1].address}: votes by {logged}" in message for message in messages)


# ------------------------------------------------------------------ the command

LEARNER = ("--learner", "colearn_learner.catalogue:share", "--learner-arg", "dataset=breast-cancer")
SHARE = ("--learner-arg", "learner=0", "--learner-arg", "of=2")


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[AgentConfig]]:
    """Collect the configurations of agents, instead of running them."""
    made: list[AgentConfig] = []
    monkeypatch.setattr(Agent, "run", lambda agent, _: made.append(agent._config))
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield made
    root.handlers[:] = before  # the command replaces them
    root.setLevel(level)


@pytest.mark.parametrize(
    ("options", "rule", "tolerance"),
    [
        ((), None, None),
        (("--vote-rule", "track-record"), VoteRule.TRACK_RECORD, None),
        (("--tolerance", 0.5), None, 0.5),
        (("--vote-rule", "leave-one-out", "--tolerance", 0), VoteRule.LEAVE_ONE_OUT, 0.0),
    ],
)
def test_options_reach_the_agent(tmp_path: Path, monkeypatch, configs, options, rule, tolerance):
    network = open_network(tmp_path, monkeypatch, 2)
    command = ("agent", "run", "--experiment", network.reference, "--key", "0", *LEARNER, *SHARE)
    result = colearn(*command, *options)
    assert result.exit_code == 0, result.output
    [config] = configs
    assert (config.vote_rule, config.tolerance) == (rule, tolerance)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--vote-rule", "majority"), "'majority' is not one of 'better-alone', 'leave-one-out'"),
        (("--tolerance", "-1"), "-1.0 is not in the range x>=0"),
        (("--tolerance", "some"), "'some' is not a valid float"),
        (("--tolerance", "nan"), "tolerance is not a number of at least 0"),
        (("--vote-rule", "track-record", "--tolerance", "0.1"), "set no tolerance"),
    ],
)
def test_mistyped_options_are_wrong_usage(configs, options, message):
    result = colearn("agent", "run", "--experiment", 1, "--key", "alice", *LEARNER, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert configs == []
