"""An agent's folder: everything it needs to continue after a kill at any moment.

lock                          locked while an agent uses the folder
journal.jsonl, journal.head   one decision per line, on disk before the agent acts on it (`journal`)
weights/                      copies of weights (`weights_cache`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colearn_learner.agent.errors import writing_folder
from colearn_learner.agent.journal import DecisionJournal
from colearn_learner.agent.weights_cache import WeightsCache
from colearn_learner.errors import LearnerError
from colearn_ledger.home import FileInUse, FileLock
from colearn_ledger.protocol import (
    ContentRef,
    InvalidParameter,
    Scores,
    Vote,
    bits_to_score,
    score_to_bits,
)

_UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(ImportError, RecursionError, InvalidParameter),
)
"""What a line with unexpected content may raise."""


class FolderInUse(LearnerError):
    """Raised if another agent uses the folder, or another learner or experiment owns it."""


@dataclass(frozen=True, slots=True)
class TrainedProposal:
    """Weights trained and kept for a round; ``base`` is the SHA-256 of the starting weights."""

    round: int
    content: ContentRef
    scores: Scores
    base: str | None


@dataclass(frozen=True, slots=True)
class DecidedBallot:
    """Decision on a round's proposals.

    Args:
        round: index of the round.
        proposals: the digest of the proposals that it judges.
        vote: the decision.
        salt: salt of its commitment; ``None`` for an open ballot.
        reason: why proposals are not approved, for people; may be empty.
        gains: by proposer, the limited gains on which the rule `track-record` decided.
    """

    round: int
    proposals: bytes
    vote: Vote
    salt: bytes | None
    reason: str
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MergedWeights:
    """Current weights that this agent merged.

    Args:
        round: the round that accepted the sources.
        sources: all accepted files, in slot order.
        content: the merged file.
    """

    round: int
    sources: tuple[ContentRef, ...]
    content: ContentRef


@dataclass(slots=True)
class _Memory:
    """State that results from the journal's lines."""

    owner: str | None = None
    trained: dict[int, TrainedProposal] = field(default_factory=dict)
    ballots: dict[tuple[int, bytes], DecidedBallot] = field(default_factory=dict)
    adopted: list[ContentRef] = field(default_factory=list)
    merged: MergedWeights | None = None
    pinned: dict[int, list[ContentRef]] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)


_JOURNAL = "journal.jsonl"


def has_journal(path: Path) -> bool:
    """Return whether an agent has used a folder."""
    return (path / _JOURNAL).exists()


