"""A proxy in front of an IPFS node, which delivers wrong bytes instead of files on demand."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.faults.fault_world import FaultWorld
from tests.support.faulty_server import Call, run_server


def _flood(call: Call) -> None:
    call.start()
    call.flood()


LIES: Mapping[str, Callable[[Call], None]] = {
    "other bytes": lambda call: call.answer(bytes(int(call.options.get("length", 100)))),
    "html": lambda call: call.answer(b"<html><body>Please log in</body></html>"),
    "deep": lambda call: call.answer(b"[" * 400_000),
    "endless": _flood,
}
"""Kinds of lies, and how a request for a file is answered."""

_TIMEOUT = 30.0  # seconds


class LyingStore:
    """The proxy's behaviour.

    Args:
        target: URL of the IPFS node's API.

    Attributes:
        kind: the kind of lie in place of each file, one of `LIES`; ``None`` to be honest.
        lies: number of lies so far.
        url: URL of the proxy.
    """

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.kind: str | None = None
        self.lies = 0
        self.url = ""

    @contextmanager
    def lie(self, kind: str) -> Iterator[None]:
        """Deliver wrong bytes until the context exits."""
        self.kind = kind
        try:
            yield
        finally:
            self.kind = None

    def answer(self, call: Call) -> None:
        """Answer a request, with a lie if it is for a file."""
        kind = self.kind
        if kind is not None and call.command == "cat":
            self.lies += 1
            LIES[kind](call)
        else:
            call.answer(*self._forward(call))

    def _forward(self, call: Call) -> tuple[bytes, int]:
        node = http.client.HTTPConnection(
            self._target.hostname or "", self._target.port, timeout=_TIMEOUT
        )
        headers = {k: v for k, v in call.headers.items() if k == "content-type"}
        try:
            path = f"/api/v0/{call.command}?{urlencode(call.options)}"
            node.request("POST", path, call.body() if headers else b"", headers)
            answer = node.getresponse()
            return answer.read(), answer.status
        finally:
            node.close()


@contextmanager
def run_lying_store(target: str) -> Iterator[LyingStore]:
    """Start a proxy in front of an IPFS node's API; it is honest at first."""
    store = LyingStore(target)
    with run_server(store.answer) as server:
        store.url = server.url
        yield store


def let_all_stores_lie(w: FaultWorld[Any], kind: str) -> None:
    """Let the IPFS nodes of all agents lie at the start, and again on the second proposal.

    Args:
        w: an experiment that has not started; its second proposer is ``bob``.
        kind: one of `LIES`.
    """
    with ExitStack() as proxies:
        stores = []
        for agent in w.agents.values():
            stores.append(proxies.enter_context(run_lying_store(agent.store)))
            agent.store = stores[-1].url
        bob, *others = w.agents["bob"], w.agents["alice"], w.agents["carol"]
        with ExitStack() as lies:  # in place of the first weights
            for store in stores:
                lies.enter_context(store.lie(kind))
            w.start()
            for agent in w.agents.values():
                agent.wait_log("trying again")
        bob.hold("after-training")
        bob.wait_until_stopped_at("after-training")
        with ExitStack() as lies:  # in place of the proposal
            for store in stores:
                lies.enter_context(store.lie(kind))
            bob.release("after-training")
            for agent in others:
                agent.wait_log("waiting for the proposal")
        w.final_check()
    assert w.reader.outcomes() == ["accepted"] * 2
    assert not [b for a in w.agents.values() for b in a.journal("ballot") if b["reason"]]
