"""A damaged journal is refused with the number of the line; a kill never damages it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from colearn_learner.agent.errors import DamagedFolder
from colearn_learner.agent.folder import AgentFolder, DecidedBallot
from colearn_learner.agent.journal import DecisionJournal
from colearn_ledger.protocol import Scores, Vote
from colearn_ledger.weights.unixfs import content_of
from tests.support.journals import rewrite_decisions

LINES = [{"kind": "sent", "round": number, "reason": "Ωμέγα"} for number in range(4)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal with a few lines."""
    path = tmp_path / "journal.jsonl"
    rewrite_decisions(path, LINES)
    return path


def read(path: Path) -> list[Any]:
    return [content for _, content in DecisionJournal(path).replay()]


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.head"])
@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_any_altered_byte_is_detected(path: Path, name: str, flip: int):
    file = path.with_name(name)
    whole = file.read_bytes()
    assert read(path) == LINES
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        with pytest.raises(DamagedFolder, match=r"line \d"):
            read(path)


def test_damaged_line_is_reported_with_its_number_and_the_remedy(path: Path):
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"round": 2', b'"round": 7'))
    with pytest.raises(DamagedFolder, match=r"line 3 of .* is damaged; move the folder away"):
        read(path)


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.head"])
def test_any_cut_is_detected(path: Path, name: str):
    file = path.with_name(name)
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        with pytest.raises(DamagedFolder, match=r"line \d .*missing"):
            read(path)


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.head"])
def test_missing_file_is_detected(path: Path, name: str):
    path.with_name(name).unlink()
    with pytest.raises(DamagedFolder, match="missing"):
        read(path)


@pytest.mark.parametrize("change", ["remove", "repeat", "swap"])
def test_missing_repeated_and_reordered_lines_are_detected(path: Path, change: str):
    lines = path.read_bytes().splitlines(keepends=True)
    changed = {
        "remove": [lines[0], *lines[2:]],
        "repeat": [*lines[:2], *lines[1:]],
        "swap": [lines[0], lines[2], lines[1], lines[3]],
    }[change]
    path.write_bytes(b"".join(changed))
    with pytest.raises(DamagedFolder, match=r"line [23] of"):
        read(path)


def test_journal_continues_after_a_kill_at_any_byte_of_a_line(path: Path):
    head, before = path.with_suffix(".head"), path.read_bytes()
    old_head = head.read_bytes()
    journal = DecisionJournal(path)
    list(journal.replay())
    journal.append({"kind": "last"})
    journal.close()
    after = path.read_bytes()
    for size in range(len(before), len(after) + 1):
        head.write_bytes(old_head)  # it is written after the line
        path.write_bytes(after[:size])
        journal = DecisionJournal(path)
        expected = LINES + [{"kind": "last"}] * (size == len(after))
        assert [content for _, content in journal.replay()] == expected
        journal.append({"kind": "next"})
        journal.close()
        assert read(path) == [*expected, {"kind": "next"}]


def test_head_that_cannot_be_written_does_not_lose_the_line(
    path: Path, caplog: pytest.LogCaptureFixture
):
    head, old = path.with_suffix(".head"), path.with_suffix(".head").read_bytes()
    journal = DecisionJournal(path)
    list(journal.replay())
    head.unlink()
    head.mkdir()
    journal.append({"kind": "next"})
    assert "journal.head: Is a directory; trying again later" in caplog.text
    head.rmdir()
    head.write_bytes(old)
    assert read(path) == [*LINES, {"kind": "next"}]


CONTENT = ["bcid", "ab" * 32, 5]
TRAINED = {"kind": "trained", "round": 1, "content": CONTENT, "scores": [0, 0], "base": None}


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "unknown"},
        {"round": 1},
        {"kind": "trained", "round": 1},
        {**TRAINED, "scores": [2**64, 0]},
        {**TRAINED, "scores": [0]},
        {**TRAINED, "scores": 7},
        {**TRAINED, "round": None},
        {**TRAINED, "content": ["bafkqaaa", "ab" * 32, 5]},
        {**TRAINED, "content": ["b" + "a" * 58, "ab" * 32, 5]},
        {**TRAINED, "content": [None, "ab" * 32, 5]},
        {"kind": "ballot", "round": 1},
        {"kind": "dropped", "round": "1e999"},
    ],
)
def test_unreadable_content_is_reported_as_damage(path: Path, line: dict[str, Any]):
    rewrite_decisions(path, [{"kind": "owner", "owner": "me"}, line])
    with pytest.raises(DamagedFolder, match=r"line 2 of .* is damaged"):
        AgentFolder(path.parent, "me")


def test_any_text_of_a_learner_is_restored(tmp_path: Path):
    content = content_of(b"weights")
    ballot = DecidedBallot(3, b"digest", Vote(1, (Scores(1.5),)), None, "bad \udc80 \u2028 \n é")
    with AgentFolder(tmp_path, "me") as folder:
        folder.record_adopted(content)
        folder.record_ballot(ballot)
    with AgentFolder(tmp_path, "me") as folder:
        assert folder.adopted == (content,)
        restored = folder.ballot(3, b"digest")
    assert restored is not None
    assert restored.reason == "bad ? \u2028 \n é"


def test_lines_are_json(path: Path):
    assert re.fullmatch(
        r'\{"kind": "sent", "reason": "Ωμέγα", "round": 0, "check": "[0-9a-f]{32}"\}',
        path.read_text().splitlines()[0],
    )
