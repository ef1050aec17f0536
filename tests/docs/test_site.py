"""The site builds without warnings, loads nothing external, and covers the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.doc_blocks import DOCS, ROOT, list_pages


class Page(HTMLParser):
    """Links, loaded resources and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("script", "img", "iframe") and given.get("src"):
            self.loaded.append(str(given["src"]))
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon", "preconnect"):
            self.loaded.append(str(given.get("href")))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "scripts" / "build_docs.py"), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "WARNING" not in run.stderr
    return folder


@pytest.fixture(scope="module")
def site_pages(site: Path) -> dict[str, Page]:
    return {str(p.relative_to(site)): Page(p) for p in site.rglob("*.html") if p.name != "404.html"}


def test_site_has_every_page(site_pages: dict[str, Page]):
    written = {str(p.relative_to(DOCS).with_suffix(".html")) for p in list_pages()}
    generated = {f"reference/{name}.html" for name in ("cli", "evm", "cosmwasm")}
    assert set(site_pages) == written | generated


def test_site_loads_nothing_from_other_hosts(site: Path, site_pages: dict[str, Page]):
    assert not [x for p in site_pages.values() for x in p.loaded if re.match(r"(https?:)?//", x)]
    sheets = "".join(p.read_text() for p in site.rglob("*.css"))
    assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheets)


def test_every_link_has_a_target(site: Path, site_pages: dict[str, Page]):
    dead = []
    for name, page in site_pages.items():
        for link in page.links + page.loaded:
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:|//", target):
                continue
            path = (site / name).parent / target if target else site / name
            path = path / "index.html" if path.is_dir() else path
            found = site_pages.get(str(path.resolve().relative_to(site.resolve())))
            if not path.exists() or (anchor and found and anchor not in found.ids):
                dead.append(f"{name}: {link}")
    assert not dead


def test_evm_reference_covers_the_whole_contract(site_pages: dict[str, Page]):
    artifact = ROOT / "colearn_ledger" / "chains" / "evm" / "CollectiveLearning.json"
    entries = json.loads(artifact.read_text())["abi"]
    wanted = {e["name"] for e in entries if e["type"] in ("function", "event", "error")}
    page = site_pages["reference/evm.html"]
    assert not [name for name in wanted if not re.search(rf"\b{name}\b", page.text)]
    assert "ballots: The ballots one after another, big-endian" in page.text


def test_cosmwasm_reference_covers_the_whole_contract(site_pages: dict[str, Page]):
    path = ROOT / "contracts" / "cosmwasm" / "schema" / "collective-learning.json"
    schema = json.loads(path.read_text())
    variants = schema["execute"]["oneOf"] + schema["query"]["oneOf"]
    wanted = {next(iter(variant["properties"])) for variant in variants}
    assert len(wanted) > 20
    assert not wanted - site_pages["reference/cosmwasm.html"].ids


def test_python_reference_has_every_exported_name(site_pages: dict[str, Page]):
    import colearn_learner

    ids = site_pages["reference/learner.html"].ids
    names = {i.rsplit(".", 1)[-1] for i in ids if i.startswith("colearn_learner.")}
    own = {"convert_model_to_onnx", "deser_model"}  # described with `mli_get_current_model`
    assert not set(colearn_learner.__all__) - names - own


def test_pictures_are_svg_with_a_title(site: Path):
    pictures = sorted((site / "images").glob("*.svg"))
    assert len(pictures) == 3
    for picture in pictures:
        root = ET.fromstring(picture.read_text())
        assert root.findtext("{http://www.w3.org/2000/svg}title")


def test_pictures_are_those_that_the_script_draws():
    command = [sys.executable, str(ROOT / "scripts" / "docs" / "pictures.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_links_to_sources_lead_to_references(site_pages: dict[str, Page]):
    links = set(site_pages["index.html"].links)
    assert {"reference/evm.html", "reference/cosmwasm.html"} <= links
    assert not [link for link in links if link.startswith("..")]


def test_broken_link_fails_the_build(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[nowhere](nowhere.md)\n")
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: x\nplugins: []\ntheme: {name: null, custom_dir: .}\n"
    )
    (tmp_path / "main.html").write_text("{{ page.content }}")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=tmp_path, capture_output=True
    )
    assert run.returncode != 0


def test_installation_page_lists_only_existing_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    text = (DOCS / "installation.md").read_text()
    named = re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE)
    assert len(named) > 10
    assert not set(named) - set(extras)
