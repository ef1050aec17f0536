"""Links and pictures of Markdown files work when they are read in the repository."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support import ROOT
from tests.support.house_rules import text_files

PAGES = [path for path in text_files() if path.suffix == ".md"]

_CODE = re.compile(r"^ *(```|~~~).*?^ *\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_TARGETS = (
    re.compile(r"\]\(\s*<?([^)\s>]+)"),
    re.compile(r"^\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE),
    re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=[\"']([^\"']+)"),
)
_EXTERNAL = re.compile(r"[a-z][a-z+.-]*:|//", re.IGNORECASE)


def find_broken_links(page: Path) -> list[str]:
    """Return the targets of relative links and pictures that do not exist."""
    return [target for target in _find_targets(page) if not _target_exists(page, target)]


def _find_targets(page: Path) -> Iterator[str]:
    text = _CODE.sub("", page.read_text())
    for pattern in _TARGETS:
        yield from (target for target in pattern.findall(text) if not _EXTERNAL.match(target))


def _target_exists(page: Path, target: str) -> bool:
    name, _, anchor = unquote(target).partition("#")
    path = page.parent / name if name else page
    if target.startswith("/") or not path.exists():
        return False
    return not anchor or (path.suffix == ".md" and anchor in find_anchors(path))


@cache
def find_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them, and those in HTML."""
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    seen: Counter[str] = Counter()
    anchors = set(re.findall(r"\bid=[\"']([^\"']+)", text))
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # a link's text
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page: Path):
    assert find_broken_links(page) == []


each_markup = pytest.mark.parametrize(
    "markup", ["[text]({})", "![text]({})", "[![text](page.md)]({})", "[1]: {}", '<img src="{}">']
)


def write_pages(folder: Path, markup: str, target: str) -> Path:
    """Write two pages and return the one that contains a link."""
    (folder / "other.md").write_text("## `b_c`: it's D\n# [x](y)\n## x\n```\n# gone\n```\n")
    page = folder / "page.md"
    page.write_text(f"# A heading\n{markup.format(target)}\n`[code](gone.md)`\n")
    return page


@each_markup
@pytest.mark.parametrize("target", ["gone.md", "gone.png", "#gone", "other.md#gone", "/other.md"])
def test_broken_link_is_found(tmp_path: Path, markup: str, target: str):
    page = write_pages(tmp_path, markup, target)
    assert find_broken_links(page) == [target]


@each_markup
@pytest.mark.parametrize(
    "target", ["https://a.org/b", "other.md", "#a-heading", "other.md#b_c-its-d", "other.md#x-1"]
)
def test_link_with_a_target_is_not_reported(tmp_path: Path, markup: str, target: str):
    page = write_pages(tmp_path, markup, target)
    assert find_broken_links(page) == []
