"""The specification of an experiment: its model, the schema of its weights, and its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from colearn_ledger.protocol import ContentRef, LedgerError
from colearn_ledger.text.strict_json import InvalidJson, dump, load
from colearn_ledger.weights.errors import InvalidSchema
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentStore

MAX_SPEC_SIZE = 2**20
"""Default limit on the size of a specification, in bytes."""

_VERSION = 1
_FIELDS = {"higher_is_better", "model", "score_name", "text", "version", "weights"}


class SpecError(LedgerError):
    """The document is not a valid specification of an experiment."""


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """The specification that the learners of an experiment agree on.

    Args:
        model: a description of the model, for people to read.
        schema: the names, shapes and types of its weights.
        score_name: the measure used for vote and test scores, for example ``accuracy``.
        higher_is_better: whether a higher score is a better one.
        text: further information for anyone considering to join.

    Raises:
        SpecError: a field has the wrong type, or ``score_name`` is empty.
    """

    model: str
    schema: WeightsSchema
    score_name: str
    higher_is_better: bool
    text: str = ""

    def __post_init__(self) -> None:
        """Check the types of the fields, which may come from an untrusted source."""
        for name in ("model", "score_name", "text"):
            if not isinstance(getattr(self, name), str):
                raise SpecError(f"the specification's {name} is not a string")
        if not self.score_name:
            raise SpecError("the specification has no score_name; name what the scores measure")
        if not isinstance(self.higher_is_better, bool):
            raise SpecError("the specification's higher_is_better is not true or false")

    def to_bytes(self) -> bytes:
        """Return the document as canonical JSON, so that equal specifications have equal bytes.

        Raises:
            SpecError: a text cannot be encoded as UTF-8.
        """
        document = {
            "higher_is_better": self.higher_is_better,
            "model": self.model,
            "score_name": self.score_name,
            "text": self.text,
            "version": _VERSION,
            "weights": self.schema.to_json(),
        }
        try:
            return dump(document)
        except InvalidJson as error:
            raise SpecError(f"the specification cannot be written: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes, *, max_size: int = MAX_SPEC_SIZE) -> ExperimentSpec:
        """Parse a document.

        Args:
            data: the whole document.
            max_size: largest accepted size, in bytes.

        Raises:
            SpecError: the document is too large or not a specification; the message explains why.
        """
        if len(data) > max_size:
            raise SpecError(
                f"the specification has {len(data)} bytes; at most {max_size} are allowed"
            )
        try:
            document = load(data)
        except InvalidJson as error:
            raise SpecError(f"the specification is not strict JSON: {error}") from error
        return cls._from_document(document)

    @classmethod
    def _from_document(cls, document: Any) -> ExperimentSpec:
        if not isinstance(document, dict):
            raise SpecError("the specification is not a JSON object")
        if type(version := document.get("version")) is not int or version != _VERSION:
            raise SpecError(
                f"the specification is not of version {_VERSION}, the only one supported"
            )
        if set(document) != _FIELDS:
            wrong = sorted(set(document) ^ _FIELDS)
            raise SpecError(
                f"the specification has missing or unknown fields: {ascii(wrong)[:200]}"
            )
        try:
            schema = WeightsSchema.from_json(document["weights"])
        except InvalidSchema as error:
            raise SpecError(f"the specification's weights: {error}") from error
        return cls(
            model=document["model"],
            schema=schema,
            score_name=document["score_name"],
            higher_is_better=document["higher_is_better"],
            text=document["text"],
        )

    def put(self, store: ContentStore) -> ContentRef:
        """Store the document and return its reference."""
        return store.put([self.to_bytes()])

    @classmethod
    def read(
        cls,
        store: ContentStore,
        content: ContentRef,
        *,
        max_size: int = MAX_SPEC_SIZE,
        timeout: float | None = None,
    ) -> ExperimentSpec:
        """Fetch, verify and parse a document.

        Raises:
            ContentTooLarge, ContentUnavailable, ContentMismatch: the document could not be fetched.
            SpecError: the document is not a specification.
        """
        with store.get(content, max_size=max_size, timeout=timeout) as pieces:
            data = b"".join(pieces)
        return cls.from_bytes(data, max_size=max_size)
