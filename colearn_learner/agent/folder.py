"""What an agent keeps in its folder, so that a kill at any instant loses nothing it needs.

lock           held while an agent works in the folder
journal.jsonl  one decision a line, on the disk before the agent acts on it
weights/       copies of weights (`agent_copies`)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from colearn_learner.agent.weights_cache import Copies, DamagedFolder
from colearn_learner.errors import LearnerError
from colearn_ledger.home import FileInUse, try_lock_file
from colearn_ledger.protocol import (
    ContentRef,
    InvalidParameter,
    Scores,
    Vote,
    bits_to_score,
    score_to_bits,
)

__all__ = ["AgentFolder", "DamagedFolder", "DecidedBallot", "FolderInUse", "TrainedProposal"]


class FolderInUse(LearnerError):
    """Another agent works in this folder, or it belongs to another learner or experiment."""


@dataclass(frozen=True, slots=True)
class TrainedProposal:
    """Weights trained for a round and stored; ``base`` is what training began with."""

    round: int
    content: ContentRef
    scores: Scores
    base: str | None


@dataclass(frozen=True, slots=True)
class DecidedBallot:
    """A decision about a round's proposal; ``salt`` is that of its commitment, if any."""

    round: int
    content: ContentRef
    vote: Vote
    salt: bytes | None
    reason: str


@dataclass(slots=True)
class _Memory:
    """What the journal's lines add up to."""

    owner: str | None = None
    trained: dict[int, TrainedProposal] = field(default_factory=dict)
    ballots: dict[int, DecidedBallot] = field(default_factory=dict)
    adopted: list[ContentRef] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)


class AgentFolder:
    """One agent's files. Use it as a context manager, or `close` it. `copies` are of weights.

    Args:
        path: the folder, made when it is missing.
        owner: what it belongs to: contract, experiment and account in one line.

    Raises:
        FolderInUse: another agent holds it, or it belongs to something else.
        DamagedFolder: its journal can not be read.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self.copies = Copies(path / "weights")
        self._lock = self._take_lock()
        try:
            self._memory = self._replay()
            self._journal: IO[bytes] = (path / "journal.jsonl").open("ab")
            if self._memory.owner is None:
                self._record({"kind": "owner", "owner": owner})
                self._memory.owner = owner
            if self._memory.owner != owner:
                raise FolderInUse(
                    f"{path} belongs to {self._memory.owner}; give each learner of each"
                    " experiment a folder of its own"
                )
            self.copies.remove_all_but(self._memory.adopted)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Let another agent use the folder."""
        with suppress(OSError):  # what a full disk did not take was reported before
            self._journal.close()
        self._lock.release()

    def __enter__(self) -> AgentFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ decisions

    def trained(self, round_index: int) -> TrainedProposal | None:
        """Return what was trained for a round and not dropped."""
        dropped = round_index in self._memory.dropped
        return None if dropped else self._memory.trained.get(round_index)

    def ballot(self, round_index: int) -> DecidedBallot | None:
        """Return how a round's ballot was decided."""
        return self._memory.ballots.get(round_index)

    def own_proposals(self) -> list[TrainedProposal]:
        """Return the proposals that were not dropped, by round."""
        kept = self._memory.trained.items()
        return [p for index, p in sorted(kept) if index not in self._memory.dropped]

    @property
    def adopted(self) -> tuple[ContentRef, ...]:
        """Return the accepted weights kept and not yet released, the last ones last."""
        return tuple(self._memory.adopted)

    def record_trained(self, proposal: TrainedProposal) -> None:
        """Note a proposal, before it is pinned and sent."""
        self._record(
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
        """Note a ballot and its salt, before it or its commitment is sent."""
        self._record(
            {
                "kind": "ballot",
                "round": ballot.round,
                "content": _content_to_json(ballot.content),
                "approve": ballot.vote.approve,
                "scores": _scores_to_json(ballot.vote.scores),
                "salt": None if ballot.salt is None else ballot.salt.hex(),
                "reason": ballot.reason,
            }
        )
        self._memory.ballots[ballot.round] = ballot

    def record_adopted(self, content: ContentRef) -> None:
        """Note that these weights are being kept, before they are pinned."""
        self._record({"kind": "adopted", "content": _content_to_json(content)})
        _add_last(self._memory.adopted, content)

    def record_released(self, content: ContentRef) -> None:
        """Note that superseded weights are unpinned, and remove the copy."""
        self.copies.remove(content)
        self._record({"kind": "released", "content": _content_to_json(content)})
        self._memory.adopted.remove(content)

    def record_dropped(self, round_index: int) -> None:
        """Note that an own proposal is settled: unpinned, unless it was adopted."""
        self._record({"kind": "dropped", "round": round_index})
        self._memory.dropped.add(round_index)

    def record_sent(self, action: str, round_index: int | None, transaction: str) -> None:
        """Note a transaction that took effect: for people, nothing depends on it."""
        line = {"kind": "sent", "action": action, "round": round_index, "transaction": transaction}
        self._record(line)

    # ------------------------------------------------------------------ parts

    def _take_lock(self) -> FileLock:
        try:
            return try_lock_file(self.path / "lock")
        except FileInUse as error:
            raise FolderInUse(f"another agent works in {self.path}; stop it first") from error

    def _record(self, line: Mapping[str, Any]) -> None:
        try:
            self._journal.write(json.dumps(line, sort_keys=True).encode() + b"\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())
        except OSError as error:
            raise DamagedFolder(
                f"the journal in {self.path} can not be written: {error.strerror}"
            ) from error

    def _replay(self) -> _Memory:
        memory = _Memory()
        path = self.path / "journal.jsonl"
        data = path.read_bytes() if path.exists() else b""
        whole, _, torn = data.rpartition(b"\n")
        if torn:  # the process was killed while it wrote the last line, and had not acted on it
            os.truncate(path, len(data) - len(torn))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                _fold(memory, json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, InvalidParameter) as error:
                raise DamagedFolder(
                    f"line {number} of {path} is damaged; move the folder away to begin anew"
                    " (commitments not yet revealed are lost with it)"
                ) from error
        return memory


def _fold(memory: _Memory, line: Mapping[str, Any]) -> None:
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
        salt = line["salt"]
        memory.ballots[int(line["round"])] = DecidedBallot(
            int(line["round"]),
            _content_from_json(line["content"]),
            Vote(bool(line["approve"]), _scores_from_json(line["scores"])),
            None if salt is None else bytes.fromhex(salt),
            str(line["reason"]),
        )
    elif kind == "adopted":
        _add_last(memory.adopted, _content_from_json(line["content"]))
    elif kind == "released":
        with suppress(ValueError):
            memory.adopted.remove(_content_from_json(line["content"]))
    elif kind == "dropped":
        memory.dropped.add(int(line["round"]))
    elif kind != "sent":
        raise ValueError("unknown kind")


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
