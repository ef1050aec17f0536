"""How an agent makes the ledger's current weights its learner's, and lets old ones go."""

from __future__ import annotations

import logging

from colearn_learner.agent.context import Workbench, said
from colearn_learner.interface import Weights
from colearn_ledger.protocol import ContentRef, Experiment
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.store import ContentMismatch, ContentTooLarge, ContentUnavailable

__all__ = ["Adopting"]

_log = logging.getLogger(__name__)

_COPIES = 2
"""Accepted weights that stay in the folder where all of them stay pinned in the store."""


class Adopting:
    """Follows the current weights; the last ``keep_accepted`` of them, or all, stay pinned.

    `unfit` says why the learner could not take the current weights, if it could not. Such a
    learner rejects and declines until there are others.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._adopted: str | None = None  # what this process's learner holds
        self.unfit: str | None = None

    def is_due(self, experiment: Experiment) -> bool:
        """Tell whether the learner holds other weights than the ledger's current ones."""
        return experiment.current is not None and experiment.current.sha256 != self._adopted

    def adopt(self, content: ContentRef) -> bool:
        """Hand the current weights to the learner; false while they can not be had."""
        name = self._bench.name
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
            _log.error("%s: %s; it rejects and declines until others are", name, self.unfit)
        return True

    def _weights(self, content: ContentRef) -> Weights:
        """Return them from the folder, else from the store; then they are pinned and kept."""
        bench, folder = self._bench, self._bench.folder
        kept = folder.copies.load(content)
        tested = folder.copies.load_tested(content) if kept is None else None
        data = kept or tested or bench.fetch(content, bench.config.fetch_timeout)
        weights = bench.weights_in(data)
        if content not in folder.adopted[-1:]:
            folder.record_adopted(content)  # first: what the journal does not know stays pinned
        if kept is None:
            self._pin(content, tested)
            if tested is None:
                folder.copies.save(content, data)
            else:
                folder.copies.accept_tested(content)
        return weights

    def _pin(self, content: ContentRef, own: bytes | None) -> None:
        """Pin them; out of the own copy, if there is one, rather than from others."""
        if own is not None and not self._bench.store.has(content):
            self._bench.send(own, content)
        self._bench.store.pin(content)

    def _accept(self, weights: Weights) -> None:
        try:
            self._bench.learner.mli_accept_weights(weights)
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to accept weights", self._bench.name)
            self.unfit = f"the learner could not accept the current weights: {said(error)}"

    def _release_superseded(self) -> None:
        folder, keep = self._bench.folder, self._bench.config.keep_accepted
        folder.copies.remove_all_but(folder.adopted[-(keep or _COPIES) :])
        for content in folder.adopted[:-keep] if keep else ():
            if not any(own.content == content for own in folder.own_proposals()):
                self._bench.store.unpin(content)
            folder.record_released(content)
