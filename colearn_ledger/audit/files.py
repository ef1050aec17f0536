"""Fetch and check every file that an experiment names, and compute its merges again."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colearn_ledger.audit.findings import AuditCounts, Finding, FindingKind, describe
from colearn_ledger.audit.kept_files import KeptFiles
from colearn_ledger.audit.reading import Snapshot
from colearn_ledger.protocol import Announced, ContentRef, LedgerError, Merge, Round
from colearn_ledger.spec import MAX_SPEC_SIZE, ExperimentSpec, SpecError
from colearn_ledger.weights.announced import TOPIC
from colearn_ledger.weights.codec import DecodedWeights, decode_weights
from colearn_ledger.weights.errors import NothingToMerge, WeightsError
from colearn_ledger.weights.fetching import fetch_files, file_name, is_intact
from colearn_ledger.weights.merge import AcceptedFile, merge_files, select_usable
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentMismatch, ContentStore, WrongReference
from colearn_ledger.weights.unixfs import CHUNK_SIZE

_UNAVAILABLE = "Nobody serves the file now, which does not show that anybody was dishonest."
_WRONG_BYTES = "The store delivered other bytes than the contract names; ask another store."
_NO_SUCH_FILE = "No bytes can match this reference, so its author published a false one."
_BAD_SPEC = "Nobody can check the weights, because the experiment does not describe them."
_DEFECTIVE = "The file cannot be used as weights; learners leave it out of every merge."
_DEFECTIVE_ACCEPTED = "Learners accepted a file that cannot be used as weights."
_WRONG_BASE = "An accepted proposal was trained from other weights than the current ones."
_WRONG_MERGE = "A learner announced weights as the group's that are not the mean of its files."


@dataclass(slots=True)
class FileAudit:
    """What was found about the files of an experiment.

    ``current`` has the sha256 of the weights after each round that accepted some; ``None`` if they
    could not be computed. ``known`` has the references of all weights that were current.
    """

    counts: AuditCounts
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    current: dict[int, ContentRef | None] = field(default_factory=dict)
    known: set[ContentRef] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class CheckedWeights:
    """Weights that were fetched and checked.

    Args:
        round: the round that they were proposed in; None for the initial weights.
        slots: the proposals of which they are made: one, several whose mean they are, or none for
            the initial weights.
        content: the file's reference.
        accepted: whether the proposals were accepted.
        current: whether they became the group's weights.
        weights: the tree of arrays, which nobody else uses.
    """

    round: int | None
    slots: tuple[int, ...]
    content: ContentRef
    accepted: bool
    current: bool
    weights: Any


@dataclass(frozen=True, slots=True)
class Fetching:
    """How an audit fetches files.

    Args:
        timeout: limit on the time to fetch each file, in seconds; ``None``: the store's own.
        kept: where files stay, so that an audit that is interrupted can be resumed; ``None`` if
            they are removed after their round.
    """

    timeout: float | None = None
    kept: KeptFiles | None = None


OnWeights = Callable[[CheckedWeights], None]
"""Called with all weights that fit the schema, in order. An error that it raises ends the audit."""


class FileAuditor:
    """Checks the files that a contract's state names.

    Args:
        store: the store to fetch from.
        snapshot: the experiment.
        counts: counts what was checked.
        fetching: how files are fetched.
        report_done: called with the number of files that were checked.
        on_weights: called with all usable weights, if given.
    """

    def __init__(
        self,
        store: ContentStore,
        snapshot: Snapshot,
        counts: AuditCounts,
        *,
        fetching: Fetching,
        report_done: Callable[[int], None],
        on_weights: OnWeights | None = None,
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._fetching = fetching
        self._report_done = report_done
        self._on_weights = on_weights
        self._schema: WeightsSchema | None = None
        self._now: ContentRef | None = None
        self._is_known = True
        self._intact: set[ContentRef] = set()
        self._audit = FileAudit(counts)

    def run(self, announced: Iterable[tuple[Announced, int | None]]) -> FileAudit:
        """Check all files, round by round, then the announced merges."""
        with tempfile.TemporaryDirectory(prefix="colearn-audit-") as name:
            scratch = Path(name)
            with self._open_folder("start", scratch) as folder:
                self._check_spec(folder)
                self._check_initial(folder)
            for round_ in self._snapshot.rounds:
                with self._open_folder(str(round_.index), scratch) as folder:
                    self._check_round(round_, folder, scratch / "merged")
        self._check_announced(announced)
        return self._audit

    @contextmanager
    def _open_folder(self, name: str, scratch: Path) -> Iterator[Path]:
        """Yield a folder for files; afterwards, only those that are kept stay in it."""
        kept = self._fetching.kept
        self._intact.clear()
        if kept is None:
            with tempfile.TemporaryDirectory(dir=scratch) as temporary:
                yield Path(temporary)
            return
        folder = kept.open_folder(name)
        yield folder
        kept.keep(folder, map(file_name, self._intact))

    # ------------------------------------------------------------------ specification, start

    def _check_spec(self, folder: Path) -> None:
        content = self._snapshot.experiment.params.spec
        got = self._fetch({"specification": content}, folder, None, MAX_SPEC_SIZE)
        path = got.get("specification")
        if path is None:
            self._audit.unchecked.append(
                "Schema and finiteness of the weights, and their merges: the specification, which "
                "has the schema, could not be read."
            )
            return
        try:
            self._schema = ExperimentSpec.from_bytes(path.read_bytes()).schema
        except SpecError as error:
            self._add(FindingKind.FILE, None, "specification", "a specification", error, _BAD_SPEC)

    def _check_initial(self, folder: Path) -> None:
        content = self._snapshot.experiment.params.initial
        if content is None:
            return
        self._now = content
        self._audit.known.add(content)
        for path in self._fetch({"initial weights": content}, folder, None).values():
            # they may be the merged weights of another experiment
            decoded = self._check_weights(
                path, None, "initial weights", is_accepted=True, is_merged=True
            )
            if decoded is not None and self._on_weights is not None:
                self._on_weights(CheckedWeights(None, (), content, True, True, decoded.weights))

    # ------------------------------------------------------------------ rounds

    def _check_round(self, round_: Round, folder: Path, merged: Path) -> None:
        contents = {f"proposal of slot {slot}": c for slot, c in round_.contents.items()}
        paths = self._fetch(contents, folder, round_.index)
        accepted = [slot.content for slot in round_.slots if slot.accepted and slot.content]
        for slot, content in round_.contents.items():
            name = f"proposal of slot {slot}"
            if name not in paths:
                continue
            is_accepted = round_.slots[slot].accepted
            decoded = self._check_weights(paths[name], round_.index, name, is_accepted=is_accepted)
            if decoded is not None and self._on_weights is not None:
                is_current = is_accepted and content == self._find_adopted(accepted)
                self._on_weights(
                    CheckedWeights(
                        *(round_.index, (slot,), content, is_accepted, is_current),
                        decoded.weights,
                    )
                )
        if accepted:
            self._now = self._merge(round_, accepted, folder, merged)
            self._is_known = self._now is not None
            self._audit.current[round_.index] = self._now
            if self._now is not None:
                self._audit.known.add(self._now)

    def _check_weights(
        self,
        path: Path,
        place: int | None,
        name: str,
        *,
        is_accepted: bool,
        is_merged: bool = False,
    ) -> DecodedWeights | None:
        """Return the weights of a file; `None` if they are defective, or the schema is unknown."""
        if self._schema is None:
            return None
        try:
            data = bytearray(path.read_bytes())
            decoded = decode_weights(data, schema=self._schema, is_merged=is_merged)
        except WeightsError as error:
            meaning = _DEFECTIVE_ACCEPTED if is_accepted else _DEFECTIVE
            expected = "finite weights of the experiment's schema"
            self._add(FindingKind.FILE, place, name, expected, error, meaning)
            return None
        base = decoded.base
        current = self._now.sha256 if self._now is not None else None
        if is_accepted and place is not None and self._is_known and base and base != current:
            subject = f"weights from which the {name} was trained"
            self._add(FindingKind.MERGE, place, subject, current, base, _WRONG_BASE)
        return decoded

    def _find_adopted(self, accepted: list[ContentRef]) -> ContentRef | None:
        """Return the file that a round adopts as it is; `None` if it adopts the mean of several."""
        if len(accepted) == 1 or self._snapshot.experiment.params.merge == Merge.BEST:
            return accepted[0]
        return None

    def _merge(
        self, round_: Round, accepted: list[ContentRef], folder: Path, merged: Path
    ) -> ContentRef | None:
        """Return the weights that a round made current, ``None`` if they cannot be computed."""
        if (adopted := self._find_adopted(accepted)) is not None:
            return adopted
        if self._schema is None:
            return None
        schema = self._schema
        files = [AcceptedFile(content, folder / file_name(content)) for content in accepted]
        fitting = [each for each in files if each.content.size <= schema.max_bytes]
        if not all(is_intact(each.path, each.content) for each in fitting):
            self._audit.unchecked.append(
                f"The merge of round {round_.index}: not all accepted files are available."
            )
            return None
        try:
            usable = select_usable(fitting, schema).usable
            content = merge_files(usable, merged, schema=schema, round_index=round_.index)
        except NothingToMerge:  # the defects were reported with the files
            return None
        self._audit.counts.merges += 1
        self._pass_merged(round_, [each.content for each in usable], content, merged)
        return content

    def _pass_merged(
        self, round_: Round, parts: list[ContentRef], content: ContentRef, path: Path
    ) -> None:
        if self._on_weights is None:
            return
        slots = tuple(
            number
            for number, slot in enumerate(round_.slots)
            if slot.accepted and slot.content in parts
        )
        data = bytearray(path.read_bytes())
        decoded = decode_weights(data, schema=self._schema, is_merged=True)
        self._on_weights(CheckedWeights(round_.index, slots, content, True, True, decoded.weights))

    # ------------------------------------------------------------------ announcements

    def _check_announced(self, announced: Iterable[tuple[Announced, int | None]]) -> None:
        for event, place in announced:
            if event.topic != TOPIC or event.content in self._audit.known:
                continue
            computed = None if place is None else self._audit.current.get(place)
            if place is not None and computed is None:
                continue  # it was reported that this merge could not be computed
            subject = f"merge that {event.learner} announced"
            self._add(FindingKind.MERGE, place, subject, computed, event.content, _WRONG_MERGE)

    # ------------------------------------------------------------------ fetching

    def _fetch(
        self,
        wanted: dict[str, ContentRef],
        folder: Path,
        place: int | None,
        limit: int | None = None,
    ) -> dict[str, Path]:
        """Fetch files by name, and return the paths of those that match their references."""
        if limit is None and self._schema is not None:
            limit = self._schema.max_bytes
        sizes = [content.size for content in wanted.values()]
        fitting = {name: c for name, c in wanted.items() if limit is None or c.size <= limit}
        for name, content in wanted.items():
            if name not in fitting:
                expected = f"at most {limit} bytes"
                found = f"{content.size} bytes"
                self._add(
                    FindingKind.FILE, place, f"size of the {name}", expected, found, _DEFECTIVE
                )
        contents = list(fitting.values())
        before = {c for c in contents if is_intact(folder / file_name(c), c)}
        failures = fetch_files(
            self._store,
            contents,
            folder,
            max_size=max(sizes, default=0),
            timeout=self._fetching.timeout,
        )
        got: dict[str, Path] = {}
        for name, content in fitting.items():
            self._audit.counts.files += 1
            path = folder / file_name(content)
            if content in failures:
                self._report_failure(failures[content], name, content, place)
            elif is_intact(path, content):
                self._audit.counts.bytes += content.size
                self._audit.counts.reused += content in before
                self._intact.add(content)
                got[name] = path
            else:
                self._report_bytes(path, name, content, place)
        self._report_done(self._audit.counts.files)
        return got

    def _report_failure(
        self, error: LedgerError, name: str, content: ContentRef, place: int | None
    ) -> None:
        if isinstance(error, WrongReference):
            kind, meaning = FindingKind.FILE, _NO_SUCH_FILE
        elif isinstance(error, ContentMismatch):
            kind, meaning = FindingKind.FILE, _WRONG_BYTES
        else:
            kind, meaning = FindingKind.UNAVAILABLE, _UNAVAILABLE
        self._add(kind, place, name, content, error, meaning)

    def _report_bytes(self, path: Path, name: str, content: ContentRef, place: int | None) -> None:
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while piece := file.read(CHUNK_SIZE):
                digest.update(piece)
                size += len(piece)
        path.unlink()
        expected = f"sha256 {content.sha256} ({content.size} bytes)"
        found = f"sha256 {digest.hexdigest()} ({size} bytes)"
        self._add(FindingKind.FILE, place, name, expected, found, _WRONG_BYTES)

    def _add(
        self,
        kind: FindingKind,
        place: int | None,
        subject: str,
        expected: object,
        found: object,
        meaning: str,
    ) -> None:
        wanted, given = (
            str(each) if isinstance(each, LedgerError) else describe(each)
            for each in (expected, found)
        )
        self._audit.findings.append(Finding(kind, place, subject, wanted, given, meaning))
