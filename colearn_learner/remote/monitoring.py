"""Metrics and health of a learner's server, in addition to the gRPC health service."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Summary
from prometheus_client.exposition import generate_latest

from colearn_learner.remote.messages import METHODS
from colearn_learner.remote.server import ServedCall

_ANCESTOR_NAMES = {"Propose": "propose", "Test": "test", "Accept": "set", "CurrentWeights": "get"}
"""Names of methods in the ancestor's metrics; failures of other methods count as `_OTHER`."""

_OTHER = "other"
_PREFIX = "contract_learner_grpc_server"


class ServerMonitor:
    """Metrics of the calls that reached a learner; pass each call to `count`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = self._counter("calls", "Calls that reached the learner.")
        self._failures = self._counter("failures", "Calls in which the learner failed.")
        self._seconds = self._counter("seconds", "Seconds that the learner took for these calls.")
        self._ancestor = _AncestorMetrics(self._registry)
        self._last = time.monotonic()
        idle = Gauge(
            "colearn_learner_seconds_since_call",
            "Seconds since the last call that reached the learner, or the start.",
            registry=self._registry,
        )
        idle.set_function(self._since_call)

    def count(self, call: ServedCall) -> None:
        """Count a finished call."""
        self._last = time.monotonic()
        self._calls.labels(call.method).inc()
        self._seconds.labels(call.method).inc(call.seconds)
        if call.failure:
            self._failures.labels(call.method).inc()
        self._ancestor.count(call)

    def metrics(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def health(self) -> tuple[bool, dict[str, object]]:
        """Return that the server is healthy, and the seconds since the last call."""
        return True, {"healthy": True, "seconds_since_call": round(self._since_call(), 3)}

    def _since_call(self) -> float:
        return time.monotonic() - self._last

    def _counter(self, name: str, description: str) -> Counter:
        counter = Counter(
            f"colearn_learner_{name}", description, ["method"], registry=self._registry
        )
        for method in METHODS:
            if method != "Hello":  # answered without the learner
                counter.labels(method)
        return counter


class _AncestorMetrics:
    """The same metrics under the names of the ancestor's server, for existing dashboards."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, of: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", f"As colearn_learner_{of}.", registry=registry)

        names = _ANCESTOR_NAMES.values()
        self._calls = {name: counter(name, "calls") for name in names}
        self._errors = {name: counter(f"{name}_error", "failures") for name in (*names, _OTHER)}
        self._times = {
            name: Summary(f"{_PREFIX}_{name}_time", "Seconds of a call.", registry=registry)
            for name in names
        }

    def count(self, call: ServedCall) -> None:
        name = _ANCESTOR_NAMES.get(call.method, _OTHER)
        if call.failure:
            self._errors[name].inc()
        if name != _OTHER:
            self._calls[name].inc()
            self._times[name].observe(call.seconds)
