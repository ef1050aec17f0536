"""Run rounds of collective learning among learners of one process: the local driver.

The proposer is learner ``round_index mod n``. All learners test its proposal; its own vote
becomes None. The proposal is accepted if ``approvals ≥ (n − 1) · vote_threshold``, and then every
learner accepts it. A vote of None does not approve. So a single learner always accepts, a
threshold of 0 accepts everything, and with 1 all others must approve; thresholds are not checked.

The driver checks no identities and records nothing: it is for developing models. Parties who do
not trust each other use agents and a ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from colearn_learner.compat.results import Result
from colearn_learner.conversion import propose_weights
from colearn_learner.errors import InvalidArgument
from colearn_learner.interface import Learner, ProposedWeights, TrainingSummary

_log = logging.getLogger(__name__)


def run(n_rounds: int, learners: Sequence[Learner]) -> None:
    """Run rounds 0 … ``n_rounds`` − 1 with a threshold of one half.

    Raises:
        InvalidArgument: there are no learners.
    """
    for round_index in range(n_rounds):
        run_one_round(round_index, learners)


def run_one_round(
    round_index: int, learners: Sequence[Learner], vote_threshold: float = 0.5
) -> tuple[list[ProposedWeights], bool]:
    """Run one round.

    Args:
        round_index: decides who proposes.
        learners: with the five methods of the interface.
        vote_threshold: share of the voters that must approve.

    Returns:
        Each learner's scores and vote, in the learners' order, and whether the proposal was
        accepted.

    Raises:
        InvalidArgument: there are no learners.
    """
    proposer = _proposer(round_index, learners)
    proposal = propose_weights(learners[proposer], round_index)
    tested = [learner.mli_test_weights(proposal) for learner in learners]
    tested[proposer].vote = None
    approvals = sum(bool(one.vote) for one in tested)
    accepted = approvals >= (len(learners) - 1) * vote_threshold
    if accepted:
        for learner in learners:
            learner.mli_accept_weights(proposal)
    _log.info(
        "round %d: learner %d proposed, %d of %d approve, %s",
        round_index,
        proposer,
        approvals,
        len(learners) - 1,
        "accepted" if accepted else "rejected",
    )
    return tested, accepted


def set_equal_weights(learners: Sequence[Learner]) -> None:
    """Let all learners accept the current weights of the first."""
    if not learners:
        raise _no_learners()
    first, *others = learners
    weights = first.mli_get_current_weights()
    for learner in others:
        learner.mli_accept_weights(weights)


def initial_result(learners: Sequence[Learner]) -> Result:
    """Return the scores of each learner's current weights, as if from a round before the first.

    There is no proposal, so the result's votes are all True and its ``vote`` is False.
    """
    result = Result()
    for learner in learners:
        outcome = learner.mli_test_weights(learner.mli_get_current_weights())
        _add(result, outcome, vote=True)
    return result


def collective_learning_round(
    learners: Sequence[Learner], vote_threshold: float, round_index: int
) -> Result:
    """Run one round by `run_one_round` and return it as a `Result`.

    The training summary of the proposer is that of its proposal; those of the others are the
    summaries of their current weights.

    Raises:
        InvalidArgument: there are no learners.
    """
    tested, accepted = run_one_round(round_index, learners, vote_threshold)
    proposer = _proposer(round_index, learners)
    result = Result(vote=accepted, block_proposer=proposer)
    for outcome in tested:
        _add(result, outcome, vote=outcome.vote)
    result.training_summaries = [_summary(learner) for learner in learners]
    proposed_summary = getattr(tested[proposer].weights, "training_summary", None)
    if proposed_summary is not None:
        result.training_summaries[proposer] = proposed_summary
    return result


def individual_training_round(learners: Sequence[Learner], round_index: int) -> Result:
    """Let every learner train alone and accept its own weights, as a baseline.

    There is no proposal, so the result's votes are all True and its ``vote`` is False.
    """
    result = Result()
    for learner in learners:
        proposal = propose_weights(learner, round_index)
        _add(result, learner.mli_test_weights(proposal), vote=True)
        result.training_summaries.append(getattr(proposal, "training_summary", None))
        learner.mli_accept_weights(proposal)
    _log.info("round %d: %d learners trained, each alone", round_index, len(learners))
    return result


def _proposer(round_index: int, learners: Sequence[Learner]) -> int:
    if not learners:
        raise _no_learners()
    return round_index % len(learners)


def _no_learners() -> InvalidArgument:
    return InvalidArgument("there are no learners; pass at least one")


def _add(result: Result, outcome: ProposedWeights, *, vote: bool | None) -> None:
    result.votes.append(vote)
    result.vote_scores.append(outcome.vote_score)
    result.test_scores.append(outcome.test_score)


def _summary(learner: Learner) -> TrainingSummary | None:
    return getattr(learner.mli_get_current_weights(), "training_summary", None)
