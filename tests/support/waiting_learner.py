"""A learner that waits in its training for something that never happens."""

from __future__ import annotations

import threading

from tests.support.defective_learners import Sound


class Waits(Sound):
    def train(self) -> None:
        threading.Event().wait()
