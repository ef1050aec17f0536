"""Run the agents of several learners in one process.

With a thread for each agent, a short round would consist of switching between threads, and of
looking at each other's transactions. Here, all agents perform their duties in turn, then all look
at the ledger again. More than one thread helps only if training leaves Python's lock free and does
not use all cores by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Event as StopSignal

from colearn_learner.agent.loop import Agent

_POLL = 0.5
"""Seconds after which the agents act even if the ledger has not changed: a deadline may pass."""


def run_in_turns(
    agents: Sequence[Agent], stop: StopSignal | None = None, *, threads: int = 1
) -> None:
    """Run agents of one ledger until the experiment has ended for all, or ``stop`` is set.

    If an agent fails, or Ctrl-C interrupts this function, all agents end after their current step.

    Args:
        agents: the agents.
        stop: ends the run early.
        threads: the number of agents that work at the same time.

    Raises: what `Agent.run` raises.
    """
    team = _Team(min(threads, len(agents)), stop or StopSignal())
    try:
        team.start()
        running = list(agents)
        while running and not team.stop.is_set():
            running = team.take_turns(running)
            if running:
                running[0].wait_for_change(_POLL, team.stop)
    finally:
        team.end()
    if team.failure is not None:
        raise team.failure


class _Team:
    """Threads that take agents from a queue.

    They are daemons, so that a second Ctrl-C ends the program without waiting for them.
    """

    def __init__(self, size: int, stop: StopSignal) -> None:
        self.stop = stop
        self.failure: BaseException | None = None
        self._agents: SimpleQueue[Agent | None] = SimpleQueue()
        self._acted: SimpleQueue[tuple[Agent, bool]] = SimpleQueue()
        self._ended = [threading.Event() for _ in range(size)]
        self._threads = [
            threading.Thread(target=self._work, args=(ended,), name=f"agents-{i}", daemon=True)
            for i, ended in enumerate(self._ended)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def take_turns(self, agents: Sequence[Agent]) -> list[Agent]:
        """Let each agent perform its duties; return those whose experiment has not ended."""
        for agent in agents:
            self._agents.put(agent)
        finished = {agent for agent, is_over in (self._acted.get() for _ in agents) if is_over}
        return [agent for agent in agents if agent not in finished]

    def end(self) -> None:
        """Let the agents stop after their current step, and wait for that."""
        self.stop.set()
        for _ in self._threads:
            self._agents.put(None)
        for thread, ended in zip(self._threads, self._ended, strict=True):
            if thread.ident is not None:
                ended.wait()  # `join` counts as done after Ctrl-C interrupts it (CPython 3.11)
                thread.join()

    def _work(self, ended: threading.Event) -> None:
        while (agent := self._agents.get()) is not None:
            is_over = False
            try:
                is_over = agent.perform_duties(self.stop)
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                self.failure = self.failure or error
                self.stop.set()
            finally:
                self._acted.put((agent, is_over))
        ended.set()
