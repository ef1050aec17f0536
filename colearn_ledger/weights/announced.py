"""Find merged files that enough learners have announced to rely on them without all accepted files.

A learner that merged the accepted files itself may announce the result under `TOPIC`. Only all of
the accepted files prove what their mean is, so one announcement proves nothing. It takes as many
learners to accept a proposal, though: if that many learners of the same electorate announced
the same file, it deserves the trust that the accepted files deserve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from colearn_ledger.calls import BALLOT
from colearn_ledger.ledger import LedgerView
from colearn_ledger.protocol import Account, Announced, ContentRef, Experiment

TOPIC = "merge"
"""The topic of announcements of merged files."""

_EVENTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class AnnouncedMerges:
    """Announced merges of an experiment's current weights.

    Args:
        needed: number of learners that must have announced a file.
        learners: the learners of the electorate that announced each file, in order.
    """

    needed: int
    learners: Mapping[ContentRef, tuple[Account, ...]]

    @property
    def confirmed(self) -> list[ContentRef]:
        """Return the files that enough learners have announced, most often announced first."""
        enough = [content for content, by in self.learners.items() if len(by) >= self.needed]
        return sorted(enough, key=lambda content: -len(self.learners[content]))


def find_announced(ledger: LedgerView, experiment: Experiment) -> AnnouncedMerges:
    """Read which merged files the electorate of the round that accepted the weights announced.

    The result may include merges of earlier rounds, whose headers name other files.

    Args:
        ledger: the ledger.
        experiment: the experiment; its current weights are accepted proposals.

    Raises:
        LedgerUnavailable: the ledger does not answer.
    """
    index = experiment.current_round or 0
    announced: dict[ContentRef, list[Account]] = {}
    after = -1
    while page := ledger.events(experiment.id, after=after, limit=_EVENTS_AT_ONCE):
        after = page[-1].cursor
        for event in (recorded.event for recorded in page):
            if isinstance(event, Announced) and event.topic == TOPIC:
                announced.setdefault(event.content, []).append(event.learner)
    if not announced:
        return AnnouncedMerges(1, {})
    accounts = list(dict.fromkeys(account for by in announced.values() for account in by))
    ballots = ledger.ask_all(BALLOT, [(experiment.id, index, account) for account in accounts])
    electorate = {row.learner for row in ballots if row.eligible}
    return AnnouncedMerges(
        ledger.round(experiment.id, index).needed,
        {
            content: tuple(account for account in dict.fromkeys(by) if account in electorate)
            for content, by in announced.items()
        },
    )
