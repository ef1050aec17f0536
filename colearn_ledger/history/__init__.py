"""An experiment's history: read from a ledger, shown as a table, a picture, a page, JSON or CSV."""

from colearn_ledger.history.contributions import Contribution
from colearn_ledger.history.fees import RoundFee, read_fees
from colearn_ledger.history.lineage import AcceptedProposal, WeightsVersion
from colearn_ledger.history.reading import read_history, read_score
from colearn_ledger.history.records import (
    Announcement,
    BallotRecord,
    History,
    RoundRecord,
    ScoreKind,
)

__all__ = [
    "AcceptedProposal",
    "Announcement",
    "BallotRecord",
    "Contribution",
    "History",
    "RoundFee",
    "RoundRecord",
    "ScoreKind",
    "WeightsVersion",
    "read_fees",
    "read_history",
    "read_score",
]
