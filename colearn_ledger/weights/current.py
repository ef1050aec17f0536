"""Obtain the current weights of an experiment from its accepted files.

If several proposals were accepted, their mean has to be computed from all of them. Whoever does so
gets the same file, which can then also be served under its own CID. If accepted files are no longer
served, a merged file that enough learners announced replaces them (`fetch_announced`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from colearn_ledger.ledger import LedgerUnavailable, LedgerView
from colearn_ledger.protocol import Account, ContentRef, Experiment, LedgerError
from colearn_ledger.weights.announced import find_announced
from colearn_ledger.weights.codec import DecodedWeights, decode_weights
from colearn_ledger.weights.errors import (
    MismatchedWeights,
    NothingToMerge,
    OversizedWeights,
    WeightsError,
)
from colearn_ledger.weights.fetching import fetch_files, file_name, is_intact
from colearn_ledger.weights.merge import AcceptedFile, merge_files, select_usable
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import (
    ContentMismatch,
    ContentStore,
    ContentTooLarge,
    ContentUnavailable,
    WrongReference,
)

_log = logging.getLogger(__name__)


class FilesNotServed(ContentUnavailable):
    """Accepted files that are needed for the current weights could not be fetched.

    Args:
        missing: the files, each with the reason.
        total: number of accepted files.
    """

    def __init__(self, missing: Mapping[ContentRef, LedgerError], total: int) -> None:
        self.missing = dict(missing)
        reasons = "; ".join(f"{content.cid}: {error}" for content, error in missing.items())
        super().__init__(
            f"{len(missing)} of the {total} accepted files that make up the current weights cannot "
            f"be fetched now; ask their proposers to serve them ({reasons})"
        )


@dataclass(frozen=True, slots=True)
class CurrentWeights:
    """The current weights of an experiment in a local file.

    Args:
        content: reference of the file.
        path: the file.
        is_merged: whether the file was computed from several accepted ones.
        left_out: accepted files that could not be used, each with its defect.
        announced_by: the learners that announced the file; empty unless the file was fetched
            because it could not be merged here.
    """

    content: ContentRef
    path: Path
    is_merged: bool
    left_out: tuple[tuple[ContentRef, WeightsError], ...] = ()
    announced_by: tuple[Account, ...] = ()

    def read(self, schema: WeightsSchema) -> DecodedWeights:
        """Decode the file.

        Raises:
            WeightsError: a single accepted file is defective; a merged one never is.
        """
        return decode_weights(self.path.read_bytes(), schema=schema, is_merged=self.is_merged)


def obtain_current(
    store: ContentStore,
    experiment: Experiment,
    folder: Path,
    *,
    schema: WeightsSchema,
    ledger: LedgerView,
    timeout: float | None = None,
) -> CurrentWeights:
    """Fetch the accepted files that are not in a folder yet, and merge them if there are several.

    If some of several files cannot be fetched, return a merged file that enough learners announced.
    A single file is returned as it is; its contents are not checked against the schema.

    Args:
        store: the store to fetch from.
        experiment: the experiment, as the ledger returned it.
        folder: an existing folder for the files; each has the name `file_name` returns.
        schema: the schema of the experiment's weights.
        ledger: the experiment's ledger, asked for announced files if accepted ones are missing.
        timeout: timeout of the store for each file, in seconds.

    Raises:
        NothingToMerge: the experiment has no weights yet, or none of the accepted files is usable.
        FilesNotServed: files could not be fetched, nor an announced one; those that could be are in
            the folder.
        SubnormalsFlushed: this thread flushes subnormal numbers to zero.
    """
    contents = experiment.current
    if not contents:
        raise NothingToMerge("the experiment has no weights yet; wait for an accepted proposal")
    limit = schema.max_bytes
    fitting = [content for content in contents if content.size <= limit]
    failures = fetch_files(store, fitting, folder, max_size=limit, timeout=timeout)
    if failures and len(contents) > 1:
        announced = fetch_announced(
            store, experiment, folder, schema=schema, ledger=ledger, timeout=timeout
        )
        if announced is not None:
            return announced
    if failures:
        raise FilesNotServed(failures, len(contents))
    if len(contents) == 1:
        [content] = contents
        if not fitting:
            raise ContentTooLarge(f"{content.cid} is larger than the {limit} bytes allowed here")
        return CurrentWeights(content, folder / file_name(content), is_merged=False)
    return merge_current(experiment, folder, schema=schema)


def merge_current(experiment: Experiment, folder: Path, *, schema: WeightsSchema) -> CurrentWeights:
    """Merge the accepted files, which are all in a folder, into one file in the same folder.

    Args:
        experiment: the experiment, with at least two accepted files.
        folder: the folder; each file in it has the name `file_name` returns.
        schema: the schema of the experiment's weights.

    Raises:
        NothingToMerge: none of the accepted files is usable.
        FilesNotServed: a file in the folder is damaged; it was removed.
        SubnormalsFlushed: this thread flushes subnormal numbers to zero.
    """
    left_out: list[tuple[ContentRef, WeightsError]] = []
    files: list[AcceptedFile] = []
    damaged: dict[ContentRef, LedgerError] = {}
    for content in experiment.current:
        path = folder / file_name(content)
        if content.size > schema.max_bytes:
            left_out.append((content, _too_large(content, schema)))
        elif is_intact(path, content):
            files.append(AcceptedFile(content, path))
        else:
            path.unlink(missing_ok=True)
            damaged[content] = ContentMismatch("its local copy was damaged or removed")
    if damaged:
        raise FilesNotServed(damaged, len(experiment.current))
    inputs = select_usable(files, schema)
    left_out += [(each.content, error) for each, error in inputs.left_out]
    merging = folder / "merging.part"
    round_index = experiment.current_round or 0
    content = merge_files(inputs.usable, merging, schema=schema, round_index=round_index)
    path = merging.replace(folder / file_name(content))
    return CurrentWeights(content, path, len(inputs.usable) > 1, tuple(left_out))


def fetch_announced(
    store: ContentStore,
    experiment: Experiment,
    folder: Path,
    *,
    schema: WeightsSchema,
    ledger: LedgerView,
    timeout: float | None = None,
) -> CurrentWeights | None:
    """Fetch a merge of the current weights that enough learners announced; `None` if there is none.

    Args:
        store: the store to fetch from.
        experiment: the experiment, as the ledger returned it, with several accepted files.
        folder: an existing folder for the file.
        schema: the schema of the experiment's weights.
        ledger: the experiment's ledger.
        timeout: timeout of the store, in seconds.
    """
    try:
        announced = find_announced(ledger, experiment)
    except LedgerUnavailable as error:  # perhaps the node has dropped old events
        _log.warning("announced merges of the current weights cannot be read: %s", error)
        return None
    for content in announced.confirmed:
        try:
            found = fetch_merged(store, content, experiment, folder, schema=schema, timeout=timeout)
        except (ContentUnavailable, ContentTooLarge, WrongReference, WeightsError) as error:
            _log.warning("the announced merge %s cannot be used: %s", content.cid, error)
            continue
        return replace(found, announced_by=announced.learners[content])
    return None


def fetch_merged(
    store: ContentStore,
    content: ContentRef,
    experiment: Experiment,
    folder: Path,
    *,
    schema: WeightsSchema,
    timeout: float | None = None,
) -> CurrentWeights:
    """Fetch the merged current weights under their own CID.

    The file is the one that ``content`` describes, and fits the schema. Only merging the accepted
    files again shows that it is their mean, so take ``content`` from your own merge or from
    `find_announced`. A single announcement is not enough.

    Args:
        store: the store to fetch from.
        content: reference of the merged file.
        experiment: the experiment, as the ledger returned it.
        folder: an existing folder for the file.
        schema: the schema of the experiment's weights.
        timeout: timeout of the store, in seconds.

    Raises:
        ContentUnavailable, ContentTooLarge, WrongReference: the file could not be fetched.
        MismatchedWeights: according to its header, the file was not merged from these files.
        WeightsError: the file is defective.
    """
    failures = fetch_files(store, [content], folder, max_size=schema.max_bytes, timeout=timeout)
    if failures:
        raise failures[content]
    path = folder / file_name(content)
    record = decode_weights(path.read_bytes(), schema=schema, is_merged=True).merged
    listed = () if record is None else record.contents
    in_order = [each for each in experiment.current if each in listed]
    if record is None or list(listed) != in_order or record.round != experiment.current_round:
        raise MismatchedWeights(
            f"{content.cid} is not a merge of the experiment's current weights, according to its "
            "header"
        )
    return CurrentWeights(content, path, is_merged=True)


def _too_large(content: ContentRef, schema: WeightsSchema) -> OversizedWeights:
    return OversizedWeights(
        f"the file has {content.size} bytes, the schema allows {schema.max_bytes}"
    )
