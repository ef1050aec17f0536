"""Compare the reference with a second implementation of docs/protocol.md over random lives.

`make test-long` plays 100,000 lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from colearn_ledger.calls import CALLS
from colearn_ledger.protocol import Duty, Event, Outcome, Phase, SkipReason, SlotState, Status
from tests.model.comparison import play, remember_results

LIVES, CHUNKS, CHUNK = 400, 50, 2_000

ERRORS = {
    "create": "InvalidParameter",
    "admit": "UnknownExperiment WrongStatus NotCreator InvalidParameter",
    "join": "UnknownExperiment WrongStatus WrongExperiment AlreadyJoined NotAdmitted "
    "ExperimentFull",
    "set_encryption_key": "UnknownExperiment WrongStatus NotALearner InvalidParameter",
    "leave": "UnknownExperiment WrongStatus NotALearner",
    "remove": "UnknownExperiment WrongStatus NotALearner NotRemovable",
    "start": "UnknownExperiment WrongStatus NotCreator InvalidParameter",
    "cancel": "UnknownExperiment WrongStatus NotCreator",
    "propose": "NotProposer Unchanged",
    "decline": "NotProposer",
    "vote": "NotALearner NotEligible AlreadyVoted WrongProposals InvalidParameter",
    "commit": "NotALearner NotEligible AlreadyVoted WrongProposals InvalidParameter",
    "reveal": "NotALearner NotEligible AlreadyVoted BadReveal InvalidParameter",
    "vote_signed": "WrongProposals InvalidParameter",
    "advance": "UnknownExperiment WrongStatus DeadlineNotPassed",
    "announce": "UnknownExperiment NotALearner InvalidParameter",
}
"""The errors of each call; those with a phase also have `ERRORS_OF_PHASES`."""

ERRORS_OF_PHASES = "UnknownExperiment WrongStatus WrongRound WrongPhase DeadlinePassed"
WITH_PHASE = ("propose", "decline", "vote", "commit", "reveal", "vote_signed")

PARAMETERS = {
    "create": "name rounds min_learners max_learners approval_bps propose_window vote_window "
    "reveal_window proposers initial max_strikes patience",
    "admit": "admission",
    "start": "min_learners",
    "vote": "approvals scores proposals",
    "commit": "commitment proposals",
    "reveal": "approvals scores salt",
    "vote_signed": "ballots",
    "set_encryption_key": "encryption_key",
    "announce": "topic",
}
"""The parameters with which `InvalidParameter` is raised."""


def list_expected() -> Iterator[tuple[Any, ...]]:
    """Yield everything that random lives have to reach."""
    assert ERRORS.keys() == CALLS.keys()
    for name, errors in ERRORS.items():
        yield name, "ok"
        for error in [*errors.split(), *(ERRORS_OF_PHASES.split() if name in WITH_PHASE else [])]:
            if error != "InvalidParameter":
                yield name, error
    for name, parameters in PARAMETERS.items():
        for parameter in parameters.split():
            yield name, "InvalidParameter", parameter
    for event in Event.__subclasses__():
        yield "event", event.__name__
    for kind, members in (
        ("outcome", set(Outcome) - {Outcome.NONE}),
        ("skipped", SkipReason),
        ("status", Status),
        ("phase", Phase),
        ("slot", SlotState),
        ("duty", Duty),
    ):
        for member in members:
            yield kind, member.name
    for number in (0, 1, 2):
        yield "accepted", number


def test_reference_and_model_agree_on_random_lives():
    seen: Counter[tuple[Any, ...]] = Counter()
    with remember_results():
        for seed in range(LIVES):
            play(seed, seen=seen)
    assert set(list_expected()) - set(seen) == set()


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(1, CHUNKS + 1))
def test_reference_and_model_agree_on_many_random_lives(chunk: int):
    with remember_results():
        for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            play(seed, steps=50)
