"""What a learner's server shows to monitoring, beside the health that gRPC asks for."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest

from colearn_learner.remote.messages import METHODS
from colearn_learner.remote.server import ServedCall

__all__ = ["ServerMonitor"]


class ServerMonitor:
    """Counts the calls that reached a learner; tell it of each by `count`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = self._counter("calls", "Calls that reached the learner.")
        self._failures = self._counter("failures", "Calls at which the learner failed.")
        self._seconds = self._counter("seconds", "Seconds that the learner took for them.")
        self._last = time.monotonic()
        idle = Gauge(
            "colearn_learner_seconds_since_call",
            "Seconds since the last call that reached the learner, or the start.",
            registry=self._registry,
        )
        idle.set_function(self._since_call)

    def count(self, call: ServedCall) -> None:
        """Count a call that is over."""
        self._last = time.monotonic()
        self._calls.labels(call.method).inc()
        self._seconds.labels(call.method).inc(call.seconds)
        if call.failure:
            self._failures.labels(call.method).inc()

    def metrics(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def health(self) -> tuple[bool, dict[str, object]]:
        """Return that the server answers, and how long ago it was last called."""
        return True, {"healthy": True, "seconds_since_call": round(self._since_call(), 3)}

    def _since_call(self) -> float:
        return time.monotonic() - self._last

    def _counter(self, name: str, what: str) -> Counter:
        counter = Counter(f"colearn_learner_{name}", what, ["method"], registry=self._registry)
        for method in METHODS:
            if method != "Hello":  # which the server answers by itself
                counter.labels(method)
        return counter
