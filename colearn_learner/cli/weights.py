"""`colearn weights`: the files that experiments agreed on."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colearn_learner.cli.failing import failing_clearly
from colearn_learner.cli.reaching import (
    experiment_place,
    network_option,
    open_ledger,
    opened_store,
    store_option,
    store_spec,
)
from colearn_learner.cli.refusals import refusals_explained
from colearn_learner.cli.showing import note, print_json, working
from colearn_learner.errors import LearnerError

if TYPE_CHECKING:
    from colearn_ledger.ledger import Ledger
    from colearn_ledger.protocol import ContentRef, ExperimentId
    from colearn_ledger.weights.store import ContentStore

__all__ = ["weights"]


class NoWeights(LearnerError):
    """There are no such weights."""


@click.group()
def weights() -> None:
    """Weights: the files that experiments agreed on."""


@weights.command()
@click.argument("reference", metavar="REF")
@click.option(
    "--round",
    "round_index",
    type=click.IntRange(0, 2**32 - 1),
    help="What was proposed in this round, from 0. [default: the current weights]",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The file, safetensors; one that is there is replaced.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds until the store must have delivered.",
)
@store_option
@network_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def get(
    *,
    reference: str,
    round_index: int | None,
    out: Path,
    timeout: float,
    store: str | None,
    network_name: str | None,
    as_json: bool,
) -> None:
    """Fetch weights, verified against the contract and the experiment's specification.

    The file has its name only once all of it was verified.
    """
    place = experiment_place(reference, network_name)
    spec_place = store_spec(store, place.network)
    ledger = open_ledger(place.network, place.reference.contract)
    with refusals_explained(place.reference):
        content = _wanted(ledger, place.experiment, round_index)
    with working("fetching weights"):
        opened = opened_store(spec_place, "reader", to_read=True)
        _fetch(opened, content, out, terms=(ledger, place.experiment, timeout))
    if as_json:
        print_json(
            {
                "reference": str(place.reference),
                "round": round_index,
                "cid": content.cid,
                "sha256": content.sha256,
                "size": content.size,
                "file": str(out),
            }
        )
        return
    click.echo(str(out))
    note(f"{content.size:,} bytes, sha256 {content.sha256}")


def _wanted(ledger: Ledger, experiment: ExperimentId, index: int | None) -> ContentRef:
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


def _fetch(
    store: ContentStore,
    content: ContentRef,
    out: Path,
    *,
    terms: tuple[Ledger, ExperimentId, float],
) -> None:
    from colearn_ledger.spec import ExperimentSpec
    from colearn_ledger.weights.codec import decode_weights

    ledger, experiment, timeout = terms
    wanted = ledger.experiment(experiment).params.spec
    schema = ExperimentSpec.read(store, wanted, timeout=timeout).schema
    partial = out.with_name(f".{out.name}.{secrets.token_hex(8)}.part")
    try:
        with (
            partial.open("xb") as file,
            store.get(content, max_size=schema.max_bytes, timeout=timeout) as pieces,
        ):
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        decode_weights(partial.read_bytes(), schema=schema)
        partial.replace(out)
    finally:
        with suppress(OSError):
            partial.unlink()
