"""Make the first weights and the specification of a new experiment."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from colearn_learner.cli._support.connect import Place, open_content_store
from colearn_learner.cli._support.experiment_file import BadExperimentFile, ExperimentFile
from colearn_learner.cli._support.factories import load_learner
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_learner.errors import LearnerError
from colearn_ledger.protocol import Merge
from colearn_ledger.spec import ExperimentSpec
from colearn_ledger.weights.codec import decode_weights, encode_weights
from colearn_ledger.weights.current import obtain_current
from colearn_ledger.weights.pickles import check_initial_weights
from colearn_ledger.weights.schema import WeightsSchema

_FETCH_TIMEOUT = 60.0  # seconds


class CannotContinue(LearnerError):
    """An experiment cannot start with another one's weights; explains why."""


@dataclass(frozen=True, slots=True)
class FirstWeights:
    """The first weights of an experiment.

    Args:
        data: their file.
        schema: the schema of all weights of the experiment.
        continues: the reference of the experiment that they come from, if any.
    """

    data: bytes
    schema: WeightsSchema
    continues: str | None = None


def make_first_weights(described: ExperimentFile) -> FirstWeights:
    """Make the first weights that a file describes, with a learner or from another file.

    Raises:
        BadExperimentFile: the file of the weights cannot be read.
        WeightsError: no experiment can start with these weights.
    """
    if described.learner is not None:
        learner = load_learner(described.learner, described.arguments)
        data = encode_weights(learner.mli_get_current_weights().weights)
    else:
        path = described.file or Path()
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadExperimentFile(f"cannot read {path}: {error.strerror}") from error
    weights = decode_weights(data).weights
    check_initial_weights(weights)
    return FirstWeights(data, WeightsSchema.of(weights, max_bytes=described.max_bytes))


def continue_weights(described: ExperimentFile, place: Place, store: str) -> FirstWeights:
    """Fetch the current weights of a finished experiment, to start another one with them.

    Args:
        described: the new experiment.
        place: the finished experiment.
        store: the store that has its files.

    Raises:
        CannotContinue: the experiment is not finished, or has no weights.
        FilesNotServed, ContentUnavailable, SpecError: its files could not be fetched or read.
    """
    reference = str(place.reference)
    with explain_refusals(reference):
        ledger = place.open_view()
        finished = ledger.experiment(place.experiment)
    if not finished.status.is_over:
        raise CannotContinue(
            f"{reference} is {finished.status.name.lower()}, so its weights may still change; "
            "continue it when it is over"
        )
    if not finished.current:
        raise CannotContinue(
            f"{reference} ended without weights; describe the first weights in the file instead"
        )
    opened = open_content_store(store, "reader", to_read=True)
    schema = ExperimentSpec.read(opened, finished.params.spec, timeout=_FETCH_TIMEOUT).schema
    with tempfile.TemporaryDirectory(prefix="colearn-") as folder:
        current = obtain_current(
            opened, finished, Path(folder), schema=schema, ledger=ledger, timeout=_FETCH_TIMEOUT
        )
        data = current.path.read_bytes()
        check_initial_weights(current.read(schema).weights)
    # a merged file, whose header lists its parts, may be larger than a learner's
    most = described.max_bytes or max(schema.max_bytes, len(data))
    return FirstWeights(data, replace(schema, max_bytes=most), reference)


def make_spec(described: ExperimentFile, first: FirstWeights) -> bytes:
    """Return the file of the specification, after checking that it fits the weights and the terms.

    Raises:
        BadExperimentFile: the accepted proposals would have to be averaged, which these weights
            do not allow.
        WeightsError: the first weights do not fit the schema.
        SpecError: a text or number of the specification is not valid.
    """
    check_merge(first.schema, described.terms.get("proposers", 1), described.terms.get("merge"))
    decode_weights(first.data, schema=first.schema)  # checks the size, too
    spec = ExperimentSpec(
        described.model,
        first.schema,
        described.score_name,
        described.higher_is_better,
        described.text,
        continues=first.continues,
        **described.voting,
    )
    return spec.to_bytes()


def check_merge(schema: WeightsSchema, proposers: int, merge: Merge | None) -> None:
    """Refuse to average weights that have no mean.

    Raises:
        BadExperimentFile: they have none.
    """
    if proposers > 1 and merge != Merge.BEST and not schema.can_average:
        raise BadExperimentFile(
            "weights with text or bytes, such as those of trees, have no mean; use --merge best "
            '(merge = "best" in [terms]), or a single proposer'
        )