class AgentFolder:
    """One agent's files: its journal, and copies of weights (`cache`).

    Use it as a context manager, or call `close`.

    Args:
        path: the folder; created if it is missing.
        owner: contract, experiment and account that the folder belongs to, in one line.

    Raises:
        FolderInUse: another agent uses the folder, or it belongs to another owner.
        DamagedFolder: the journal is damaged.
        FolderNotWritable: the folder cannot be written now; each method that records something
            raises this too, and then has recorded nothing.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self.cache = WeightsCache(path / "weights")
        self._lock = self._take_lock()
        try:
            self._journal = DecisionJournal(path / _JOURNAL)
            self._memory = self._replay()
            if self._memory.owner is None:
                self._journal.append({"kind": "owner", "owner": owner})
                self._memory.owner = owner
            if self._memory.owner != owner:
                raise FolderInUse(
                    f"{path} belongs to {self._memory.owner}; give each learner of each"
                    " experiment its own folder"
                )
            self.cache.remove_all_except(self._memory.adopted)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Release the folder, so that another agent can use it."""
        self._journal.close()
        self._lock.release()

    def __enter__(self) -> AgentFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ decisions

    def trained(self, round_index: int) -> TrainedProposal | None:
        """Return a round's trained proposal, or ``None`` if there is none or it was dropped."""
        dropped = round_index in self._memory.dropped
        return None if dropped else self._memory.trained.get(round_index)

    def has_trained(self, round_index: int) -> bool:
        """Return whether a proposal was ever trained for a round, even if it was dropped."""
        return round_index in self._memory.trained

    def ballot(self, round_index: int, proposals: bytes | None) -> DecidedBallot | None:
        """Return the ballot decided on exactly these proposals of a round, if any."""
        return self._memory.ballots.get((round_index, proposals or b""))

    def has_ballot(self, round_index: int) -> bool:
        """Return whether a ballot on any proposals of a round was decided."""
        return any(index == round_index for index, _ in self._memory.ballots)

    def gains_before(self, round_index: int) -> list[Mapping[str, float]]:
        """Return the gains of each earlier round, oldest first.

        If several ballots on a round were decided, because a reorganisation replaced its
        proposals, the last one counts.
        """
        last = {index: each.gains for (index, _), each in self._memory.ballots.items()}
        return [last[index] for index in sorted(last) if index < round_index]

    def merged(self, round_index: int | None, sources: Sequence[ContentRef]) -> ContentRef | None:
        """Return the file merged last, if it is the merge of these files accepted in the round."""
        merged = self._memory.merged
        is_same = merged and (merged.round, merged.sources) == (round_index, tuple(sources))
        return merged.content if merged and is_same else None

    def pinned(self) -> dict[int, tuple[ContentRef, ...]]:
        """Return the proposals of others that are pinned, by round."""
        return {index: tuple(contents) for index, contents in self._memory.pinned.items()}

    def own_proposals(self) -> list[TrainedProposal]:
        """Return the proposals that were not dropped, ordered by round."""
        kept = self._memory.trained.items()
        return [p for index, p in sorted(kept) if index not in self._memory.dropped]

    @property
    def adopted(self) -> tuple[ContentRef, ...]:
        """Return the adopted weights that are not released yet, most recent last."""
        return tuple(self._memory.adopted)

    def record_trained(self, proposal: TrainedProposal) -> None:
        """Record a proposal, before it is pinned and sent to the ledger."""
        self._journal.append(
            {
                "kind": "trained",
                "round": proposal.round,
                "content": _content_to_json(proposal.content),
                "scores": _scores_to_json(proposal.scores),
                "base": proposal.base,
            }
        )
        self._memory.trained[proposal.round] = proposal
        self._memory.dropped.discard(proposal.round)

    def record_ballot(self, ballot: DecidedBallot) -> None:
        """Record a ballot and its salt, before it or its commitment is sent."""
        self._journal.append(
            {
                "kind": "ballot",
                "round": ballot.round,
                "proposals": ballot.proposals.hex(),
                "approvals": ballot.vote.approvals,
                "scores": [_scores_to_json(scores) for scores in ballot.vote.scores],
                "salt": None if ballot.salt is None else ballot.salt.hex(),
                "reason": ballot.reason,
                "gains": dict(ballot.gains),
            }
        )
        self._memory.ballots[ballot.round, ballot.proposals] = ballot

    def record_pinned(self, round_index: int, contents: Sequence[ContentRef]) -> None:
        """Record that proposals of others are kept for now, before they are pinned."""
        line = {"kind": "pinned", "round": round_index}
        self._journal.append(
            {**line, "contents": [_content_to_json(content) for content in contents]}
        )
        _add_pinned(self._memory, round_index, contents)

    def record_unpinned(self, round_index: int) -> None:
        """Record that the proposals pinned in a round were unpinned unless they are needed."""
        self._journal.append({"kind": "unpinned", "round": round_index})
        self._memory.pinned.pop(round_index, None)

    def record_merged(self, merged: MergedWeights) -> None:
        """Record from what the current weights were merged, before they are pinned."""
        self._journal.append(
            {
                "kind": "merged",
                "round": merged.round,
                "sources": [_content_to_json(content) for content in merged.sources],
                "content": _content_to_json(merged.content),
            }
        )
        self._memory.merged = merged

    def record_adopted(self, content: ContentRef) -> None:
        """Record that these weights are kept, before they are pinned."""
        self._journal.append({"kind": "adopted", "content": _content_to_json(content)})
        _add_last(self._memory.adopted, content)

    def record_released(self, content: ContentRef) -> None:
        """Record that superseded weights were unpinned, and remove their copy."""
        self.cache.remove(content)
        self._journal.append({"kind": "released", "content": _content_to_json(content)})
        self._memory.adopted.remove(content)

    def record_dropped(self, round_index: int) -> None:
        """Record that a proposal is settled: it was unpinned unless it is still needed."""
        self._journal.append({"kind": "dropped", "round": round_index})
        self._memory.dropped.add(round_index)

    def record_sent(self, action: str, round_index: int | None, transaction: str) -> None:
        """Record a transaction that took effect; only people read this, the agent does not."""
        line = {"kind": "sent", "action": action, "round": round_index, "transaction": transaction}
        self._journal.append(line)

    # ------------------------------------------------------------------ parts

    def _take_lock(self) -> FileLock:
        try:
            with writing_folder(self.path):
                return FileLock(self.path / "lock")
        except FileInUse as error:
            raise FolderInUse(f"another agent uses {self.path}; stop it first") from error

    def _replay(self) -> _Memory:
        memory = _Memory()
        for number, line in self._journal.replay():
            try:
                _apply_line(memory, line)
            except _UNREADABLE as error:
                raise self._journal.damage(number) from error
        return memory


