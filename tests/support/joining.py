"""Join an experiment by its id alone, for tests in which its hash does not matter."""

from __future__ import annotations

from colearn_ledger.ledger import Ledger, Pending
from colearn_ledger.protocol import ExperimentId


def join(ledger: Ledger, experiment: ExperimentId) -> Pending:
    """Join with the hash that the ledger returns."""
    return ledger.join(experiment, ledger.experiment(experiment).hash)
