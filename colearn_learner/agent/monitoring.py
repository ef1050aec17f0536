"""Serve ``/health`` and, for Prometheus, ``/metrics``."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest

from colearn_learner.agent.loop import Agent
from colearn_learner.agent.observation import Action, Observation
from colearn_learner.agent.progress import Progress, Work
from colearn_ledger.protocol import RoundClosed
from colearn_ledger.serve import serve

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_TRANSFERS = (Work.SENDING, Work.FETCHING)


class Monitored(Protocol):
    """Source of health and metrics."""

    def metrics(self) -> bytes:
        """Return the metrics in Prometheus' text format."""

    def health(self) -> tuple[bool, dict[str, object]]:
        """Return whether all is well, and details for a JSON response."""


class Monitor:
    """Metrics and health of an agent.

    Args:
        agent: the agent to observe from now on.
        patience: seconds without a finished step after which the agent counts as unhealthy;
            longer than training takes.
    """

    def __init__(self, agent: Agent, *, patience: float = 600.0) -> None:
        self._agent = agent
        self._patience = patience
        self._registry = CollectorRegistry()
        self._actions = Counter(
            "colearn_agent_actions", "Actions of the agent.", ["action"], registry=self._registry
        )
        for action in Action:
            if action not in (Action.WAITED, Action.DONE):
                self._actions.labels(action.value)
        self._gas = Counter(
            "colearn_agent_gas", "Gas used by the agent's transactions.", registry=self._registry
        )
        self._rounds = Counter(
            "colearn_agent_rounds_closed",
            "Rounds closed by the agent's transactions.",
            ["outcome"],
            registry=self._registry,
        )
        self._round = Gauge(
            "colearn_agent_round", "Round of the agent's last action.", registry=self._registry
        )
        self._bytes_moved = Counter(
            "colearn_agent_bytes_moved",
            "Bytes of weights sent to the store and fetched from it, counted when a transfer ends.",
            ["work"],
            registry=self._registry,
        )
        for work in _TRANSFERS:
            self._bytes_moved.labels(work.value)
        idle = Gauge(
            "colearn_agent_seconds_since_step",
            "Seconds since the agent finished its last step.",
            registry=self._registry,
        )
        idle.set_function(self._since_step)
        agent.on_observation(self._count)
        agent.on_progress(self._count_bytes)

    def metrics(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def health(self) -> tuple[bool, dict[str, object]]:
        """Return whether the agent is healthy, and details for a JSON response."""
        since = self._since_step()
        healthy = since <= self._patience
        return healthy, {"healthy": healthy, "seconds_since_step": round(since, 3)}

    def _since_step(self) -> float:
        return time.monotonic() - self._agent.stepped_at

    def _count(self, observation: Observation) -> None:
        self._actions.labels(observation.action.value).inc()
        self._gas.inc(observation.cost)
        if observation.round is not None:
            self._round.set(observation.round)
        for event in observation.events:
            if isinstance(event, RoundClosed):
                self._rounds.labels(event.outcome.name.lower()).inc()

    def _count_bytes(self, progress: Progress) -> None:
        if progress.over and progress.work in _TRANSFERS:
            self._bytes_moved.labels(progress.work.value).inc(progress.done)


def monitoring(monitor: Monitored, host: str, port: int) -> AbstractContextManager[str]:
    """Serve a monitor until the end of the block, and yield its URL.

    Args:
        monitor: source of health and metrics.
        host: host to listen on.
        port: port to listen on; 0 chooses a free one.

    Raises:
        AddressNotUsable: the port is in use.
        ServerNotInstalled: the packages of the server are missing.
    """
    return serve(lambda: _make_app(monitor), host, port)


def _make_app(monitor: Monitored) -> ASGIApp:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def show_metrics(_: Request) -> Response:
        return Response(monitor.metrics(), media_type=CONTENT_TYPE_LATEST)

    def show_health(_: Request) -> Response:
        healthy, details = monitor.health()
        return JSONResponse(details, 200 if healthy else 503)

    return Starlette(routes=[Route("/metrics", show_metrics), Route("/health", show_health)])
