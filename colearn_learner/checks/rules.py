"""The checks of `colearn_learner.checks.kit`; the first line of each function states the rule."""

from __future__ import annotations

import copy
import math
import numbers
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from colearn_learner.checks import loaders, means
from colearn_learner.checks.process import accept_in_new_process
from colearn_learner.checks.subject import Broken, DoesNotApply, Subject
from colearn_learner.checks.watchdog import CHECKED_THREAD
from colearn_learner.errors import MissingPackage, UnsupportedModel
from colearn_learner.interface import (
    ColearnModel,
    ErrorCodes,
    Weights,
    describe_kind,
    list_missing_methods,
)
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.errors import WeightsError
from colearn_ledger.weights.pickles import check_initial_weights
from colearn_ledger.weights.schema import WeightsSchema

_TOLERANCE = 1e-4
"""Allowed relative difference between scores of the same weights and records: another process, or
another number of threads, adds numbers in another order."""


def makes_learners(subject: Subject) -> None:
    """The factory returns a new learner with all five methods at each call."""
    one, other = subject.learner(), subject.learner()
    if missing := list_missing_methods(one):
        raise Broken(
            f"the factory returned {describe_kind(one)}, which is not a learner: it lacks "
            f"{', '.join(missing)}"
        )
    if one is other:
        raise Broken(
            "two calls returned the same learner, so they would change each other; return a new "
            "one at each call"
        )


def weights_travel(subject: Subject) -> None:
    """Weights are arrays, numbers, bytes and strings, not objects, pickles or names of files."""
    learner = subject.learner()
    for what, weights in (
        ("current weights", learner.mli_get_current_weights()),
        ("proposal", learner.mli_propose_weights()),
    ):
        if not isinstance(weights, Weights):
            raise Broken(f"the {what} are a {type(weights).__name__}, not a Weights")
        if isinstance(weights.weights, Weights):
            raise Broken(f"the {what} are a Weights within a Weights; return only the inner one")
        _encode(weights)
        try:
            check_initial_weights(weights.weights)
        except WeightsError as error:
            raise Broken(f"the {what}: {error}") from error
        for leaf in _leaves(weights.weights):
            _check_leaf(leaf, what)


def weights_keep_their_schema(subject: Subject) -> None:
    """Proposals have the names, shapes and types of the first weights, round after round."""
    learner = subject.learner()
    schema = WeightsSchema.of(learner.mli_get_current_weights().weights, max_bytes=2**62)
    for number in range(2):
        proposal = learner.mli_propose_weights()
        try:
            decode_weights(_encode(proposal), schema=schema)
        except WeightsError as error:
            raise Broken(
                f"proposal {number} differs in its schema from the first weights: {error}"
            ) from error
        learner.mli_accept_weights(proposal)


def proposing_changes_nothing(subject: Subject) -> None:
    """Proposing does not change the current weights, their score or the model's mode."""
    learner = subject.learner()
    current = learner.mli_get_current_weights()
    before, score, mode = _encode(current), _vote_score(learner, current), _mode(learner)
    learner.mli_propose_weights()
    if _encode(learner.mli_get_current_weights()) != before:
        raise Broken("proposing changed the current weights: train a copy, or restore them")
    if _mode(learner) != mode:
        raise Broken("the model is in training mode after proposing: restore its mode")
    _check_same_score(score, _vote_score(learner, _decode(before)), "after proposing")


def testing_changes_nothing(subject: Subject) -> None:
    """Testing does not change the current weights, and gives the same score each time."""
    learner = subject.learner()
    before = _encode(learner.mli_get_current_weights())
    proposal = learner.mli_propose_weights()
    tested = _encode(proposal)
    first = _vote_score(learner, proposal)
    if _encode(learner.mli_get_current_weights()) != before:
        raise Broken("testing changed the current weights: restore them")
    if _encode(proposal) != tested:
        raise Broken("testing changed the weights that were tested: do not write to them")
    _check_same_score(first, _vote_score(learner, proposal), "at a second test")


def returned_weights_are_copies(subject: Subject) -> None:
    """Returned weights never change, and changing them does not change the learner."""
    learner = subject.learner()
    proposal, current = learner.mli_propose_weights(), learner.mli_get_current_weights()
    proposed, before = _encode(proposal), _encode(current)
    if _overwrite(current) and _encode(learner.mli_get_current_weights()) != before:
        raise Broken(
            "mli_get_current_weights returns the model's own arrays, so a caller can change the "
            "model; return copies"
        )
    learner.mli_accept_weights(_decode(proposed))
    learner.mli_propose_weights()
    if _encode(proposal) != proposed:
        raise Broken("a proposal that was returned changed later: return copies of the arrays")


