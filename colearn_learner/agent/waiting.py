"""Report what a waiting agent waits for, once at each change."""

from __future__ import annotations

import logging

from colearn_ledger.protocol import Agenda, Experiment, Learner, Round, Selection, Status

_log = logging.getLogger(__name__)


class WaitingReporter:
    """Log what an agent waits for.

    Args:
        name: the learner's name in the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = ""
        self._turn: int | None = None

    def report(self, agenda: Agenda) -> None:
        """Log what the agent waits for after a step, unless it was the same after the last one."""
        text = self._describe(agenda)
        if text and text != self._last:
            _log.info("%s: %s", self._name, text)
        self._last = text

    def _describe(self, agenda: Agenda) -> str:
        experiment = agenda.experiment
        if agenda.learner is None:
            return "waiting until this account has joined"
        if experiment.status == Status.ENROLLING:
            return describe_enrolment(experiment)
        if agenda.round is None or experiment.status != Status.RUNNING:
            return ""
        return self._describe_turn(agenda.round, experiment, agenda.learner)

    def _describe_turn(self, round_: Round, experiment: Experiment, learner: Learner) -> str:
        """Return how far away the account's next proposal is, once for each of its turns."""
        turn = find_next_turn(round_, experiment, learner)
        if turn is None or turn == self._turn:
            return ""
        self._turn, left = turn, turn - round_.index
        return f"your turn in about {left} round{'s' if left > 1 else ''}" if left > 0 else ""


def describe_enrolment(experiment: Experiment) -> str:
    """Return for which learners an experiment waits before it starts."""
    params, joined = experiment.params, experiment.joined_learners
    if joined < params.min_learners:
        return f"waiting for learners: {joined} of {params.min_learners} joined"
    return (
        f"waiting for the start: {joined} learners joined; the experiment starts when its creator "
        f"starts it, or with {params.max_learners} learners"
    )


def find_next_turn(round_: Round, experiment: Experiment, learner: Learner) -> int | None:
    """Return the round in which a learner will probably propose next.

    It is exact as long as nobody joins or leaves. ``None`` if all learners propose in each round,
    if turns are random, or if the experiment ends before.
    """
    params, active = experiment.params, experiment.active_learners
    if params.selection != Selection.ROUND_ROBIN or params.proposers >= active:
        return None
    distance = (learner.index - round_.index * params.proposers) % active
    turn = round_.index + distance // params.proposers
    return turn if turn < params.rounds else None
