"""The local driver: rounds of collective learning among learners of one process.

The proposer is learner ``round_index mod n``. All learners test what it proposes; its own vote
becomes None. The proposal is accepted when ``approvals ≥ (n − 1) · vote_threshold``, and then
every learner accepts it. A vote of None is no approval. So one learner alone always accepts, a
threshold of 0 accepts everything, and with 1 all others must approve; thresholds are not checked.

Nobody's identity is checked and nothing is recorded: for developing models. Use an agent and a
ledger among parties who do not trust each other.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from colearn_learner.compat.results import Result
from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import Learner, ProposedWeights, TrainingSummary

__all__ = [
    "collective_learning_round",
    "individual_training_round",
    "initial_result",
    "run",
    "run_one_round",
    "set_equal_weights",
]

_log = logging.getLogger(__name__)


def run(n_rounds: int, learners: Sequence[Learner]) -> None:
    """Hold rounds 0 … ``n_rounds`` − 1 with a threshold of one half.

    Raises:
        InvalidArgument: there are no learners.
    """
    for round_index in range(n_rounds):
        run_one_round(round_index, learners)


def run_one_round(
    round_index: int, learners: Sequence[Learner], vote_threshold: float = 0.5
) -> tuple[list[ProposedWeights], bool]:
    """Hold one round.

    Args:
        round_index: says whose turn it is to propose.
        learners: with the five methods of the interface.
        vote_threshold: share of the voters that must approve.

    Returns:
        What each learner said of the proposal, in the learners' order, and whether it was
        accepted.

    Raises:
        InvalidArgument: there are no learners.
    """
    proposer = _proposer(round_index, learners)
    proposal = learners[proposer].mli_propose_weights()
    tested = [learner.mli_test_weights(proposal) for learner in learners]
    tested[proposer].vote = None
    approvals = sum(bool(said.vote) for said in tested)
    accepted = approvals >= (len(learners) - 1) * vote_threshold
    if accepted:
        for learner in learners:
            learner.mli_accept_weights(proposal)
    _log.info(
        "round %d: learner %d proposed, %d of %d approve, %s",
        *(round_index, proposer, approvals, len(learners) - 1),
        "accepted" if accepted else "rejected",
    )
    return tested, accepted


def set_equal_weights(learners: Sequence[Learner]) -> None:
    """Let all learners accept the current weights of the first."""
    if not learners:
        raise _nobody()
    first, *others = learners
    weights = first.mli_get_current_weights()
    for learner in others:
        learner.mli_accept_weights(weights)


def initial_result(learners: Sequence[Learner]) -> Result:
    """Return how each learner's current weights score, as if in a round before the first.

    As nothing is put to the vote, the result's votes are all True and its ``vote`` is False.
    """
    result = Result()
    for learner in learners:
        said = learner.mli_test_weights(learner.mli_get_current_weights())
        _add(result, said, vote=True)
    return result


def collective_learning_round(
    learners: Sequence[Learner], vote_threshold: float, round_index: int
) -> Result:
    """Hold one round by `run_one_round` and return it as a `Result`.

    The training summary of the proposer is that of its proposal, those of the others are what
    comes with their current weights.

    Raises:
        InvalidArgument: there are no learners.
    """
    tested, accepted = run_one_round(round_index, learners, vote_threshold)
    proposer = _proposer(round_index, learners)
    result = Result(vote=accepted, block_proposer=proposer)
    for said in tested:
        _add(result, said, vote=said.vote)
    result.training_summaries = [_summary(learner) for learner in learners]
    proposed_summary = getattr(tested[proposer].weights, "training_summary", None)
    if proposed_summary is not None:
        result.training_summaries[proposer] = proposed_summary
    return result


def individual_training_round(learners: Sequence[Learner], round_index: int) -> Result:
    """Let every learner train alone and accept what it made: the baseline without the others.

    As nothing is put to the vote, the result's votes are all True and its ``vote`` is False.
    """
    result = Result()
    for learner in learners:
        proposal = learner.mli_propose_weights()
        _add(result, learner.mli_test_weights(proposal), vote=True)
        result.training_summaries.append(getattr(proposal, "training_summary", None))
        learner.mli_accept_weights(proposal)
    _log.info("round %d: %d learners trained, each alone", round_index, len(learners))
    return result


def _proposer(round_index: int, learners: Sequence[Learner]) -> int:
    if not learners:
        raise _nobody()
    return round_index % len(learners)


def _nobody() -> InvalidArgument:
    return InvalidArgument("there are no learners; pass at least one")


def _add(result: Result, said: ProposedWeights, *, vote: bool | None) -> None:
    result.votes.append(vote)
    result.vote_scores.append(said.vote_score)
    result.test_scores.append(said.test_score)


def _summary(learner: Learner) -> TrainingSummary | None:
    return getattr(learner.mli_get_current_weights(), "training_summary", None)