def accepted_weights_are_copied(subject: Subject) -> None:
    """Accepted weights become the current ones, as a copy."""
    learner = subject.learner()
    proposed = _encode(learner.mli_propose_weights())
    accepted = _decode(proposed)
    learner.mli_accept_weights(accepted)
    if _encode(learner.mli_get_current_weights()) != proposed:
        raise Broken("the current weights differ from the accepted ones: copy the accepted weights")
    learner.mli_accept_weights(_decode(_encode(learner.mli_propose_weights())))
    if _encode(accepted) != proposed:
        raise Broken("weights that were accepted changed later: copy them")
    again = _decode(proposed)
    learner.mli_accept_weights(again)
    if _overwrite(again) and _encode(learner.mli_get_current_weights()) != proposed:
        raise Broken("changing accepted weights changes the model: copy them")


def scores_are_numbers(subject: Subject) -> None:
    """A test returns two numbers and a vote, which is true, false or None."""
    learner = subject.learner()
    tested = learner.mli_test_weights(learner.mli_propose_weights())
    for name in ("vote_score", "test_score"):
        if not isinstance(value := getattr(tested, name, None), numbers.Real):
            raise Broken(f"{name} is {value!r:.60}, not a number; return a ProposedWeights")
    if getattr(tested, "vote", None) not in (True, False, None):
        raise Broken(f"vote is {tested.vote!r:.60}, neither true, false nor None")
    if not math.isfinite(tested.vote_score):
        raise Broken(f"the vote score of its own proposal is {tested.vote_score}")


def training_changes_weights(subject: Subject) -> None:
    """At least one of three trainings changes the weights."""
    learner = subject.learner()
    for _ in range(3):
        before, proposal = _encode(learner.mli_get_current_weights()), learner.mli_propose_weights()
        code = getattr(getattr(proposal, "training_summary", None), "error_code", None)
        if code is not None:
            raise DoesNotApply(f"it refused to train: {code}")
        if _encode(proposal) != before:
            return
        learner.mli_accept_weights(proposal)
    raise Broken(
        "three proposals in a row were equal to the current weights, so an agent would propose "
        "nothing; train in mli_propose_weights, and return the trained weights"
    )


def votes_on_proposals(subject: Subject) -> None:
    """At least one of three proposals gets a vote, which is true or false."""
    learner = subject.learner()
    for _ in range(3):
        proposal = learner.mli_propose_weights()
        if learner.mli_test_weights(proposal).vote is not None:
            return
        learner.mli_accept_weights(proposal)
    raise Broken(
        "its vote was None for three proposals in a row, and a vote of None counts as a rejection: "
        "set vote to whether the proposal scores better than the current weights"
    )


