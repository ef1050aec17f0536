"""Compare what several nodes return about an experiment, and name the one that disagrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from colearn_ledger.audit.findings import Finding, FindingKind, describe
from colearn_ledger.audit.reading import Snapshot, read_origins, read_snapshot
from colearn_ledger.ledger import LedgerView, Origin, RecordedEvent
from colearn_ledger.protocol import ExperimentId, LedgerError, UnknownExperiment

_ATTEMPTS = 3
_MISSING = "nothing"

Place = tuple[int | None, str]
"""The round that an answer concerns, and its subject."""

Answers = Mapping[Place, str]
"""What a node returned, as texts; without the places that it does not know."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A node, and the ledger as it returns it.

    Args:
        name: the node's name, for people; it contains no key.
        ledger: the ledger through this node alone.
    """

    name: str
    ledger: LedgerView


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison.

    Args:
        findings: one for each contradiction between nodes.
        unchecked: what could not be compared, and why, in one sentence each.
    """

    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()


class NodeNotComparable(LedgerError):
    """A node's answers could not be read, so that they were not compared."""


@dataclass(frozen=True, slots=True)
class _Testimony:
    """All that one node returned; ``snapshot`` is ``None`` if it knows no such experiment."""

    name: str
    snapshot: Snapshot | None
    origins: Sequence[Origin | None] = ()

    @property
    def events(self) -> Sequence[RecordedEvent]:
        return self.snapshot.events if self.snapshot else ()