def _apply_line(memory: _Memory, line: Mapping[str, Any]) -> None:
    kind = line["kind"]
    if kind == "owner":
        memory.owner = str(line["owner"])
    elif kind == "trained":
        proposal = TrainedProposal(
            int(line["round"]),
            _content_from_json(line["content"]),
            _scores_from_json(line["scores"]),
            line["base"],
        )
        memory.trained[proposal.round] = proposal
        memory.dropped.discard(proposal.round)
    elif kind == "ballot":
        ballot = _ballot_from_json(line)
        memory.ballots[ballot.round, ballot.proposals] = ballot
    elif kind == "pinned":
        contents = [_content_from_json(content) for content in line["contents"]]
        _add_pinned(memory, int(line["round"]), contents)
    elif kind == "unpinned":
        memory.pinned.pop(int(line["round"]), None)
    elif kind == "merged":
        sources = tuple(_content_from_json(content) for content in line["sources"])
        content = _content_from_json(line["content"])
        memory.merged = MergedWeights(int(line["round"]), sources, content)
    elif kind == "adopted":
        _add_last(memory.adopted, _content_from_json(line["content"]))
    elif kind == "released":
        with suppress(ValueError):
            memory.adopted.remove(_content_from_json(line["content"]))
    elif kind == "dropped":
        memory.dropped.add(int(line["round"]))
    elif kind != "sent":
        raise ValueError("unknown kind")


def _ballot_from_json(line: Mapping[str, Any]) -> DecidedBallot:
    salt = line["salt"]
    scores = tuple(_scores_from_json(scores) for scores in line["scores"])
    return DecidedBallot(
        int(line["round"]),
        bytes.fromhex(line["proposals"]),
        Vote(int(line["approvals"]), scores),
        None if salt is None else bytes.fromhex(salt),
        str(line["reason"]),
        {str(who): float(gain) for who, gain in line.get("gains", {}).items()},
    )


def _add_pinned(memory: _Memory, round_index: int, contents: Sequence[ContentRef]) -> None:
    pinned = memory.pinned.setdefault(round_index, [])
    pinned.extend(content for content in contents if content not in pinned)


def _add_last(contents: list[ContentRef], content: ContentRef) -> None:
    if content in contents:
        contents.remove(content)
    contents.append(content)


def _content_to_json(content: ContentRef) -> list[str | int]:
    return [content.cid, content.sha256, content.size]


def _content_from_json(value: Any) -> ContentRef:
    cid, sha256, size = value
    return ContentRef(cid, sha256, size)


def _scores_to_json(scores: Scores) -> list[int]:
    return [score_to_bits(scores.vote_score), score_to_bits(scores.test_score)]


def _scores_from_json(value: Any) -> Scores:
    vote_score, test_score = value
    return Scores(bits_to_score(vote_score), bits_to_score(test_score))
