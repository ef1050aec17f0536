"""The marks of ballots, the same in every table, picture and page."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from colearn_ledger.protocol import BallotState

if TYPE_CHECKING:
    from colearn_ledger.history.records import RoundRecord
    from colearn_ledger.protocol import Ballot


class Mark(Enum):
    """A learner's part in a round: its symbol, style in a terminal, and meaning.

    In a round of several proposals, a ballot that approves at least one of them is an approval.
    """

    APPROVED = ("✔", "green", "approved")
    REJECTED = ("✘", "red", "rejected")
    PROPOSER = ("★", "bold blue", "proposer")
    COMMITTED = ("●", "magenta", "committed, not revealed")
    MISSING = ("○", "yellow", "no ballot")
    OUTSIDE = ("·", "dim", "no vote")

    def __init__(self, symbol: str, style: str, meaning: str) -> None:
        self.symbol = symbol
        self.style = style
        self.meaning = meaning

    def describe(self) -> str:
        """Return the symbol with its meaning."""
        return f"{self.symbol} {self.meaning}"


def mark_ballot(record: RoundRecord, ballot: Ballot) -> Mark:
    """Return the mark of a learner in a round."""
    if ballot.state == BallotState.CAST:
        return Mark.APPROVED if ballot.approvals else Mark.REJECTED
    if ballot.state == BallotState.COMMITTED:
        return Mark.COMMITTED
    if record.find_slot(ballot.learner) is not None:
        return Mark.PROPOSER
    return Mark.MISSING if ballot.eligible and record.round.contents else Mark.OUTSIDE


def explain_marks(used: set[Mark], *, plural: bool = False) -> str:
    """Return a line that explains the marks that are used.

    Args:
        used: the marks.
        plural: whether there are rounds of several proposals.
    """
    texts = [mark.describe() for mark in Mark if mark in used]
    if plural:
        several = {
            Mark.APPROVED.describe(): f"{Mark.APPROVED.symbol} approved at least one",
            Mark.REJECTED.describe(): f"{Mark.REJECTED.symbol} approved none",
        }
        texts = [several.get(text, text) for text in texts]
    return ", ".join(texts)
