"""Histories of experiments that were played by hand, for tests of what they look like."""

from __future__ import annotations

from typing import Any

from colearn_ledger.history import History, ScoreKind, read_history
from colearn_ledger.protocol import Scores, Vote
from colearn_ledger.weights.unixfs import content_of
from tests.support.plural import PluralExperiment

LOSS = ScoreKind("log loss", higher_is_better=False)
NAMES = ("alice", "bob", "carol", "dave", "erin")


def read_named(made: PluralExperiment, **options: Any) -> History:
    """Return the history with the score's name and names of the first learners."""
    names = dict(zip(made.accounts, NAMES, strict=False))
    read = read_history(made.ledger, made.id, names=names)
    return History(
        **{
            **{name: getattr(read, name) for name in History.__slots__},
            "score": LOSS,
            **options,
        }
    )


def play_classic(rounds: int = 5, learners: int = 3) -> PluralExperiment:
    """Play rounds of one proposer: accepted, rejected, declined, and accepted from then on.

    The learners' scores of the initial weights are 0.9, 0.7 and 0.8; each accepted proposal halves
    them. A proposer reports a tenth of what the voters do.
    """
    made = PluralExperiment(learners, rounds=rounds)
    current = [0.9 - 0.2 * (i % 3 == 1) - 0.1 * (i % 3 == 2) for i in range(learners)]
    for index in range(rounds):
        proposer = made.views[index % learners]
        if index == 2:
            proposer.decline(made.id, index)
            continue
        factor = 2.0 if index == 1 else 0.5
        own = Scores(current[index % learners] * factor / 10, 0.01)
        proposer.propose(made.id, index, content_of(f"round {index}".encode()), own)
        round_ = made.ledger.round(made.id, index)
        for learner, view in enumerate(made.views):
            if view is not proposer:
                scores = (Scores(current[learner], 0.5), Scores(current[learner] * factor, 0.4))
                view.vote(made.id, index, round_.proposals, Vote(int(index != 1), scores))
        if index != 1:
            current = [score * factor for score in current]
    return made


def play_plural(learners: int = 5, proposers: int = 5, rounds: int = 3) -> PluralExperiment:
    """Play all rounds but the last; the proposals of the even slots are accepted."""
    made = PluralExperiment(learners, proposers=proposers, rounds=rounds)
    for _ in range(rounds - 1):
        made.play(lambda _, slot: slot % 2 == 0)
    return made
