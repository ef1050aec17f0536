"""The specification of an experiment: its model, the schema of its weights, score and vote rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from colearn_ledger.protocol import Admission, ContentRef, LedgerError
from colearn_ledger.text.strict_json import InvalidJson, dump, load
from colearn_ledger.weights.errors import InvalidSchema
from colearn_ledger.weights.schema import WeightsSchema
from colearn_ledger.weights.store import ContentStore

MAX_SPEC_SIZE = 2**20
"""Default limit on the size of a specification, in bytes."""

_VERSION = 1
_LARGEST = 1e300
_FIELDS = {"higher_is_better", "model", "score_name", "text", "version", "weights"}
_OPTIONAL = ("continues", "max_distance", "tolerance", "vote_rule")
"""Fields that a document may lack; they then have their defaults."""


class SpecError(LedgerError):
    """The document is not a valid specification of an experiment."""


class VoteRule(StrEnum):
    """The rule by which agents decide which proposals of a round to approve."""

    BETTER_ALONE = "better-alone"
    """Approve what scores better than the current weights on its own."""
    LEAVE_ONE_OUT = "leave-one-out"
    """Approve a proposal unless the mean of all the others is better without it."""
    TRACK_RECORD = "track-record"
    """Approve the proposals of learners whose proposals were improvements in the rounds so far."""


@dataclass(frozen=True, slots=True)
class Voting:
    """How a group decides on proposals.

    Args:
        rule: the vote rule.
        approval: the share of the voters that must approve, above 0 and up to 1.
        max_distance: see `ExperimentSpec`.
    """

    rule: VoteRule
    approval: float
    max_distance: float


DEFAULT_VOTING: Mapping[Admission, Voting] = {
    Admission.OPEN: Voting(VoteRule.TRACK_RECORD, 0.4, 5.0),
    Admission.ALLOWLIST: Voting(VoteRule.LEAVE_ONE_OUT, 0.25, 20.0),
}
"""Safety first among strangers, learning first among parties that know each other.

Source: docs/accuracy.md.
"""


def parse_vote_rule(rule: Any, what: str) -> VoteRule:
    """Return the rule of this name.

    Args:
        rule: the name, or the rule itself.
        what: what has this value, for the error.

    Raises:
        SpecError: there is no such rule.
    """
    try:
        return VoteRule(rule)
    except ValueError as error:
        rules = ", ".join(rule.value for rule in VoteRule)
        raise SpecError(f"{what} {ascii(rule)[:80]} is not one of {rules}") from error


def parse_tolerance(tolerance: Any, what: str) -> float:
    """Return a tolerance of the rule `VoteRule.LEAVE_ONE_OUT`.

    Args:
        tolerance: the number.
        what: what has this value, for the error.

    Raises:
        SpecError: it is not a finite number of at least 0.
    """
    return _parse_number(tolerance, what, least=0)


def _parse_number(number: Any, what: str, *, least: float) -> float:
    if type(number) not in (int, float) or not least <= number <= _LARGEST:
        raise SpecError(f"{what} is not a number of at least {least:g}")
    return float(number)


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """The specification that the learners of an experiment agree on.

    Args:
        model: a description of the model, for people to read.
        schema: the names, shapes and types of its weights.
        score_name: the measure used for vote and test scores, for example ``accuracy``.
        higher_is_better: whether a higher score is a better one.
        text: further information for anyone considering joining.
        vote_rule: the rule by which agents vote, unless their learners choose another.
        tolerance: how much better the mean must be without a proposal before the rule
            `LEAVE_ONE_OUT` rejects it, as a share of the score of the mean of all.
        max_distance: agents approve no proposal whose distance from the current weights exceeds
            this multiple of the round's median distance; at least 1. Only for rounds with three or
            more usable proposals.
        continues: reference of the experiment that this one continues, or ``None``.

    Raises:
        SpecError: a field has the wrong type or is out of its bounds, or ``score_name`` is empty.
    """

    model: str
    schema: WeightsSchema
    score_name: str
    higher_is_better: bool
    text: str = ""
    vote_rule: VoteRule = VoteRule.BETTER_ALONE
    tolerance: float = 0.0
    max_distance: float = 5.0
    continues: str | None = None

    def __post_init__(self) -> None:
        """Check the types of the fields, which may come from an untrusted source."""
        for name in ("model", "score_name", "text"):
            if not isinstance(getattr(self, name), str):
                raise SpecError(f"the specification's {name} is not a string")
        if not self.score_name:
            raise SpecError("the specification has no score_name; name what the scores measure")
        if not isinstance(self.higher_is_better, bool):
            raise SpecError("the specification's higher_is_better is not true or false")
        self._check_voting()
        if self.continues is not None and not (isinstance(self.continues, str) and self.continues):
            raise SpecError("the specification's continues is not a reference of an experiment")

    def _check_voting(self) -> None:
        whose = "the specification's"
        checked = {
            "vote_rule": parse_vote_rule(self.vote_rule, f"{whose} vote_rule"),
            "tolerance": parse_tolerance(self.tolerance, f"{whose} tolerance"),
            "max_distance": _parse_number(self.max_distance, f"{whose} max_distance", least=1),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def to_bytes(self) -> bytes:
        """Return the document as canonical JSON, so that equal specifications have equal bytes.

        Raises:
            SpecError: a text cannot be encoded as UTF-8.
        """
        document = {
            "continues": self.continues,
            "higher_is_better": self.higher_is_better,
            "max_distance": self.max_distance,
            "model": self.model,
            "score_name": self.score_name,
            "text": self.text,
            "tolerance": self.tolerance,
            "version": _VERSION,
            "vote_rule": self.vote_rule.value,
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
        if wrong := sorted(_FIELDS ^ (set(document) - set(_OPTIONAL))):
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
            **{name: document[name] for name in _OPTIONAL if name in document},
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
            ContentTooLarge, ContentUnavailable, WrongReference: the document could not be fetched.
            SpecError: the document is not a specification.
        """
        with store.get(content, max_size=max_size, timeout=timeout) as pieces:
            data = b"".join(pieces)
        return cls.from_bytes(data, max_size=max_size)
