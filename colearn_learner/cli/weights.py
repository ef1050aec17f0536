"""The commands `colearn weights`: fetch agreed weights as files, or export them as models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.connect import (
    Place,
    choose_store,
    find_experiment,
    network_option,
    open_content_store,
    store_option,
)
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.factories import load_learner, parse_arguments
from colearn_learner.cli._support.options import learner_argument_option
from colearn_learner.cli._support.output import note, print_json, print_line, show_spinner
from colearn_learner.cli._support.refusals import explain_refusals
from colearn_learner.errors import LearnerError
from colearn_ledger.home import write_atomically

if TYPE_CHECKING:
    from colearn_ledger.ledger import LedgerView
    from colearn_ledger.protocol import ContentRef, ExperimentId
    from colearn_ledger.weights.codec import DecodedWeights

_log = logging.getLogger(__name__)


class NoWeights(LearnerError):
    """The requested weights do not exist."""


class NoModel(LearnerError):
    """The learner failed to accept the weights or to export its model."""


@click.group()
def weights() -> None:
    """Weights: the files that experiments agreed on."""


def _which_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select the weights, their store and the output file."""
    for add in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        network_option,
        store_option,
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            default=60.0,
            show_default=True,
            help="Seconds until the store must have delivered.",
        ),
        click.option(
            "--out",
            required=True,
            type=click.Path(path_type=Path, dir_okay=False),
            help="The file; one that is there is replaced.",
        ),
        click.option(
            "--round",
            "round_index",
            type=click.IntRange(0, 2**32 - 1),
            help="What was proposed in this round, from 0. [default: the current weights]",
        ),
        click.argument("reference", metavar="REF"),
    ):
        command = add(command)
    return command


@weights.command()
@_which_options
@report_errors
def get(*, out: Path, as_json: bool, **which: Any) -> None:
    """Fetch weights, verified against the contract and the experiment's specification.

    The file is safetensors, and has its name only once all of it was verified.
    """
    fetched = _fetched(**which)
    _write(out, fetched.data)
    _tell(fetched, out, as_json=as_json)


@weights.command()
@click.option(
    "--learner",
    "factory",
    required=True,
    metavar="MODULE:FACTORY",
    help="What makes a learner of the experiment, as for colearn agent run: weights alone are no "
    "model.",
)
@learner_argument_option
@click.option(
    "--format",
    "model_format",
    type=click.Choice(["onnx", "keras", "safetensors"]),
    default="onnx",
    show_default=True,
    help="keras: Keras' own, of a Keras learner; safetensors: the weights alone, as the learner "
    "took them.",
)
@_which_options
@report_errors
def export(
    *,
    factory: str,
    given: tuple[str, ...],
    model_format: str,
    out: Path,
    as_json: bool,
    **which: Any,
) -> None:
    """Write weights as a whole model, which answers without this package.

    The learner takes the weights, verified as by colearn weights get, and gives its model.
    """
    from colearn_learner.agent.fit import check_fit
    from colearn_learner.interface import Weights
    from colearn_learner.learners.export import MODEL_FORMATS, exported_model

    arguments = parse_arguments(given)
    fetched = _fetched(**which)
    learner = load_learner(factory, arguments)
    check_fit(learner, fetched.schema)
    data = fetched.data
    if model_format in MODEL_FORMATS:
        with show_spinner(f"making the model, {model_format}"), _learner_explained():
            learner.mli_accept_weights(Weights(weights=fetched.decoded.weights))
            data = exported_model(learner, model_format)
    _write(out, data)
    _tell(fetched, out, as_json=as_json, format=model_format, bytes=len(data))


@contextmanager
def _learner_explained() -> Iterator[None]:
    """Turn any exception of a learner into `NoModel` with a one-line message."""
    try:
        yield
    except LearnerError:
        raise
    except Exception as error:
        _log.debug("the learner failed", exc_info=True)
        raise NoModel(f"the learner gives no model: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Fetched and verified weights of an experiment."""

    place: Place
    round_index: int | None
    content: ContentRef
    schema: Any
    data: bytes
    decoded: DecodedWeights


def _fetched(
    *,
    reference: str,
    round_index: int | None,
    timeout: float,
    store: str | None,
    network_name: str | None,
) -> _Fetched:
    from colearn_ledger.spec import ExperimentSpec
    from colearn_ledger.weights.codec import decode_weights

    place = find_experiment(reference, network_name)
    spec_place = choose_store(store, place.network)
    ledger = place.open_view()
    with explain_refusals(place.reference):
        content = _wanted(ledger, place.experiment, round_index)
        wanted = ledger.experiment(place.experiment).params.spec
    with show_spinner("fetching weights"):
        opened = open_content_store(spec_place, "reader", to_read=True)
        schema = ExperimentSpec.read(opened, wanted, timeout=timeout).schema
        with opened.get(content, max_size=schema.max_bytes, timeout=timeout) as pieces:
            data = b"".join(pieces)
        decoded = decode_weights(data, schema=schema)
    return _Fetched(place, round_index, content, schema, data, decoded)


def _wanted(ledger: LedgerView, experiment: ExperimentId, index: int | None) -> ContentRef:
    if index is None:
        current = ledger.current_weights(experiment)
        if current is None:
            raise NoWeights("the experiment has no weights yet")
        return current
    held = ledger.round(experiment, index)
    if held.content is None:
        raise NoWeights(f"nothing was proposed in round {index}")
    note(f"round {index} was {held.outcome.name.lower().replace('_', ' ')}")
    return held.content


def _write(out: Path, data: bytes) -> None:
    try:
        write_atomically(out, data)
    except OSError as error:
        raise click.ClickException(
            f"cannot write {out}: {error.strerror}; choose another file by --out"
        ) from error


def _tell(fetched: _Fetched, out: Path, *, as_json: bool, **more: Any) -> None:
    content = fetched.content
    if as_json:
        print_json(
            {
                "reference": str(fetched.place.reference),
                "round": fetched.round_index,
                "cid": content.cid,
                "sha256": content.sha256,
                "size": content.size,
                **more,
                "file": str(out),
            }
        )
        return
    print_line(str(out))
    note(f"weights of {content.size:,} bytes, sha256 {content.sha256}")
