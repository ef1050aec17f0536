"""Announce the merged current weights, for those that cannot fetch all accepted files.

During an experiment one learner announces each merge. Others rely on it only if as many learners
announced the same file as it takes to accept a proposal (`colearn_ledger.weights.announced`). That
many announcements would be too expensive in every round. The learners that approved make them once,
when the experiment is over and agents stop.
"""

from __future__ import annotations

import logging
import threading

from colearn_learner.agent.context import AgentContext
from colearn_ledger.protocol import Account, ContentRef, Experiment, Round
from colearn_ledger.weights.announced import TOPIC, find_announced

_log = logging.getLogger(__name__)


def announce_merge(context: AgentContext, experiment: Experiment, content: ContentRef) -> None:
    """Announce a pinned merge in the background, if the lowest accepted proposal is our own.

    If the experiment is over, nothing happens here; `confirm_merge` comes later. The announcement
    decides nothing, so a failure is only logged.
    """
    own = context.folder.trained(experiment.current_round or 0)
    is_other = own is not None and own.content != experiment.current[0]
    if experiment.status.is_over or is_other:  # most agents need not read the round
        return
    threading.Thread(
        target=_announce, args=(context, experiment, content), name="announce", daemon=True
    ).start()


def confirm_merge(context: AgentContext, experiment: Experiment) -> None:
    """Announce our merge of a finished experiment's weights, unless enough learners have done so.

    The proposer of the lowest accepted slot does it, and the learners that approved that proposal.
    A failure is only logged.
    """
    content = context.folder.merged(experiment.current_round, experiment.current)
    if content is None or not experiment.status.is_over:
        return
    account = context.ledger.account
    try:
        announced = find_announced(context.ledger, experiment)
        if content in announced.confirmed or account in announced.learners.get(content, ()):
            return
        accepted_in = context.ledger.round(experiment.id, experiment.current_round or 0)
        if _is_lowest_proposer(account, accepted_in) or _has_approved(context, accepted_in):
            _send(context, experiment, content)
    except Exception as error:  # noqa: BLE001 - nothing depends on it
        _log.warning("%s: could not announce the merged weights: %s", context.name, error)


def _announce(context: AgentContext, experiment: Experiment, content: ContentRef) -> None:
    try:
        accepted_in = context.ledger.round(experiment.id, experiment.current_round or 0)
        if _is_lowest_proposer(context.ledger.account, accepted_in):
            _send(context, experiment, content)
    except Exception as error:  # noqa: BLE001 - an announcement must not stop the agent
        _log.warning("%s: could not announce the merged weights: %s", context.name, error)


def _send(context: AgentContext, experiment: Experiment, content: ContentRef) -> None:
    pending = context.ledger.announce(experiment.id, TOPIC, content)
    pending.wait(context.config.transaction_timeout)
    _log.info("%s: announced the merged weights %s", context.name, content.cid)


def _find_lowest(accepted_in: Round) -> int | None:
    return next((at for at, slot in enumerate(accepted_in.slots) if slot.accepted), None)


def _is_lowest_proposer(account: Account, accepted_in: Round) -> bool:
    lowest = _find_lowest(accepted_in)
    return lowest is not None and accepted_in.slots[lowest].proposer == account


def _has_approved(context: AgentContext, accepted_in: Round) -> bool:
    ledger, lowest = context.ledger, _find_lowest(accepted_in)
    ballot = ledger.ballot(accepted_in.experiment, accepted_in.index, ledger.account)
    return lowest is not None and bool(ballot.approvals >> lowest & 1)
