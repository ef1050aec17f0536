"""Read the TOML file that describes a new experiment, and check it before anything is sent."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from colearn_learner.errors import LearnerError
from colearn_learner.names import UnknownName, find_name
from colearn_ledger.protocol import (
    Admission,
    ContentRef,
    ExperimentParams,
    InvalidParameter,
    Merge,
    Selection,
)
from colearn_ledger.reference.params import check_params
from colearn_ledger.spec import DEFAULT_VOTING, VoteRule

TEMPLATE = """\
# The description of an experiment. Edit it, then run:
#
#   colearn experiment create --spec experiment.toml --key NAME --store folder:/path
#
# The rules in [terms] apply to the whole experiment; nobody can change them later.

name = "tumours"                # up to 64 bytes, stored on the ledger

[model]
description = "logistic regression on 30 measurements of cell nuclei"   # for people
score_name = "log loss"         # what the voters' scores measure
higher_is_better = false        # whether a higher score is better
text = ""                       # anything else that learners should know before they join

# The first weights, from a learner or from a file. All later weights have the same shapes.
[weights]
learner = "colearn_learner.catalogue:share"
arguments = { dataset = "breast-cancer", learner = 0, of = 5 }
# file = "initial.safetensors"  # instead of learner; relative to this file's folder
# max_bytes = 1_000_000         # the largest file of weights; by default the most these can need

[terms]
rounds = 15
min_learners = 5                # needed to start
max_learners = 5                # the experiment starts automatically when this many have joined
# approval = 0.4                # fraction of a round's voters that must approve: above 0, at most 1
                                # (0.25 is the default with an allowlist, 0.4 without)
proposers = 1                   # how many learners train and propose in each round, at most 16
merge = "mean"                  # of several accepted proposals; or "best", the most approved one
propose_window = 600            # seconds to train and propose
vote_window = 600               # seconds to test and vote
reveal_window = 0               # 0: open ballots; otherwise secret ballots, and seconds to reveal
selection = "round_robin"       # how proposers are chosen; or "random"
admission = "open"              # or "allowlist": see colearn experiment admit
late_join = false               # may learners join after the start?
settle_early = false            # close a round as soon as its outcome is certain?
max_strikes = 0                 # missed duties after which a learner can be removed; 0: never
patience = 0                    # rounds in a row without an accepted proposal that end it; 0: never

