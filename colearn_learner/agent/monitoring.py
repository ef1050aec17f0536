"""What a process shows to monitoring: ``/health`` and, for Prometheus, ``/metrics``."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest

from colearn_learner.agent.loop import Action, Agent, Observation
from colearn_learner.agent.progress import Progress, Work
from colearn_ledger.http_serving import Answering, answering
from colearn_ledger.protocol import RoundClosed

__all__ = ["Monitor", "Monitored", "monitoring"]

_MOVING = (Work.SENDING, Work.FETCHING)


class Monitored(Protocol):
    """What can be served."""

    def metrics(self) -> bytes:
        """Return the figures in Prometheus' text format."""

    def health(self) -> tuple[bool, dict[str, object]]:
        """Return whether all is well, and what there is to say of it."""


class Monitor:
    """Counts what an agent does.

    Args:
        agent: whose; it is listened to from now on.
        patience: seconds after which an agent that ended no step counts as not healthy; training
            has to fit in.
    """

    def __init__(self, agent: Agent, *, patience: float = 600.0) -> None:
        self._agent = agent
        self._patience = patience
        self._registry = CollectorRegistry()
        self._actions = Counter(
            "colearn_agent_actions", "What the agent did.", ["action"], registry=self._registry
        )
        for action in Action:
            if action not in (Action.WAITED, Action.DONE):
                self._actions.labels(action.value)
        self._gas = Counter(
            "colearn_agent_gas", "Gas used by its transactions.", registry=self._registry
        )
        self._rounds = Counter(
            "colearn_agent_rounds_closed",
            "Rounds that its own transactions closed.",
            ["outcome"],
            registry=self._registry,
        )
        self._round = Gauge(
            "colearn_agent_round", "The round of its last action.", registry=self._registry
        )
        self._moved = Counter(
            "colearn_agent_bytes_moved",
            "Bytes of weights sent to the store and fetched from it, counted when a file is over.",
            ["work"],
            registry=self._registry,
        )
        for work in _MOVING:
            self._moved.labels(work.value)
        idle = Gauge(
            "colearn_agent_seconds_since_step",
            "Seconds since it last looked at the ledger and did what was due.",
            registry=self._registry,
        )
        idle.set_function(self._since_step)
        agent.on_observation(self._count)
        agent.on_progress(self._count_bytes)

    def metrics(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def health(self) -> tuple[bool, dict[str, object]]:
        """Return whether the agent is at work, and what there is to say of it."""
        since = self._since_step()
        healthy = since <= self._patience
        return healthy, {"healthy": healthy, "seconds_since_step": round(since, 3)}

    def _since_step(self) -> float:
        return time.monotonic() - self._agent.stepped_at

    def _count(self, observed: Observation) -> None:
        self._actions.labels(observed.action.value).inc()
        self._gas.inc(observed.cost)
        if observed.round is not None:
            self._round.set(observed.round)
        for event in observed.events:
            if isinstance(event, RoundClosed):
                self._rounds.labels(event.outcome.name.lower()).inc()

    def _count_bytes(self, progress: Progress) -> None:
        if progress.over and progress.work in _MOVING:
            self._moved.labels(progress.work.value).inc(progress.done)


def monitoring(monitor: Monitored, host: str, port: int) -> AbstractContextManager[str]:
    """Serve a monitor until the end of the block; gives the URL.

    Args:
        monitor: what is served.
        host: to listen on.
        port: to listen on; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    return answering(_Handler, monitor, host, port)


class _Handler(Answering):
    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        if self.path == "/metrics":
            self.answer(200, CONTENT_TYPE_LATEST, self.server.subject.metrics())
        elif self.path == "/health":
            healthy, said = self.server.subject.health()
            self.answer(200 if healthy else 503, "application/json", json.dumps(said).encode())
        else:
            self.answer(404, "text/plain", b"there is /health and /metrics\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: it is asked every few seconds."""
