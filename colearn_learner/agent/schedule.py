"""Decide when a waiting agent acts again.

Nothing but the ledger's state changes what an agent has to do, so it normally acts once for each
new head of the chain. Time alone matters in a few cases, which this module knows: a deadline
passes, or the last step asked to be repeated.
"""

from __future__ import annotations

import math
import time
from threading import Event as StopSignal

from colearn_ledger.backoff import Backoff
from colearn_ledger.ledger import Ledger
from colearn_ledger.protocol import Agenda, Round

_LONGEST_WAIT = 60.0
"""Seconds after which an agent acts anyway: the head that its node reports may be out of date."""

_LONGEST_RETRY = 8.0
"""Most seconds before a step is repeated that could not be completed."""


class StepSchedule:
    """The times at which an agent acts again.

    Args:
        poll: most seconds between two checks.
    """

    def __init__(self, poll: float) -> None:
        self._poll = poll
        self._backoff = Backoff(first=poll, longest=_LONGEST_RETRY)
        self._retries = 0
        self._retry_at = math.inf
        self._deadline: tuple[object, ...] | None = None

    def look_again_in(self, seconds: float) -> None:
        """Repeat this step after some seconds, unless the ledger changes earlier."""
        self._retry_at = min(self._retry_at, time.monotonic() + seconds)

    def retry(self, limit: float = math.inf) -> None:
        """Repeat this step after a pause that grows, but of at most ``limit`` seconds."""
        self._retries += 1
        self.look_again_in(max(0.0, min(limit, self._backoff.pause(self._retries))))

    def wait(self, ledger: Ledger, agenda: Agenda | None, stop: StopSignal) -> None:
        """Wait until the agent has to act again, or ``stop`` is set.

        Args:
            ledger: the ledger.
            agenda: the agenda of the last step, if one was read.
            stop: ends the wait.

        Raises:
            LedgerError: the ledger cannot be asked whether it has changed.
        """
        if self._retry_at == math.inf:
            self._retries = 0
        ends, self._retry_at = min(time.monotonic() + _LONGEST_WAIT, self._retry_at), math.inf
        while not stop.is_set():
            left = max(0.0, ends - time.monotonic())
            if ledger.wait_for_change(min(self._poll, left)) or time.monotonic() >= ends:
                return
            if agenda is not None and agenda.round and self._has_just_ended(agenda.round, ledger):
                return

    def _has_just_ended(self, round_: Round, ledger: Ledger) -> bool:
        """Return whether the deadline of a round's phase has passed, but only once."""
        deadline = (round_.index, round_.phase, round_.deadline)
        if round_.deadline is None or deadline == self._deadline:
            return False
        if ledger.now() < round_.deadline:
            return False
        self._deadline = deadline
        return True