def works_in_a_thread(subject: Subject) -> None:
    """A learner trains and tests in a thread, where agents of a simulation run."""
    learner = subject.learner()
    errors: list[Exception] = []

    def take_part() -> None:
        try:
            learner.mli_test_weights(learner.mli_propose_weights())
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            errors.append(error)

    thread = threading.Thread(target=take_part, name=CHECKED_THREAD, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise Broken(
            f"in a thread it raised {type(errors[0]).__name__}: {errors[0]}"[:300]
            + "; set up signal handlers and other parts of the main thread outside the learner"
        ) from errors[0]


def not_a_number_gets_no_vote(subject: Subject) -> None:
    """Weights full of NaN are not approved, and do not change the current weights."""
    learner = subject.learner()
    before, bad = _encode(learner.mli_get_current_weights()), learner.mli_propose_weights()
    bad = Weights(copy.deepcopy(bad.weights))
    floats = [leaf for leaf in _arrays(bad.weights) if _is_float(leaf)]
    if not floats:
        raise DoesNotApply("the weights have no arrays of floats")
    for array in floats:
        array[...] = math.nan
    try:
        tested = learner.mli_test_weights(bad)
    except Exception:  # noqa: BLE001 - an error of any kind is correct too
        tested = None
    if tested is not None and tested.vote:
        raise Broken(f"weights full of NaN were approved, with a vote score of {tested.vote_score}")
    if _encode(learner.mli_get_current_weights()) != before:
        raise Broken("testing weights full of NaN changed the current weights")


def seed_decides(subject: Subject) -> None:
    """Two learners of one factory start with the same weights and make the same proposal."""
    starts, proposals = [], []
    for _ in range(2):  # one after the other, as all learners share a framework's random numbers
        learner = subject.learner()
        starts.append(_encode(learner.mli_get_current_weights()))
        proposals.append(_encode(learner.mli_propose_weights()))
    if starts[0] != starts[1]:
        raise Broken("two learners start with different weights: let the factory seed them")
    if proposals[0] != proposals[1]:
        raise Broken(
            "two learners trained differently on the same records: let the factory seed all random "
            "numbers, or skip this check if they must be random"
        )


def another_process_agrees(subject: Subject) -> None:
    """A learner in a new process reads a proposal from bytes and gives it the same score."""
    if subject.origin is None:
        raise DoesNotApply("another process can only find a factory that is defined in a module")
    learner = subject.learner()
    proposal = _encode(learner.mli_propose_weights())
    score, current = accept_in_new_process(subject, proposal)
    if current != proposal:
        raise Broken("in another process the current weights differ from those that were accepted")
    _check_same_score(_vote_score(learner, _decode(proposal)), score, "in another process")


def privacy_is_accounted(subject: Subject) -> None:
    """The summary reports the spent privacy budget, which never exceeds the target."""
    learner = subject.learner()
    spent = -1.0
    for _ in range(2):
        proposal = learner.mli_propose_weights()
        summary = getattr(proposal, "training_summary", None)
        if summary is None or summary.dp_budget is None:
            if spent >= 0:
                raise Broken("the first proposal came with a privacy budget and the second without")
            raise DoesNotApply("it does not train with differential privacy")
        budget, exceeded = summary.dp_budget, summary.error_code is ErrorCodes.DP_BUDGET_EXCEEDED
        if budget.consumed_epsilon > budget.target_epsilon and not exceeded:
            raise Broken(
                f"epsilon {budget.consumed_epsilon:g} was spent of {budget.target_epsilon:g}, "
                "without the error code DP_BUDGET_EXCEEDED"
            )
        if budget.consumed_epsilon <= spent and not exceeded:
            raise Broken(
                "according to its summary, a second training spent nothing of the privacy budget"
            )
        spent = budget.consumed_epsilon


def model_is_exported(subject: Subject) -> None:
    """The current model can be exported as ONNX."""
    learner = subject.learner()
    learner.mli_accept_weights(learner.mli_propose_weights())
    try:
        model = learner.mli_get_current_model()
    except (MissingPackage, UnsupportedModel) as error:
        raise DoesNotApply(str(error)) from error
    if not isinstance(model, ColearnModel):
        raise Broken(f"mli_get_current_model returned a {type(model).__name__}, not a ColearnModel")


CHECKS: Mapping[str, Callable[[Subject], None]] = {
    check.__name__.replace("_", "-"): check
    for check in (
        makes_learners,
        weights_travel,
        weights_keep_their_schema,
        proposing_changes_nothing,
        testing_changes_nothing,
        returned_weights_are_copies,
        accepted_weights_are_copied,
        scores_are_numbers,
        training_changes_weights,
        votes_on_proposals,
        means.mean_can_be_tested,
        works_in_a_thread,
        not_a_number_gets_no_vote,
        seed_decides,
        loaders.one_batch_is_enough,
        loaders.empty_loaders_are_refused,
        loaders.batch_size_does_not_matter,
        another_process_agrees,
        privacy_is_accounted,
        model_is_exported,
    )
}
"""All checks by name, in order; the first one ensures that there is a learner."""


# ------------------------------------------------------------------ weights


def _encode(weights: Any) -> bytes:
    try:
        return encode_weights(weights.weights)
    except WeightsError as error:
        raise Broken(f"the weights cannot be published: {error}") from error


def _decode(data: bytes) -> Weights:
    return Weights(decode_weights(data, allow_non_finite=True).weights)


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from _leaves(item)
    else:
        yield tree


def _arrays(tree: Any) -> Iterator[Any]:
    return (leaf for leaf in _leaves(tree) if isinstance(leaf, np.ndarray))


def _is_float(array: Any) -> bool:
    return array.dtype.kind not in "biuSU"  # bfloat16 and similar types have kind V


def _overwrite(weights: Weights) -> bool:
    """Overwrite every writable array, and return whether there was one."""
    writable = [array for array in _arrays(weights.weights) if array.flags.writeable and array.size]
    for array in writable:
        array[...] = ~array if array.dtype.kind == "b" else 77
    return bool(writable)


def _check_leaf(leaf: Any, what: str) -> None:
    if isinstance(leaf, str) and "\0" not in leaf and len(leaf) < 4096 and Path(leaf).is_file():
        raise Broken(
            f"the {what} name a file on this machine, which other machines do not have: return "
            "its content"
        )


# ------------------------------------------------------------------ scores


def _vote_score(learner: Any, weights: Weights) -> float:
    return float(learner.mli_test_weights(weights).vote_score)


def _check_same_score(first: float, second: float, when: str) -> None:
    if not (math.isclose(first, second, rel_tol=_TOLERANCE, abs_tol=1e-9) or first != first):
        raise Broken(
            f"the same weights scored {first:g} and {when} {second:g}: score them on the same "
            "records each time, so that proposals and current weights can be compared"
        )


def _mode(learner: Any) -> Any:
    return getattr(getattr(learner, "model", None), "training", None)
