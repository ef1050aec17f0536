"""Each message that the troubleshooting page explains exists in the program."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.support.doc_blocks import DOCS, ROOT

MESSAGES = re.findall(r"^### `(.+)`$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
VALUE = "\0"


def texts_of(tree: ast.AST) -> Iterator[str]:
    """Yield every text of a module, with a mark in place of each value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(p.value) if isinstance(p, ast.Constant) else VALUE for p in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[.\d]*[sdfr]", VALUE, node.value)


@cache
def texts() -> str:
    found = [
        text
        for package in ("colearn_ledger", "colearn_learner", "localnet/colearn_localnet")
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in texts_of(ast.parse(path.read_text()))
    ]
    return "\n".join(text.replace("\n", " ") for text in found)


def pattern(message: str) -> str:
    """Return a regular expression for a message of the page; ``…`` stands for any text."""
    return ".*".join(re.escape(piece) for piece in message.split("…"))


def test_the_page_has_messages():
    assert len(MESSAGES) > 30
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_program_says_that(message: str):
    assert re.search(pattern(message), texts())


def test_a_message_that_nobody_says_is_noticed():
    assert not re.search(pattern("the moon is … from cheese"), texts())
    assert not re.search(pattern("another agent uses …; start it first"), texts())
