"""Check that an agent can take part in an experiment, before it starts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from colearn_learner.agent.errors import FolderNotWritable
from colearn_learner.cli._support.connect import Place
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_learner.cli._support.signals import Stopping
from colearn_learner.errors import LearnerError
from colearn_ledger.backoff import Backoff
from colearn_ledger.home import HomeNotWritable
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable

if TYPE_CHECKING:
    from colearn_ledger.ledger import Ledger

T = TypeVar("T")

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(first=0.5, longest=30.0)


class CannotTakePart(LearnerError):
    """The account can never take part in this experiment."""


def start_patiently(start: Callable[[], T], stopping: Stopping) -> T | None:
    """Return what a function returns, as soon as the node answers and the disk has space.

    Returns ``None`` if a signal asks the process to end before that.
    """
    failures = 0
    while not stopping.requested.is_set():
        try:
            return start()
        except (LedgerUnavailable, FolderNotWritable, HomeNotWritable) as error:
            failures += 1
            pause = _BACKOFF.pause(failures)
            _log.warning("%s; trying again in %.1f s", error, pause)
            stopping.requested.wait(pause)
    return None


def check_part(ledger: Ledger, place: Place, *, joins: bool, expected: bytes | None) -> None:
    """Refuse to start in another experiment than expected, or if this account has no part in it."""
    from colearn_ledger.protocol import NotALearner, Status, WrongExperiment

    with explain_refusals(place.reference):
        shown = ledger.experiment(place.experiment)
        if expected not in (None, shown.hash):
            raise WrongExperiment(shown.hash)
    try:
        ledger.learner(place.experiment, ledger.account)
    except NotALearner:
        pass
    else:
        return
    if shown.status.is_over:
        raise CannotTakePart(
            f"{place.reference} is already {shown.status.name.lower()}, and {ledger.account} was "
            "not one of its learners; choose another experiment, or check --key"
        )
    if joins and shown.status == Status.RUNNING and not shown.params.late_join:
        raise CannotTakePart(
            f"{place.reference} has started and does not accept late learners, and "
            f"{ledger.account} is not one of its learners; check --key"
        )


def name_part(place: Place, wallet: Wallet) -> str:
    """Return a file name for an account's part in an experiment."""
    where, account = place.reference, place.network.account_of(wallet)
    return f"{where.chain.replace(':', '-')}-{where.contract}-{where.experiment}-{account}"
