"""Announce the merged current weights, for those that cannot fetch all accepted files."""

from __future__ import annotations

import logging
import threading

from colearn_learner.agent.context import AgentContext
from colearn_ledger.protocol import ContentRef, Experiment

_log = logging.getLogger(__name__)

TOPIC = "merge"


def announce_merge(context: AgentContext, experiment: Experiment, content: ContentRef) -> None:
    """Announce a pinned merge in the background, if the lowest accepted proposal is our own.

    The announcement decides nothing, so a failure is only logged.
    """
    threading.Thread(
        target=_announce, args=(context, experiment, content), name="announce", daemon=True
    ).start()


def _announce(context: AgentContext, experiment: Experiment, content: ContentRef) -> None:
    ledger = context.ledger
    try:
        accepted_in = ledger.round(experiment.id, experiment.current_round or 0)
        lowest = next((slot for slot in accepted_in.slots if slot.accepted), None)
        if lowest is None or lowest.proposer != ledger.account:
            return
        ledger.announce(experiment.id, TOPIC, content).wait(context.config.transaction_timeout)
    except Exception as error:  # noqa: BLE001 - the agent itself must not notice
        _log.warning("%s: could not announce the merged weights: %s", context.name, error)
    else:
        _log.info("%s: announced the merged weights %s", context.name, content.cid)
