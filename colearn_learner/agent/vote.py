"""Test proposals and decide the ballots on them."""

from __future__ import annotations

import logging
import secrets

from colearn_learner.agent.context import Workbench, said
from colearn_learner.agent.folder import DecidedBallot
from colearn_learner.agent.progress import Work
from colearn_learner.conversion import vote_of
from colearn_learner.interface import Weights
from colearn_ledger.protocol import ContentRef, Experiment, LedgerError, Round, Vote
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.store import ContentMismatch, ContentTooLarge, ContentUnavailable

__all__ = ["Voting"]

_log = logging.getLogger(__name__)


class Voting:
    """Decide once on each proposal, and journal the ballot and its salt before they are used."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def ballot(
        self, held: Round, content: ContentRef, *, secret: bool, unfit: str | None
    ) -> DecidedBallot | None:
        """Return the ballot on a round's proposal, or ``None`` while it cannot be fetched.

        Args:
            held: the current round.
            content: reference of the proposal.
            secret: whether the ballot needs a salt.
            unfit: why the learner cannot judge any proposal, or ``None`` if it can.
        """
        decided = self._bench.folder.ballot(held.index)
        wanted = (content, secret)
        if decided is not None and (decided.content, decided.salt is not None) == wanted:
            return decided
        decision = self._reject(held, unfit) if unfit else self._decide(held, content)
        if decision is None:
            return None
        vote, reason = decision
        salt = secrets.token_bytes(32) if secret else None
        decided = DecidedBallot(held.index, content, vote, salt, reason)
        self._bench.folder.record_ballot(decided)
        return decided

    def _decide(self, held: Round, content: ContentRef) -> tuple[Vote, str] | None:
        """Return the vote and its reason, or ``None`` to try fetching the proposal again."""
        bench = self._bench
        timeout = max(0.1, min(bench.config.fetch_timeout, self._seconds_to_fetch(held)))
        try:
            weights = self._weights(held, content, timeout)
        except ContentUnavailable as error:
            if self._seconds_to_fetch(held) > 0:
                _log.info("%s: waiting for the proposal: %s", bench.name, error)
                return None
            return self._reject(held, f"the proposal could not be had: {error}")
        except (ContentTooLarge, ContentMismatch, WeightsError) as error:
            return self._reject(held, f"the proposal is not usable: {error}")
        try:
            with bench.busy.at(Work.TESTING):
                return vote_of(bench.learner.mli_test_weights(weights)), ""
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to test a proposal", bench.name)
            return self._reject(held, f"the learner failed to test the proposal: {said(error)}")

    def _weights(self, held: Round, content: ContentRef, timeout: float) -> Weights:
        """Return the proposal's weights, and keep a copy in the folder in case it is accepted."""
        bench, copies = self._bench, self._bench.folder.copies
        data = copies.load_tested(content)
        if data is not None:
            return bench.weights_in(data)
        data = bench.fetch(content, timeout)
        weights = bench.weights_in(data)
        copies.save_tested(held.index, content, data)
        return weights

    def drop_past(self, experiment: Experiment) -> None:
        """Remove the copies of proposals from rounds that are over."""
        current = experiment.round if experiment.ended_at is None else None
        self._bench.folder.copies.forget_tested(but_of=current)

    def _seconds_to_fetch(self, held: Round) -> float:
        """Return the seconds left to try to fetch the round's proposal."""
        config, deadline = self._bench.config, held.deadline or 0
        margin = min(config.fetch_margin, (deadline - (held.proposed_at or 0)) / 4)
        left = deadline - self._bench.ledger.now() - margin
        if config.fetch_patience is None:
            return left
        tried = self._bench.waited_for("proposal", held.index)
        return min(left, config.fetch_patience - tried)

    def _reject(self, held: Round, reason: str) -> tuple[Vote, str]:
        name = self._bench.name
        _log.warning("%s: rejects the proposal of round %d: %s", name, held.index, reason)
        return Vote(approve=False), reason
