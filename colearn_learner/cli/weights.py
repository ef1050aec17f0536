"""The commands `colearn weights`: fetch agreed weights as files or export them as models."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.collect import Command, collect
from colearn_learner.cli._support.connect import (
    Place,
    choose_store,
    open_content_store,
)
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import (
    ExperimentOptions,
    LearnerOptions,
    experiment_argument,
    json_option,
    learner_options,
    store_option,
)
from colearn_learner.cli._support.output import (
    note,
    print_json,
    print_line,
    show_spinner,
    show_transfer,
)
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_learner.errors import LearnerError
from colearn_ledger.home import write_atomically
from colearn_ledger.protocol import MAX_PROPOSERS

if TYPE_CHECKING:
    from colearn_ledger.protocol import ContentRef, Experiment, Round
    from colearn_ledger.weights.codec import DecodedWeights
    from colearn_ledger.weights.schema import WeightsSchema
    from colearn_ledger.weights.store import ContentStore

_log = logging.getLogger(__name__)


class NoWeights(LearnerError):
    """The requested weights do not exist."""


class NoModel(LearnerError):
    """The learner failed to accept the weights or to export its model."""


@dataclass(frozen=True, slots=True)
class _WeightsOptions:
    """The weights to fetch: their experiment, round and slot, the store, and a timeout."""

    experiment: ExperimentOptions
    round_index: int | None
    slot: int | None
    store: str | None
    timeout: float


@dataclass(frozen=True, slots=True)
class _OutputOptions:
    """The file to write, and the format of the report about it."""

    out: Path
    as_json: bool


@click.group()
def weights() -> None:
    """Fetch the weights that an experiment agreed on, as a file or as a complete model.

    If several proposals were accepted, the weights are their mean, which is computed here from all
    of their files. If some of the files are no longer served, a merged file is fetched instead,
    provided that as many learners announced it as it took to accept a proposal.
    """


def _weights_options(command: Command) -> Command:
    """Add the options of the weights to fetch; the command gets ``wanted``."""
    round_option = click.option(
        "--round",
        "round_index",
        type=click.IntRange(0, 2**32 - 1),
        help="Fetch what was proposed in this round, counted from 0. "
        "[default: the current weights]",
    )
    slot = click.option(
        "--slot",
        type=click.IntRange(0, MAX_PROPOSERS - 1),
        help="With --round: fetch the proposal of this slot, counted from 0. [default: the only "
        "proposal]",
    )
    timeout = click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=60.0,
        show_default=True,
        help="The most seconds to wait for the store.",
    )
    collected = collect(_WeightsOptions, "wanted")(command)
    return experiment_argument(round_option(slot(store_option(timeout(collected)))))


def _output_options(command: Command) -> Command:
    """Add ``--out`` and ``--json``; the command gets ``output``."""
    out = click.option(
        "--out",
        required=True,
        type=click.Path(path_type=Path, dir_okay=False),
        callback=lambda _context, _option, path: _check_folder(path),
        help="The file to write; an existing file is replaced.",
    )
    return out(json_option(collect(_OutputOptions, "output")(command)))


@weights.command()
@_weights_options
@_output_options
@report_errors
def get(*, wanted: _WeightsOptions, output: _OutputOptions) -> None:
    """Fetch weights, verified against the contract and the experiment's specification.

    The file has the safetensors format. It appears only after all of it has been verified.
    """
    fetched = _fetch(wanted)
    _write(output.out, fetched.data)
    _report(fetched, output, {})


@weights.command()
@learner_options(
    "The function that makes a learner of the experiment, as for colearn agent run; weights alone "
    "are not a model.",
)
@click.option(
    "--format",
    "model_format",
    type=click.Choice(["onnx", "keras", "safetensors"]),
    default="onnx",
    show_default=True,
    help="keras is Keras' own format and needs a Keras learner; safetensors contains the weights "
    "alone.",
)
@_weights_options
@_output_options
@report_errors
def export(
    *,
    learner: LearnerOptions,
    model_format: str,
    wanted: _WeightsOptions,
    output: _OutputOptions,
) -> None:
    """Write weights as a complete model, which runs without this package.

    The weights are verified as by colearn weights get. The learner loads them and exports its
    model.
    """
    from colearn_learner.agent.fit import check_fit
    from colearn_learner.interface import Weights
    from colearn_learner.learners.export import MODEL_FORMATS, exported_model

    learner.parse()  # reports malformed arguments before anything is fetched
    fetched = _fetch(wanted)
    loaded = learner.load()
    check_fit(loaded, fetched.schema)
    data = fetched.data
    if model_format in MODEL_FORMATS:
        with show_spinner(f"exporting the model as {model_format}"), _explain_learner_errors():
            loaded.mli_accept_weights(Weights(weights=fetched.decoded.weights))
            data = exported_model(loaded, model_format)
    _write(output.out, data)
    _report(fetched, output, {"format": model_format, "bytes": len(data)})


@contextmanager
def _explain_learner_errors() -> Iterator[None]:
    """Turn any exception of a learner into `NoModel` with a one-line message."""
    try:
        yield
    except LearnerError:
        raise
    except Exception as error:
        _log.debug("the learner failed", exc_info=True)
        raise NoModel(
            f"the learner could not export its model: {type(error).__name__}: {error}"
        ) from error


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Fetched and verified weights of an experiment.

    ``parts`` are the accepted files whose mean the weights are; it is empty for a single file.
    """

    place: Place
    wanted: _WeightsOptions
    content: ContentRef
    parts: tuple[ContentRef, ...]
    schema: Any
    data: bytes
    decoded: DecodedWeights


