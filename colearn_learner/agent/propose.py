"""Train, keep, serve and clean up proposals."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from colearn_learner.agent.adopt import WeightsAdopter
from colearn_learner.agent.context import AgentContext, describe
from colearn_learner.agent.folder import TrainedProposal
from colearn_learner.agent.progress import Work
from colearn_learner.conversion import propose_weights, scores_of, summary_to_json
from colearn_learner.interface import ErrorCodes
from colearn_ledger.protocol import ContentRef, Experiment, LedgerError, Phase, Round, Scores
from colearn_ledger.weights.codec import EncodedWeights, check_weights, encode_in_pieces
from colearn_ledger.weights.comparison import hash_tensors
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.pickles import check_no_pickle
from colearn_ledger.weights.store import ContentNotStored, ContentUnavailable

_log = logging.getLogger(__name__)


class _NoProposal(Exception):
    """There is nothing to propose; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _Trained:
    """Weights that were trained, and their file in pieces."""

    round: int
    base: str | None
    weights: Any
    pieces: EncodedWeights


class ProposalMaker:
    """Train once per round, even if the agent is killed and restarted.

    In a round with one proposer, a proposal is pinned before it is proposed. In a plural round its
    file stays in the folder until the vote begins (`serve`), so that later proposers can
    neither copy it nor respond to it. The journal lists it from before it is pinned until after it
    is unpinned. After a kill, the same proposal is therefore sent, and no pin is left behind.
    """

    def __init__(self, context: AgentContext, adopter: WeightsAdopter) -> None:
        self._context = context
        self._adopter = adopter
        self._served: set[ContentRef] = set()
        self._unsaved: _Trained | None = None

    def find_trained(self, round_: Round) -> TrainedProposal | None:
        """Return the proposal already trained for a round from the current weights, if any."""
        proposal = self._context.folder.trained(round_.index)
        if proposal is None:
            return None
        if proposal.base != self._adopter.base or not self._is_kept(proposal, round_):
            self._drop(proposal)
            return None
        if not _is_plural(round_):
            self._context.store.pin(proposal.content)
        return proposal

    def train(self, round_: Round) -> TrainedProposal | str:
        """Train a proposal; return it journalled and ready to propose, or the reason for none.

        If saving it fails, the next call saves the same one and does not train again, which takes
        time and may use up a privacy budget.
        """
        made = self._unsaved
        try:
            if made is None or (made.round, made.base) != (round_.index, self._adopter.base):
                made = self._train(round_)
            self._unsaved = made
            proposal = self._save(round_, made)
        except _NoProposal as error:
            self._unsaved = None
            return str(error)
        self._unsaved = None
        if not _is_plural(round_):
            self._context.store.pin(proposal.content)
        return proposal

    def _train(self, round_: Round) -> _Trained:
        with self._translate_errors():
            with self._context.progress.track(Work.TRAINING):
                weights = propose_weights(self._context.learner, round_.index)
            summary = summary_to_json(getattr(weights, "training_summary", None))
            if summary is not None and summary["error_code"] is not None:
                raise _NoProposal(_explain_error_code(summary["error_code"]))
            check_no_pickle(weights.weights)
            base = self._adopter.base
            pieces = encode_in_pieces(weights.weights, summary=summary, base=base)
            if hash_tensors(weights.weights) == self._adopter.tensors:
                raise _NoProposal("training changed nothing")
        return _Trained(round_.index, base, weights, pieces)

    def _save(self, round_: Round, made: _Trained) -> TrainedProposal:
        """Save a proposal, test it, and journal it; a classic one is put into the store, too."""
        context, cache = self._context, self._context.folder.cache
        content = cache.save_proposal(round_.index, made.pieces)  # a test may change the weights
        self._check(cache.find_proposal(round_.index, content))
        proposal = TrainedProposal(round_.index, content, self._test(made.weights), made.base)
        if not _is_plural(round_):
            data = cache.load_proposal(round_.index, content)
            if data is None:
                raise _NoProposal("the file of the trained weights was removed or damaged")
            context.send(data, content)
        context.folder.record_trained(proposal)
        return proposal

    def _check(self, path: Path) -> None:
        with self._translate_errors(), path.open("rb") as file:
            check_weights(file, self._context.spec.schema)

    def _test(self, weights: Any) -> Scores:
        with self._translate_errors(), self._context.progress.track(Work.TESTING):
            return scores_of(self._context.learner.mli_test_weights(weights))

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise `_NoProposal` for whatever a learner or its weights raise."""
        try:
            yield
        except WeightsError as error:
            raise _NoProposal(
                f"the trained weights do not match the experiment: {error}"
            ) from error
        except (_NoProposal, LedgerError):
            raise
        except Exception as error:
            _log.exception("%s: the learner failed to train", self._context.name)
            raise _NoProposal(f"the learner failed to train: {describe(error)}") from error

    def serve(self, round_: Round) -> None:
        """Pin our own proposal in the store once a plural round's vote has begun.

        If the store fails, the next step tries again; our own ballot does not wait for it.
        """
        if round_.phase == Phase.PROPOSING or not _is_plural(round_):
            return
        proposal = self._context.folder.trained(round_.index)
        if proposal is None or proposal.content in self._served:
            return
        account = self._context.ledger.account
        if not any(s.proposer == account and s.content == proposal.content for s in round_.slots):
            return
        cache = self._context.folder.cache
        try:
            self._context.pin(
                proposal.content, partial(cache.load_proposal, round_.index, proposal.content)
            )
        except (ContentUnavailable, ContentNotStored) as error:
            name = self._context.name
            _log.warning("%s: cannot serve its proposal of round %d: %s", name, round_.index, error)
            self._context.schedule.retry()
        else:
            self._served.add(proposal.content)

    def drop_past(self, experiment: Experiment) -> None:
        """Unpin the proposals of past rounds, unless ``keep_proposals`` is set.

        One that the current weights were merged from stays pinned: others may still need it.
        """
        if self._context.config.keep_proposals:
            return
        for proposal in self._context.folder.own_proposals():
            over = experiment.round is not None and proposal.round < experiment.round
            is_source = len(experiment.current) > 1 and proposal.content in experiment.current
            if (over or experiment.ended_at is not None) and not is_source:
                self._drop(proposal)

    def _is_kept(self, proposal: TrainedProposal, round_: Round) -> bool:
        """Return whether the file of a trained proposal is where it has to be."""
        if not _is_plural(round_):
            return self._context.store.has(proposal.content)
        cache = self._context.folder.cache
        return cache.load_proposal(round_.index, proposal.content) is not None

    def _drop(self, proposal: TrainedProposal) -> None:
        folder = self._context.folder
        others = [p.content for p in folder.own_proposals() if p.round != proposal.round]
        keep = self._context.config.keep_proposals
        if not keep and proposal.content not in (*folder.adopted, *others):
            self._context.store.unpin(proposal.content)
        folder.record_dropped(proposal.round)


def _is_plural(round_: Round) -> bool:
    return len(round_.slots) > 1


def _explain_error_code(error_code: int) -> str:
    if error_code == ErrorCodes.DP_BUDGET_EXCEEDED.value:
        return "the learner's privacy budget allows no more training"
    return f"the learner's training returned error code {error_code}"