def compare_nodes(
    nodes: Sequence[Witness],
    experiment: ExperimentId,
    *,
    first_is_proven: bool = False,
    report_done: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Read an experiment from several nodes and compare all that they return.

    If most nodes agree, the others are named. If the first one's answers are proven, they count as
    right, and what happened after its last block is not compared.

    Args:
        nodes: two or more nodes.
        experiment: the id of the experiment.
        first_is_proven: whether the first node's answers are proven.
        report_done: called with the number of nodes that were read.

    Raises:
        NodeNotComparable: a node cannot be reached, or its answers are not valid.
    """
    heard: list[_Testimony] = []
    for _ in range(_ATTEMPTS):  # a node that is a block behind catches up meanwhile
        heard = []
        for node in nodes:
            heard.append(_read(node, experiment))
            report_done(len(heard))
        if len({len(each.events) for each in heard}) == 1:
            break
    return _compare(heard, first_is_proven=first_is_proven)


def _read(node: Witness, experiment: ExperimentId) -> _Testimony:
    try:
        snapshot = read_snapshot(node.ledger, experiment)
        origins = read_origins(node.ledger, snapshot.events, report_done=lambda _: None)
    except UnknownExperiment:
        return _Testimony(node.name, None)
    except LedgerError as error:
        raise NodeNotComparable(
            f"the answers of {node.name} cannot be compared: {error}"
        ) from error
    return _Testimony(node.name, snapshot, origins)


def _compare(heard: Sequence[_Testimony], *, first_is_proven: bool) -> Comparison:
    names = [each.name for each in heard]
    end = len(heard[0].events) if first_is_proven else None
    judge = _Judge(names, first_is_proven=first_is_proven)
    findings = list(judge.judge([_list_existence(each) for each in heard]))
    findings += _compare_events(heard, judge, end)
    unchecked = []
    number = len(heard[0].events) if end is not None else _most_common(heard)
    same = [each for each in heard if each.snapshot and len(each.events) == number]
    for each in heard:
        if each.snapshot and each not in same:
            unchecked.append(
                f"The state at {each.name}: the node has {len(each.events)} events of the "
                f"experiment, not {number}."
            )
    answers = [_list_answers(each) if each in same else None for each in heard]
    findings += judge.judge(answers)
    return Comparison(tuple(findings), tuple(unchecked))


def _most_common(heard: Sequence[_Testimony]) -> int:
    [(number, _)] = Counter(len(each.events) for each in heard).most_common(1)
    return number


def _compare_events(
    heard: Sequence[_Testimony], judge: _Judge, end: int | None
) -> Iterator[Finding]:
    """Yield a finding for the first event about which the nodes disagree, if there is one."""
    longest = max(len(each.events) for each in heard)
    for at in range(longest if end is None else end):
        given = [each.events[at] if at < len(each.events) else None for each in heard]
        if all(each == given[0] for each in given):
            continue
        rounds = [_round_of(each) for each in given if each is not None]
        place = (min(rounds, key=lambda number: -1 if number is None else number), f"event {at}")
        texts = [{place: _MISSING if each is None else _describe_event(each)} for each in given]
        known = [
            text if testimony.snapshot else None
            for text, testimony in zip(texts, heard, strict=True)
        ]
        yield from judge.judge(known)
        return


@dataclass(frozen=True, slots=True)
class _Judge:
    """Finds contradictions, and names the nodes at fault if that can be known."""

    names: Sequence[str]
    first_is_proven: bool

    def judge(self, answers: Sequence[Answers | None]) -> Iterator[Finding]:
        """Yield a finding for each contradiction; nodes without answers are not compared."""
        places = dict.fromkeys(place for each in answers for place in each or ())
        for place in places:
            texts = {
                name: each.get(place, _MISSING)
                for name, each in zip(self.names, answers, strict=True)
                if each is not None
            }
            texts = {name: text for name, text in texts.items() if text}
            if len(set(texts.values())) > 1:
                yield from self._accuse(place, texts)

    def _accuse(self, place: Place, texts: Mapping[str, str]) -> Iterator[Finding]:
        right, reason = self._find_right(texts)
        if right is None:
            one, *others = [f"{name}: {text}" for name, text in texts.items()]
            meaning = (
                "These nodes contradict each other; ask another one to learn which one is wrong."
            )
            yield Finding(FindingKind.NODE, *place, one, "; ".join(others), meaning)
            return
        for name, text in texts.items():
            if text != right:
                meaning = f"{name} contradicts {reason}."
                yield Finding(FindingKind.NODE, *place, right, f"{name}: {text}", meaning)

    def _find_right(self, texts: Mapping[str, str]) -> tuple[str | None, str]:
        if self.first_is_proven and self.names[0] in texts:
            return texts[self.names[0]], "what is proved from the trusted block"
        [(text, votes)] = Counter(texts.values()).most_common(1)
        if 2 * votes > len(texts):
            return text, f"{votes} other nodes, which agree with each other"
        return None, ""


def _list_existence(testimony: _Testimony) -> Answers:
    text = "no such experiment" if testimony.snapshot is None else "an experiment"
    return {(None, "experiment"): text}


def _list_answers(testimony: _Testimony) -> Answers:
    """Return the state that a node returned, and the transactions behind the events."""
    found = testimony.snapshot
    if found is None:
        return {}
    answers: dict[Place, str] = {}
    for name, value in _list_fields(found.experiment):
        if name == "params":
            answers |= {(None, f"parameter {n}"): describe(v) for n, v in _list_fields(value)}
        else:
            answers[None, f"{name} of the experiment"] = describe(value)
    answers[None, "current weights"] = describe(found.current)
    for number, learner in enumerate(found.learners):
        answers[None, f"learner {number}"] = str(learner)
    for round_ in found.rounds:
        for name, value in _list_fields(round_):
            if name != "slots":
                answers[round_.index, name] = describe(value)
        for number, slot in enumerate(round_.slots):
            fields_of = _list_fields(slot)
            answers |= {(round_.index, f"{n} of slot {number}"): describe(v) for n, v in fields_of}
    for index, ballots in enumerate(found.ballots):
        answers |= {(index, f"ballot of {row.learner}"): str(row) for row in ballots}
    for at, (event, origin) in enumerate(zip(found.events, testimony.origins, strict=True)):
        # an empty text abstains: nodes may drop old transactions and blocks
        text = "" if origin is None else _describe_origin(origin)
        answers[_round_of(event), f"transaction of event {at}"] = text
    return answers


def _list_fields(value: Any) -> list[tuple[str, Any]]:
    return [(each.name, getattr(value, each.name)) for each in fields(value)]


def _round_of(recorded: RecordedEvent) -> int | None:
    found: int | None = getattr(recorded.event, "round", None)
    return found


def _describe_event(recorded: RecordedEvent) -> str:
    return f"{recorded.event} at {recorded.time} in transaction {recorded.transaction}"


def _describe_origin(origin: Origin) -> str:
    if origin.fault:
        return origin.fault
    if origin.entropy is None:
        return ""
    call = "another contract's call" if origin.call is None else origin.call.name
    return f"{call} by {origin.sender} with {describe(origin.arguments)}, {origin.entropy.hex()}"