def _fetch(wanted: _WeightsOptions) -> _Fetched:
    from colearn_ledger.spec import ExperimentSpec
    from colearn_ledger.weights.current import obtain_current

    if wanted.slot is not None and wanted.round_index is None:
        raise click.UsageError("--slot names a proposal of a round; use it with --round")
    place = wanted.experiment.find()
    store = choose_store(wanted.store, place.network)
    ledger = place.open_view()
    with explain_refusals(place.reference):
        experiment = ledger.experiment(place.experiment)
        if wanted.round_index is not None:
            proposed = _find_proposal(ledger.round(place.experiment, wanted.round_index), wanted)
            # read like the current weights of an experiment that accepted only this proposal
            experiment = replace(experiment, current=(proposed,))
    if not experiment.current:
        raise NoWeights("the experiment has no weights yet; fetch them after it has started")
    opened = open_content_store(store, "reader", to_read=True)
    with show_spinner("fetching the specification"):
        spec = experiment.params.spec
        schema = ExperimentSpec.read(opened, spec, timeout=wanted.timeout).schema
    with tempfile.TemporaryDirectory(prefix="colearn-") as name:
        folder = Path(name)
        _fetch_with_progress(opened, experiment, folder, schema=schema, timeout=wanted.timeout)
        current = obtain_current(
            opened, experiment, folder, schema=schema, ledger=ledger, timeout=wanted.timeout
        )
        data = current.path.read_bytes()
        decoded = current.read(schema)
    for content, defect in current.left_out:
        note(f"{content.cid} was left out: {defect}")
    if current.announced_by:
        note(
            "not all accepted files could be fetched; this is their mean as merged and announced "
            f"by {len(current.announced_by)} learners of that round"
        )
    # the header of a single file may list anything
    parts = decoded.merged.contents if current.is_merged and decoded.merged else ()
    return _Fetched(place, wanted, current.content, parts, schema, data, decoded)


def _fetch_with_progress(
    store: ContentStore,
    experiment: Experiment,
    folder: Path,
    *,
    schema: WeightsSchema,
    timeout: float,
) -> None:
    """Fetch the files that make up the weights into a folder.

    If there are several, `obtain_current` replaces missing ones or reports them.
    """
    from colearn_ledger.weights.fetching import fetch_files

    contents = [c for c in experiment.current if c.size <= schema.max_bytes]
    files = "weights" if len(contents) == 1 else f"{len(contents)} files of weights"
    with show_transfer(f"fetching {files}", sum(c.size for c in contents)) as report_done:
        failures = fetch_files(
            store,
            contents,
            folder,
            max_size=schema.max_bytes,
            timeout=timeout,
            report_done=report_done,
        )
    if failures and len(experiment.current) == 1:
        raise failures[contents[0]]


def _find_proposal(round_: Round, wanted: _WeightsOptions) -> ContentRef:
    index, contents = round_.index, round_.contents
    if not contents:
        raise NoWeights(f"nothing was proposed in round {index}; choose another round with --round")
    slots = ", ".join(map(str, contents))
    if wanted.slot is None and len(contents) > 1:
        raise click.UsageError(
            f"round {index} has {len(contents)} proposals; choose one with --slot: {slots}"
        )
    slot = next(iter(contents)) if wanted.slot is None else wanted.slot
    if slot not in contents:
        raise NoWeights(f"slot {slot} of round {index} has no proposal; choose from: {slots}")
    outcome = "accepted" if round_.slots[slot].accepted else "not accepted"
    closed = round_.closed_at is not None
    note(f"slot {slot} of round {index} was {outcome}" if closed else f"round {index} is open")
    return contents[slot]


def _check_folder(out: Path) -> Path:
    """Refuse a file in a folder that does not exist, before anything is fetched."""
    if not out.parent.is_dir():
        raise click.BadParameter(
            f"the folder {out.parent} of {out} does not exist; create it, or choose another file",
            param_hint="--out",
        )
    return out


def _write(out: Path, data: bytes) -> None:
    try:
        write_atomically(out, data)
    except OSError as error:
        raise click.ClickException(
            f"cannot write {out}: {error.strerror}; choose another file with --out"
        ) from error


def _report(fetched: _Fetched, output: _OutputOptions, more: Mapping[str, Any]) -> None:
    content = fetched.content
    if output.as_json:
        print_json(
            {
                "reference": str(fetched.place.reference),
                "round": fetched.wanted.round_index,
                "slot": fetched.wanted.slot,
                "cid": content.cid,
                "sha256": content.sha256,
                "size": content.size,
                "merged_from": [part.cid for part in fetched.parts],
                **more,
                "file": str(output.out),
            }
        )
        return
    print_line(str(output.out))
    mean = f", the mean of {len(fetched.parts)} accepted files" if fetched.parts else ""
    note(f"weights of {content.size:,} bytes{mean}, sha256 {content.sha256}")
