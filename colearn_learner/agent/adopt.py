"""Adopt the ledger's current weights, and release superseded ones."""

from __future__ import annotations

import logging

from colearn_learner.agent.context import AgentContext, describe
from colearn_learner.interface import Weights
from colearn_ledger.protocol import ContentRef, Experiment
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.store import ContentMismatch, ContentTooLarge, ContentUnavailable

_log = logging.getLogger(__name__)

_COPIES = 2
"""Number of accepted weights copied in the folder when ``keep_accepted`` is ``None``."""


class WeightsAdopter:
    """Give the current weights to the learner, and keep the latest accepted ones pinned.

    The last ``keep_accepted`` accepted weights stay pinned, or all of them if it is ``None``.
    `unfit` is the reason why the learner could not adopt the current weights, otherwise
    ``None``. Such a learner rejects and declines until other weights are current.
    """

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._adopted: str | None = None  # SHA-256 of the weights adopted by this process
        self.unfit: str | None = None

    def is_due(self, experiment: Experiment) -> bool:
        """Return whether the ledger has current weights that the learner has not adopted."""
        return experiment.current is not None and experiment.current.sha256 != self._adopted

    def adopt(self, content: ContentRef) -> bool:
        """Give the current weights to the learner; return False if they cannot be fetched now."""
        name = self._context.name
        self.unfit = None
        try:
            self._accept(self._weights(content))
        except (WeightsError, ContentTooLarge, ContentMismatch) as error:
            self.unfit = f"the current weights are not usable: {error}"
        except ContentUnavailable as error:
            _log.warning("%s: waiting for the current weights: %s", name, error)
            return False
        self._adopted = content.sha256
        self._release_superseded()
        if self.unfit is not None:
            _log.error(
                "%s: %s; it rejects and declines until other weights are current", name, self.unfit
            )
        return True

    def _weights(self, content: ContentRef) -> Weights:
        """Return the weights from the folder, else from the store; pin them and keep a copy."""
        context, folder = self._context, self._context.folder
        kept = folder.cache.load(content)
        tested = folder.cache.load_tested(content) if kept is None else None
        data = kept or tested or context.fetch(content, context.config.fetch_timeout)
        weights = context.decode(data)
        if content not in folder.adopted[-1:]:
            folder.record_adopted(content)  # first, else a kill leaves a pin behind
        if kept is None:
            self._pin(content, tested)
            if tested is None:
                folder.cache.save(content, data)
            else:
                folder.cache.accept_tested(content)
        return weights

    def _pin(self, content: ContentRef, own: bytes | None) -> None:
        """Pin the weights, from our own copy if we have one rather than from other peers."""
        if own is not None and not self._context.store.has(content):
            self._context.send(own, content)
        self._context.store.pin(content)

    def _accept(self, weights: Weights) -> None:
        try:
            self._context.learner.mli_accept_weights(weights)
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to accept weights", self._context.name)
            self.unfit = f"the learner could not accept the current weights: {describe(error)}"

    def _release_superseded(self) -> None:
        folder, keep = self._context.folder, self._context.config.keep_accepted
        folder.cache.remove_all_except(folder.adopted[-(keep or _COPIES) :])
        for content in folder.adopted[:-keep] if keep else ():
            if not any(own.content == content for own in folder.own_proposals()):
                self._context.store.unpin(content)
            folder.record_released(content)
