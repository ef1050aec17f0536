"""Adopt the ledger's current weights, and release superseded ones."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path

from colearn_learner.agent.announce import announce_merge
from colearn_learner.agent.context import AgentContext, describe, weights_of
from colearn_learner.agent.errors import writing_folder
from colearn_learner.agent.folder import MergedWeights
from colearn_learner.interface import Weights
from colearn_ledger.protocol import ContentRef, Experiment
from colearn_ledger.weights.codec import DecodedWeights
from colearn_ledger.weights.comparison import hash_tensors
from colearn_ledger.weights.current import (
    CurrentWeights,
    FilesNotServed,
    fetch_announced,
    merge_current,
)
from colearn_ledger.weights.errors import SubnormalsFlushed, WeightsError
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentTooLarge,
    ContentUnavailable,
    WrongReference,
)

_log = logging.getLogger(__name__)

_COPIES = 2
"""Number of accepted weights copied in the folder when ``keep_accepted`` is ``None``."""

_LOOK_EVERY = 30.0
"""Seconds between two searches for announced merges, which read all of the experiment's events."""


class WeightsAdopter:
    """Give the current weights to the learner, and keep the latest accepted ones pinned.

    If several proposals were accepted, the current weights are their mean; it is merged here and
    pinned under its own CID. The last ``keep_accepted`` current weights stay pinned, or all of them
    if it is ``None``.

    Attributes:
        unfit: why the learner could not adopt the current weights, otherwise ``None``. Such a
            learner rejects and declines until other weights are current.
        base: SHA-256 of the current weights' file; ``None`` if there are none.
        tensors: hash of their tensors; ``None`` if there are none.
    """

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._adopted: tuple[int | None, tuple[ContentRef, ...]] | None = None
        self._content: ContentRef | None = None
        self._look_again_at = 0.0
        self.unfit: str | None = None
        self.base: str | None = None
        self.tensors: bytes | None = None

    @property
    def cid(self) -> str:
        """Return the CID of the current weights' file; empty if there is none."""
        return "" if self._content is None else self._content.cid

    def is_due(self, experiment: Experiment) -> bool:
        """Return whether the ledger has current weights that the learner has not adopted."""
        current = (experiment.current_round, experiment.current)
        return bool(experiment.current) and current != self._adopted

    def adopt(self, experiment: Experiment) -> bool:
        """Give the current weights to the learner; return False if they cannot be fetched now."""
        name = self._context.name
        self.unfit = self._content = self.base = self.tensors = None
        try:
            self._content, decoded = self._obtain(experiment)
            self.base, self.tensors = self._content.sha256, hash_tensors(decoded.weights)
            self._accept(weights_of(decoded))
        except SubnormalsFlushed:
            raise  # the weights are usable, but not by this process
        except (WeightsError, ContentTooLarge, WrongReference) as error:
            self.unfit = f"the current weights are not usable: {error}"
        except ContentUnavailable as error:
            _log.warning("%s: waiting for the current weights: %s", name, error)
            self._context.schedule.retry()
            return False
        self._adopted = (experiment.current_round, experiment.current)
        self._look_again_at = 0.0
        self._release_superseded()
        if self.unfit is not None:
            _log.error(
                "%s: %s; it rejects and declines until other weights are current", name, self.unfit
            )
        return True

    def load_current(self) -> Weights | None:
        """Return a new copy of the adopted weights, or ``None`` if there is none in the folder."""
        if self._content is None:
            return None
        data = self._context.folder.cache.load(self._content)
        return None if data is None else weights_of(self._context.decode(data, is_merged=True))

    # ------------------------------------------------------------------ obtaining

    def _obtain(self, experiment: Experiment) -> tuple[ContentRef, DecodedWeights]:
        """Return the current weights from the folder, else from the store; keep and pin them."""
        if len(experiment.current) > 1:
            return self._obtain_mean(experiment)
        context, [content] = self._context, experiment.current
        kept, tested = context.folder.cache.load(content), None
        if kept is None and experiment.current_round is not None:
            tested = context.folder.cache.load_proposal(experiment.current_round, content)
        data = kept or tested or context.fetch(content)
        decoded = context.decode(data)
        self._keep(content, data)
        return content, decoded

    def _obtain_mean(self, experiment: Experiment) -> tuple[ContentRef, DecodedWeights]:
        """Return the mean of the accepted files, merged again only if our copy of it is lost."""
        context = self._context
        content = context.folder.merged(experiment.current_round, experiment.current)
        data = None if content is None else self._load_merged(content)
        if content is not None and data is not None:
            self._keep(content, data)
            return content, context.decode(data, is_merged=True)
        current = self._merge(experiment)
        data = context.folder.cache.load_proposal(experiment.current_round or 0, current.content)
        if data is None:
            raise ContentUnavailable(f"the merged file {current.path} was removed or damaged")
        decoded = context.decode(data, is_merged=True)
        self._keep(current.content, data)
        if content is None and not current.announced_by:  # this agent can attest the merge
            announce_merge(context, experiment, current.content)
        return current.content, decoded

    def _load_merged(self, content: ContentRef) -> memoryview | None:
        """Return a merge of our own from the folder, or from the store under its own CID."""
        data = self._context.folder.cache.load(content)
        if data is not None or not self._context.store.has(content):
            return data
        try:
            return self._context.fetch(content, max_size=content.size)
        except (ContentUnavailable, ContentTooLarge, WrongReference) as error:
            _log.warning("%s: merging the current weights again: %s", self._context.name, error)
            return None

    def _merge(self, experiment: Experiment) -> CurrentWeights:
        """Fetch the accepted files, merge them, and journal the result.

        If some files are no longer served, fetch a merged file that enough learners announced.
        """
        context, round_index = self._context, experiment.current_round or 0
        limit = context.spec.schema.max_bytes
        wanted = [content for content in experiment.current if content.size <= limit]
        failures = context.fetch_proposals(round_index, wanted)
        folder, schema = context.folder.cache.open_round(round_index), context.spec.schema
        if failures:
            arrived = [content for content in wanted if content not in failures]
            self._pin_sources(round_index, arrived)
            announced = self._fetch_announced(experiment, folder)
            if announced is None:
                raise FilesNotServed(failures, len(experiment.current))
            return announced
        with writing_folder(folder):
            merged = merge_current(experiment, folder, schema=schema)
        for left_out, error in merged.left_out:
            _log.error(
                "%s: the accepted file %s is left out of the mean: %s",
                context.name,
                left_out.cid,
                error,
            )
        if context.folder.merged(round_index, experiment.current) != merged.content:
            record = MergedWeights(round_index, experiment.current, merged.content)
            context.folder.record_merged(record)
        return merged

    def _fetch_announced(self, experiment: Experiment, folder: Path) -> CurrentWeights | None:
        """Fetch a merge that enough learners announced; look for new announcements rarely."""
        context, now = self._context, time.monotonic()
        if now < self._look_again_at:
            return None
        self._look_again_at = now + _LOOK_EVERY
        announced = fetch_announced(
            context.store,
            experiment,
            folder,
            schema=context.spec.schema,
            ledger=context.ledger,
        )
        if announced is not None:
            _log.warning(
                "%s: accepted files are not served; adopting their mean %s, announced by %s",
                context.name,
                announced.content.cid,
                ", ".join(announced.announced_by),
            )
        return announced

    def _pin_sources(self, round_index: int, contents: list[ContentRef]) -> None:
        """Keep accepted files from disappearing while others are still missing."""
        folder = self._context.folder
        if set(contents) <= set(folder.pinned().get(round_index, ())):
            return
        folder.record_pinned(round_index, contents)
        for content in contents:
            try:
                load = partial(folder.cache.load_proposal, round_index, content)
                self._context.pin(content, load)
            except (ContentUnavailable, ContentNotStored) as error:
                _log.warning("%s: cannot pin an accepted file: %s", self._context.name, error)

    def _keep(self, content: ContentRef, data: memoryview) -> None:
        """Pin the current weights and keep a copy, unless both was done before."""
        context, folder = self._context, self._context.folder
        if content not in folder.adopted[-1:]:
            folder.record_adopted(content)  # first, else a kill leaves a pin behind
        if folder.cache.load(content) is None:
            context.pin(content, lambda: data)
            folder.cache.save(content, data)

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
