"""Test proposals and decide the ballots on them."""

from __future__ import annotations

import logging
import secrets

from colearn_learner.agent.context import AgentContext, describe
from colearn_learner.agent.folder import DecidedBallot
from colearn_learner.agent.progress import Work
from colearn_learner.conversion import vote_of
from colearn_learner.interface import Weights
from colearn_ledger.protocol import ContentRef, Experiment, LedgerError, Round, Vote
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.store import ContentMismatch, ContentTooLarge, ContentUnavailable

_log = logging.getLogger(__name__)


class BallotMaker:
    """Decide once on each proposal, and journal the ballot and its salt before they are used."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    def decide(
        self, round_: Round, content: ContentRef, *, secret: bool, unfit: str | None
    ) -> DecidedBallot | None:
        """Return the ballot on a round's proposal, or ``None`` while it cannot be fetched.

        Args:
            round_: the current round.
            content: reference of the proposal.
            secret: whether the ballot needs a salt.
            unfit: why the learner cannot judge any proposal, or ``None`` if it can.
        """
        decided = self._context.folder.ballot(round_.index)
        wanted = (content, secret)
        if decided is not None and (decided.content, decided.salt is not None) == wanted:
            return decided
        decision = self._reject(round_, unfit) if unfit else self._judge(round_, content)
        if decision is None:
            return None
        vote, reason = decision
        salt = secrets.token_bytes(32) if secret else None
        decided = DecidedBallot(round_.index, content, vote, salt, reason)
        self._context.folder.record_ballot(decided)
        return decided

    def _judge(self, round_: Round, content: ContentRef) -> tuple[Vote, str] | None:
        """Return the vote and its reason, or ``None`` to try fetching the proposal again."""
        context = self._context
        timeout = max(0.1, min(context.config.fetch_timeout, self._seconds_to_fetch(round_)))
        try:
            weights = self._load_or_fetch(round_, content, timeout)
        except ContentUnavailable as error:
            if self._seconds_to_fetch(round_) > 0:
                _log.info("%s: waiting for the proposal: %s", context.name, error)
                return None
            return self._reject(round_, f"the proposal could not be fetched: {error}")
        except (ContentTooLarge, ContentMismatch, WeightsError) as error:
            return self._reject(round_, f"the proposal is not usable: {error}")
        try:
            with context.progress.track(Work.TESTING):
                return vote_of(context.learner.mli_test_weights(weights)), ""
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to test a proposal", context.name)
            return self._reject(
                round_, f"the learner failed to test the proposal: {describe(error)}"
            )

    def _load_or_fetch(self, round_: Round, content: ContentRef, timeout: float) -> Weights:
        """Return the proposal's weights, and keep a copy in the folder in case it is accepted."""
        context, cache = self._context, self._context.folder.cache
        data = cache.load_tested(content)
        if data is not None:
            return context.decode(data)
        data = context.fetch(content, timeout)
        weights = context.decode(data)
        cache.save_tested(round_.index, content, data)
        return weights

    def drop_past(self, experiment: Experiment) -> None:
        """Remove the copies of proposals from rounds that are over."""
        current = experiment.round if experiment.ended_at is None else None
        self._context.folder.cache.remove_tested(except_round=current)

    def _seconds_to_fetch(self, round_: Round) -> float:
        """Return the seconds left to try to fetch the round's proposal."""
        config, deadline = self._context.config, round_.deadline or 0
        margin = min(config.fetch_margin, (deadline - (round_.proposed_at or 0)) / 4)
        left = deadline - self._context.ledger.now() - margin
        if config.fetch_patience is None:
            return left
        tried = self._context.seconds_since_first("proposal", round_.index)
        return min(left, config.fetch_patience - tried)

    def _reject(self, round_: Round, reason: str) -> tuple[Vote, str]:
        name = self._context.name
        _log.warning("%s: rejects the proposal of round %d: %s", name, round_.index, reason)
        return Vote(approve=False), reason