# How agents vote. This table is part of the specification, and is optional.
[vote]
# rule = "track-record"         # or "leave-one-out", the default with an allowlist; "better-alone"
tolerance = 0.0                 # of "leave-one-out": harm to the mean, as a share of its score
# max_distance = 5.0            # refuse what is this many times as far away as the median proposal;
#                                 the default with an allowlist is 20
"""


def fill_template(values: Mapping[str, str]) -> str:
    """Return the template with other values.

    Args:
        values: the values in TOML, by field. A field that is commented out becomes a value.
    """
    text = TEMPLATE
    for name, value in values.items():
        pattern = re.compile(rf"^(# )?{name} = [^#\n]*", re.MULTILINE)

        def put(match: re.Match[str], line: str = f"{name} = {value}") -> str:
            followed = match.string[match.end() : match.end() + 1] == "#"
            return f"{line} ".ljust(len(match.group())) if followed else line

        text = pattern.sub(put, text, count=1)
    return text


_TERMS: Mapping[str, type | tuple[type, ...]] = {
    "rounds": int,
    "min_learners": int,
    "max_learners": int,
    "approval": (int, float),
    "propose_window": int,
    "vote_window": int,
    "reveal_window": int,
    "selection": str,
    "proposers": int,
    "merge": str,
    "admission": str,
    "late_join": bool,
    "settle_early": bool,
    "max_strikes": int,
    "patience": int,
}
_VOTE: Mapping[str, type | tuple[type, ...]] = {
    "rule": str,
    "tolerance": (int, float),
    "max_distance": (int, float),
}
_MODEL: Mapping[str, type | tuple[type, ...]] = {
    "description": str,
    "score_name": str,
    "higher_is_better": bool,
    "text": str,
}
_WEIGHTS: Mapping[str, type | tuple[type, ...]] = {
    "learner": str,
    "arguments": dict,
    "file": str,
    "max_bytes": int,
}
_TOP: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "model": dict,
    "weights": dict,
    "terms": dict,
    "vote": dict,
}
_NEEDED_TERMS = ("rounds", "min_learners", "max_learners")


class BadExperimentFile(LearnerError):
    """The file does not describe an experiment; explains where and why."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Values from the command line that replace those of the file.

    Args:
        terms: fields of ``[terms]``.
        vote: fields of ``[vote]``.
        weights_given: whether the first weights are known, so that ``[weights]`` is not used.
    """

    terms: Mapping[str, Any] = field(default_factory=dict)
    vote: Mapping[str, Any] = field(default_factory=dict)
    weights_given: bool = False


@dataclass(frozen=True, slots=True)
class ExperimentFile:
    """The checked content of a file.

    Args:
        model: description of the model, for people.
        score_name: name of the score.
        higher_is_better: whether a higher score is better.
        text: description of the experiment, for people.
        learner: ``module:factory`` that makes the first weights; None if they are in ``file``.
        arguments: arguments of the factory, by name.
        file: the file of the first weights; None if the factory makes them.
        max_bytes: the largest allowed file of weights, in bytes; None for the most that
            weights of this schema can need.
        terms: the experiment's parameters, except for the two content references.
        voting: arguments of `ExperimentSpec` about how agents vote.
    """

    model: str
    score_name: str
    higher_is_better: bool
    text: str
    learner: str | None
    arguments: Mapping[str, Any]
    file: Path | None
    max_bytes: int | None
    terms: Mapping[str, Any]
    voting: Mapping[str, Any]

    def params(self, spec: ContentRef, initial: ContentRef) -> ExperimentParams:
        """Return the experiment's parameters, with the references of its two files.

        Raises:
            InvalidParameter: a parameter is out of its bounds.
        """
        params = ExperimentParams(spec=spec, initial=initial, **self.terms)
        check_params(params)
        return params


def read_experiment_file(path: Path, overrides: Overrides | None = None) -> ExperimentFile:
    """Read and check the file that describes an experiment.

    Args:
        path: the file.
        overrides: values that replace those of the file.

    Raises:
        BadExperimentFile: the file cannot be read or does not describe an experiment.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise BadExperimentFile(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadExperimentFile(f"{path} is not valid TOML: {error}") from error
    try:
        read = _parse_document(document, path.parent, overrides or Overrides())
        _check_terms(read)
    except (BadExperimentFile, UnknownName) as error:
        raise BadExperimentFile(
            f"{path}: {error}; colearn experiment template prints an example"
        ) from error
    return read


def _parse_document(
    document: Mapping[str, Any], folder: Path, overrides: Overrides
) -> ExperimentFile:
    _check_fields("the file", document, _TOP, needed=("name", "model", "terms"))
    model, weights, terms = document["model"], document.get("weights", {}), document["terms"]
    vote = document.get("vote", {})
    _check_fields("[model]", model, _MODEL, needed=("score_name", "higher_is_better"))
    _check_fields("[weights]", weights, _WEIGHTS, needed=())
    _check_fields("[terms]", terms, _TERMS, needed=_NEEDED_TERMS)
    _check_fields("[vote]", vote, _VOTE, needed=())
    if not overrides.weights_given:
        _check_weights(weights)
    if not model["score_name"]:
        raise BadExperimentFile("[model] score_name is empty; enter the name of the score")
    parsed = _parse_terms({**terms, **overrides.terms})
    default = DEFAULT_VOTING[parsed.get("admission", Admission.OPEN)]
    approval_bps = round(default.approval * 10_000)
    return ExperimentFile(
        model=model.get("description", ""),
        score_name=model["score_name"],
        higher_is_better=model["higher_is_better"],
        text=model.get("text", ""),
        learner=weights.get("learner"),
        arguments=weights.get("arguments", {}),
        file=folder / weights["file"] if "file" in weights else None,
        max_bytes=weights.get("max_bytes"),
        terms={"name": document["name"], "approval_bps": approval_bps, **parsed},
        voting={
            "vote_rule": default.rule,
            "max_distance": default.max_distance,
            **_parse_vote({**vote, **overrides.vote}),
        },
    )


def find_share_mismatch(described: ExperimentFile) -> str | None:
    """Return a warning if the first weights' learner divides data among more or fewer learners.

    The argument ``of`` is the number of shares at the factories of this package and its starters.
    """
    shares, most = described.arguments.get("of"), described.terms["max_learners"]
    if type(shares) is not int or shares == most:
        return None
    problem = (
        f"records of {shares - most} shares are not used"
        if shares > most
        else f"there is no share for {most - shares} learners"
    )
    return (
        f"[weights] arguments has of = {shares}, but max_learners is {most}, so {problem}; if the "
        "argument is the number of learners, make the two equal, also in --learner-arg of agents"
    )


def _check_weights(weights: Mapping[str, Any]) -> None:
    if ("learner" in weights) == ("file" in weights):
        raise BadExperimentFile("[weights] must have either learner or file, for the first weights")
    if "arguments" in weights and "file" in weights:
        raise BadExperimentFile(
            "[weights] has both arguments, which only a learner takes, and file; remove one of them"
        )


def _parse_vote(table: Mapping[str, Any]) -> dict[str, Any]:
    voting = dict(table)
    if "rule" in voting:
        name = voting.pop("rule")
        voting["vote_rule"] = VoteRule(find_name("rule", name, [rule.value for rule in VoteRule]))
    return voting


def _parse_terms(table: Mapping[str, Any]) -> dict[str, Any]:
    terms = dict(table)
    if "approval" in terms:
        share = terms.pop("approval")
        if not 0 < share <= 1 or round(share * 10_000) < 1:
            raise BadExperimentFile(
                f"[terms] approval is {share}; it must be above 0 and at most 1"
            )
        terms["approval_bps"] = round(share * 10_000)
    if "selection" in terms:
        terms["selection"] = _find_member("selection", terms["selection"], Selection)
    if "admission" in terms:
        terms["admission"] = _find_member("admission", terms["admission"], Admission)
    if "merge" in terms:
        terms["merge"] = _find_member("merge", terms["merge"], Merge)
    return terms


def _find_member(kind: str, name: str, known: type[IntEnum]) -> Any:
    return known[find_name(kind, name, [m.name.lower() for m in known]).upper()]


def _check_fields(
    where: str,
    table: Mapping[str, Any],
    known: Mapping[str, type | tuple[type, ...]],
    *,
    needed: tuple[str, ...],
) -> None:
    for name, value in table.items():
        kind = known[find_name(f"field in {where}", name, known)]
        is_flag_for_number = isinstance(value, bool) and kind is not bool
        if not isinstance(value, kind) or is_flag_for_number:
            raise BadExperimentFile(f"{where} {name} is {value!r}, which has the wrong type")
    for name in needed:
        if name not in table:
            raise BadExperimentFile(f"{where} has no {name}, which is required")


def _check_terms(read: ExperimentFile) -> None:
    """Check the bounds of the parameters before any file is uploaded."""
    anything = ContentRef.from_digest(0x55, b"\1" * 32, "01" * 32, 1)
    try:
        read.params(anything, anything)
    except InvalidParameter as error:
        name = "approval" if error.args[0] == "approval_bps" else error.args[0]
        raise BadExperimentFile(
            f"{name} is out of its bounds (see the table in docs/protocol.md)"
        ) from error
