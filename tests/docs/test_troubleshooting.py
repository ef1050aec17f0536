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


def find_texts(tree: ast.AST) -> Iterator[str]:
    """Yield every text of a module, with a mark in place of each value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(p.value) if isinstance(p, ast.Constant) else VALUE for p in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[.\d]*[sdfr]", VALUE, node.value)


@cache
def join_texts() -> str:
    found = [
        text
        for package in ("colearn_ledger", "colearn_learner", "localnet/colearn_localnet")
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in find_texts(ast.parse(path.read_text()))
    ]
    return "\n".join(text.replace("\n", " ") for text in found)


def make_pattern(message: str) -> str:
    """Return a regular expression for a message of the page; ``…`` stands for any text."""
    return ".*".join(re.escape(piece) for piece in message.split("…"))


def test_page_has_messages_without_duplicates():
    assert len(MESSAGES) > 30
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_message_exists_in_the_program(message: str):
    assert re.search(make_pattern(message), join_texts())


def test_unknown_message_is_not_found():
    assert not re.search(make_pattern("the moon is … from cheese"), join_texts())
    assert not re.search(make_pattern("another agent uses …; start it first"), join_texts())
