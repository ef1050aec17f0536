"""Health endpoint and metrics of an agent."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from colearn_learner.agent.monitoring import Monitor, monitoring
from tests.support.toyworld import TowardsTarget, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, [TowardsTarget(1.0), TowardsTarget(1.0), TowardsTarget(1.0)])


def get(url: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_metrics_count_what_the_agent_did(world):
    agents = world.agents()
    monitor = Monitor(agents[0])
    world.drive(agents)
    with monitoring(monitor, "127.0.0.1", 0) as url:
        status, text = get(url, "/metrics")
    assert status == 200
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    journal = [entry for entry in world.journal(0) if entry.get("kind") == "sent"]
    for action in ("proposed", "voted"):
        sent = sum(entry["action"] == action for entry in journal)
        assert float(lines[f'colearn_agent_actions_total{{action="{action}"}}']) == sent > 0
    assert float(lines['colearn_agent_actions_total{action="declined"}']) == 0
    assert float(lines["colearn_agent_round"]) > 0


def test_health_is_503_when_no_step_ends(world):
    agent = world.agents()[0]
    with monitoring(Monitor(agent, patience=1_000), "127.0.0.1", 0) as url:
        status, body = get(url, "/health")
        assert (status, json.loads(body)["healthy"]) == (200, True)
    with monitoring(Monitor(agent, patience=-1), "127.0.0.1", 0) as url:
        status, body = get(url, "/health")
        assert (status, json.loads(body)["healthy"]) == (503, False)


def test_other_paths_are_not_found(world):
    with monitoring(Monitor(world.agents()[0]), "127.0.0.1", 0) as url:
        assert get(url, "/")[0] == 404
