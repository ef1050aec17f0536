"""Fetch and test the proposals of a round, and decide the ballot on them."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Sequence
from functools import partial

from colearn_learner.agent.adopt import WeightsAdopter
from colearn_learner.agent.context import AgentContext, describe, weights_of
from colearn_learner.agent.folder import DecidedBallot
from colearn_learner.agent.judge import Evidence, Judge, Judgement, Trial
from colearn_learner.agent.progress import Work
from colearn_learner.agent.records import choose_parts, compute_records, limit_gains, move_partly
from colearn_learner.agent.screening import Proposal, find_defects
from colearn_learner.conversion import approves, scores_of
from colearn_learner.interface import Weights
from colearn_ledger.protocol import (
    ContentRef,
    Experiment,
    ExperimentParams,
    LedgerError,
    Merge,
    Round,
    Scores,
    Vote,
)
from colearn_ledger.spec import VoteRule
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.merge import compute_mean
from colearn_ledger.weights.store import (
    ContentNotStored,
    ContentTooLarge,
    ContentUnavailable,
    WrongReference,
)

_log = logging.getLogger(__name__)

_DEFECTS = (ContentTooLarge, WrongReference)
"""Failures to fetch a proposal after which it is not fetched again."""


class BallotMaker:
    """Decide once on each set of proposals, and journal the ballot and its salt before their use.

    What has not arrived by half of the voting window is not approved.
    """

    def __init__(self, context: AgentContext, adopter: WeightsAdopter) -> None:
        self._context = context
        self._adopter = adopter
        self._round: tuple[int, bytes | None] | None = None  # to which the next two belong
        self._arrived: set[ContentRef] = set()
        self._failures: dict[ContentRef, LedgerError] = {}
        self._pinned_for: DecidedBallot | None = None

    def decide(self, round_: Round, params: ExperimentParams) -> DecidedBallot | None:
        """Return the ballot on a round's proposals, or ``None`` while some are still fetched."""
        secret = params.reveal_window > 0
        decided = self._context.folder.ballot(round_.index, round_.proposals)
        if decided is None or (decided.salt is not None) != secret:
            if self._adopter.unfit is None and not self._fetch_all(round_):
                return None
            salt = secrets.token_bytes(32) if secret else None
            decided = self._judge(round_, params, salt)
            self._context.folder.record_ballot(decided)
        self._pin_approved(round_, decided)
        return decided

    def drop_past(self, experiment: Experiment) -> None:
        """Unpin and remove the proposals of rounds that are over."""
        folder = self._context.folder
        current = experiment.round if experiment.ended_at is None else None
        for index, contents in folder.pinned().items():
            if index != current:
                own = [proposal.content for proposal in folder.own_proposals()]
                for content in contents:
                    if content not in (*folder.adopted, *own):
                        self._context.store.unpin(content)
                folder.record_unpinned(index)
        folder.cache.remove_proposals(except_round=current)

    # ------------------------------------------------------------------ fetching

    def _fetch_all(self, round_: Round) -> bool:
        """Fetch what is missing; return whether nothing is missing or it is time to vote."""
        context = self._context
        if self._round != (round_.index, round_.proposals):
            self._round = (round_.index, round_.proposals)
            self._arrived, self._failures = set(), {}
        left = self._seconds_to_fetch(round_)
        given_up = {c for c, error in self._failures.items() if isinstance(error, _DEFECTS)}
        missing = [c for c in round_.contents.values() if c not in self._arrived | given_up]
        if missing:
            failed = context.fetch_proposals(round_.index, missing, max(0.1, left))
            self._arrived.update(content for content in missing if content not in failed)
            self._failures = {
                content: error
                for content, error in {**self._failures, **failed}.items()
                if content not in self._arrived
            }
        waiting = [e for e in self._failures.values() if not isinstance(e, _DEFECTS)]
        left = self._seconds_to_fetch(round_)
        if not waiting or left <= 0:
            return True
        context.schedule.retry(left)
        several = len(round_.contents) > 1
        what = f"{len(waiting)} of {len(round_.contents)} proposals" if several else "the proposal"
        _log.info("%s: waiting for %s: %s", context.name, what, waiting[0])
        return False

    def _seconds_to_fetch(self, round_: Round) -> float:
        """Return the seconds left to try to fetch the round's proposals."""
        half = ((round_.voting_started_at or 0) + (round_.deadline or 0)) / 2
        left = half - self._context.ledger.now()
        patience = self._context.config.fetch_patience
        if patience is None:
            return left
        tried = self._context.seconds_since_first("proposals", round_.index, round_.proposals)
        return min(left, patience - tried)

    # ------------------------------------------------------------------ judging

    def _judge(self, round_: Round, params: ExperimentParams, salt: bytes | None) -> DecidedBallot:
        """Return the ballot, with this salt."""
        digest = round_.proposals or b""
        nothing = Vote(0, (Scores(),) * (1 + len(round_.contents)))
        if self._adopter.unfit is not None:
            what = "the proposal" if len(round_.contents) == 1 else "all proposals"
            self._log_rejection(round_, what, self._adopter.unfit)
            return DecidedBallot(round_.index, digest, nothing, salt, self._adopter.unfit)
        proposals = [self._load(round_, slot) for slot in round_.contents]
        find_defects(self._context, self._adopter, round_, proposals)
        current = self._test_current()
        tests = {each.slot: self._test_proposal(each) for each in proposals}
        alone = {p.slot: t for p in proposals if (t := tests[p.slot]) and p.can_be_approved}
        own = next(((p.slot, p.own.scores) for p in proposals if p.own and p.is_sound), None)
        by_slot = {each.slot: each for each in proposals}
        judge = Judge(
            self._context.spec,
            params.merge,
            lambda slots: self._test_mean([by_slot[slot] for slot in slots]),
        )
        gains, records = self._measure_gains(round_, params, proposals, current)
        judgement = judge.judge(Evidence(current, alone, own, gains, records))
        scores = [tested.scores if tested else Scores() for tested in tests.values()]
        vote = Vote(judgement.bitmap, (current, *scores))
        reason = self._explain(round_, proposals, judgement)
        limited = {str(round_.slots[s].proposer): gain for s, gain in limit_gains(gains).items()}
        return DecidedBallot(round_.index, digest, vote, salt, reason, limited)

    def _load(self, round_: Round, slot: int) -> Proposal:
        """Return a proposal as it arrived; its bytes are read again for each use."""
        content, folder = round_.contents[slot], self._context.folder
        label = "the proposal" if len(round_.contents) == 1 else f"proposal {slot}"
        proposal = Proposal(slot, label, content, self._context, round_.index)
        trained = folder.trained(round_.index)
        if round_.slots[slot].proposer == self._context.ledger.account:
            proposal.is_own = True
            proposal.own = trained if trained and trained.content == content else None
        error = self._failures.get(content)
        if error is not None:
            is_defect = isinstance(error, _DEFECTS)
            why = "is not usable" if is_defect else "could not be fetched"
            proposal.defect = f"{label} {why}: {error}"
        return proposal

    def _test_current(self) -> Scores:
        """Return the scores of the current weights; absent if there are none."""
        weights = self._adopter.load_current()
        tested = None if weights is None else self._test(weights, "the current weights")
        return tested.scores if isinstance(tested, Trial) else Scores()

    def _test_proposal(self, proposal: Proposal) -> Trial | None:
        if proposal.own is not None:
            return Trial(proposal.own.scores, approves=False)
        if proposal.defect is not None:
            return None
        try:
            weights = weights_of(proposal.decode())
        except WeightsError as error:  # its copy was damaged since it was inspected
            proposal.defect = f"{proposal.label} is not usable: {error}"
            return None
        tested = self._test(weights, proposal.label)
        if isinstance(tested, Trial):
            return tested
        proposal.defect = tested
        return None

    def _test_mean(self, proposals: Sequence[Proposal]) -> Trial | None:
        """Test the mean of proposals: the tensors that would become the current weights."""
        try:
            mean = compute_mean([each.load().weights for each in proposals])
        except WeightsError as error:
            _log.warning("%s: a mean of proposals cannot be tested: %s", self._context.name, error)
            return None
        tested = self._test(Weights(mean), "the mean of proposals")
        return tested if isinstance(tested, Trial) else None

    def _measure_gains(
        self,
        round_: Round,
        params: ExperimentParams,
        proposals: Sequence[Proposal],
        current: Scores,
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Return by slot the gains after a part of each step, and the proposers' records.

        Both are empty if the vote rule does not need them.
        """
        spec, usable = self._context.spec, [each for each in proposals if each.can_be_approved]
        is_needed = spec.vote_rule == VoteRule.TRACK_RECORD and params.merge == Merge.MEAN
        start = self._adopter.load_current() if is_needed and len(usable) > 1 else None
        if start is None or current.vote_score is None:
            return {}, {}
        past = compute_records(self._context.folder.gains_before(round_.index))
        gains, records = {}, {}
        for each in usable:
            gains[each.slot] = min(
                -math.inf
                if score is None
                else (score - current.vote_score) * (1 if spec.higher_is_better else -1)
                for score in self._score_parts(start, each)
            )
            records[each.slot] = past.get(str(round_.slots[each.slot].proposer), 0.0)
        return gains, records

    def _score_parts(self, start: Weights, proposal: Proposal) -> list[float | None]:
        """Return the vote scores after parts of the step to a proposal."""
        scores: list[float | None] = []
        for part in choose_parts(proposal.reach):
            try:
                moved = move_partly(start.weights, proposal.decode().weights, part)
            except WeightsError as error:  # its copy was damaged since it was inspected
                _log.warning("%s: %s: %s", self._context.name, proposal.label, error)
                return [None]
            tested = self._test(Weights(moved), f"a part of the step to {proposal.label}")
            scores.append(tested.scores.vote_score if isinstance(tested, Trial) else None)
        return scores

    def _test(self, weights: Weights, what: str) -> Trial | str:
        """Return the result of a test, or the reason why it failed."""
        context = self._context
        try:
            with context.progress.track(Work.TESTING):
                proposed = context.learner.mli_test_weights(weights)
                return Trial(scores_of(proposed), approves(proposed))
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to test %s", context.name, what)
            return f"the learner failed to test {what}: {describe(error)}"

    def _explain(self, round_: Round, proposals: Sequence[Proposal], judgement: Judgement) -> str:
        """Return why proposals are not approved, apart from their scores, and log it."""
        reasons = []
        for each in proposals:
            if (reason := each.defect or each.objection) and not each.is_own:
                self._log_rejection(round_, each.label, reason)
                reasons.append(reason)
        if judgement.reason:
            _log.warning("%s: in round %d, %s", self._context.name, round_.index, judgement.reason)
            reasons.append(judgement.reason)
        return "; ".join(reasons)

    def _log_rejection(self, round_: Round, what: str, reason: str) -> None:
        name = self._context.name
        _log.warning("%s: rejects %s of round %d: %s", name, what, round_.index, reason)

    # ------------------------------------------------------------------ pinning

    def _pin_approved(self, round_: Round, ballot: DecidedBallot) -> None:
        """Pin the approved proposals, so that they stay available if their proposers vanish.

        The ballot is sent even if this fails: the folder has a copy too.
        """
        context, contents = self._context, round_.contents
        approved = [content for slot, content in contents.items() if ballot.vote.approves(slot)]
        if not approved or self._pinned_for == ballot:
            return
        context.folder.record_pinned(round_.index, approved)
        for content in approved:
            try:
                load = partial(context.folder.cache.load_proposal, round_.index, content)
                context.pin(content, load)
            except (ContentUnavailable, ContentNotStored) as error:
                _log.warning("%s: cannot pin an approved proposal: %s", context.name, error)
        self._pinned_for = ballot
