"""Train, store and clean up proposals."""

from __future__ import annotations

import logging

from colearn_learner.agent.context import AgentContext, describe
from colearn_learner.agent.folder import TrainedProposal
from colearn_learner.agent.progress import Work
from colearn_learner.conversion import scores_of, summary_to_json
from colearn_learner.interface import ErrorCodes
from colearn_ledger.protocol import Experiment, LedgerError
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.pickles import check_no_pickle
from colearn_ledger.weights.unixfs import content_of

_log = logging.getLogger(__name__)


class ProposalMaker:
    """Train once per round, even if the agent is killed and restarted.

    The journal lists a proposal from before it is pinned until after it is unpinned. After a
    kill, the same proposal is therefore sent, and no pin is left behind.
    """

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    def find_trained(self, round_index: int, base: str | None) -> TrainedProposal | None:
        """Pin and return the proposal already trained from ``base`` for a round, if any."""
        proposal = self._context.folder.trained(round_index)
        if proposal is None:
            return None
        if proposal.base != base or not self._context.store.has(proposal.content):
            self._drop(proposal)
            return None
        self._context.store.pin(proposal.content)
        return proposal

    def train(self, round_index: int, base: str | None) -> TrainedProposal | str:
        """Train a proposal; return it stored, journalled and pinned, or the reason for none."""
        learner, name = self._context.learner, self._context.name
        try:
            with self._context.progress.track(Work.TRAINING):
                weights = learner.mli_propose_weights()
            summary = summary_to_json(getattr(weights, "training_summary", None))
            if summary is not None and summary["error_code"] is not None:
                return _explain_error_code(summary["error_code"])
            check_no_pickle(weights.weights)
            data = encode_weights(weights.weights, summary=summary)
            decode_weights(data, schema=self._context.schema())
            with self._context.progress.track(
                Work.TESTING
            ):  # after encoding: a test may change weights
                scores = scores_of(learner.mli_test_weights(weights))
        except WeightsError as error:
            return f"the trained weights do not match the experiment: {error}"
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            _log.exception("%s: the learner failed to train", name)
            return f"the learner failed to train: {describe(error)}"
        content = content_of(data)
        if content.sha256 == base:
            return "training changed nothing"
        self._context.send(data, content)
        proposal = TrainedProposal(round_index, content, scores, base)
        self._context.folder.record_trained(proposal)
        self._context.store.pin(content)
        return proposal

    def drop_past(self, experiment: Experiment) -> None:
        """Unpin the proposals of past rounds, unless ``keep_proposals`` is set."""
        if self._context.config.keep_proposals:
            return
        for proposal in self._context.folder.own_proposals():
            over = experiment.round is not None and proposal.round < experiment.round
            if over or experiment.ended_at is not None:
                self._drop(proposal)

    def _drop(self, proposal: TrainedProposal) -> None:
        folder = self._context.folder
        others = [p.content for p in folder.own_proposals() if p.round != proposal.round]
        keep = self._context.config.keep_proposals
        if not keep and proposal.content not in (*folder.adopted, *others):
            self._context.store.unpin(proposal.content)
        folder.record_dropped(proposal.round)


def _explain_error_code(error_code: int) -> str:
    if error_code == ErrorCodes.DP_BUDGET_EXCEEDED.value:
        return "the learner's privacy budget allows no more training"
    return f"the learner's training returned error code {error_code}"
