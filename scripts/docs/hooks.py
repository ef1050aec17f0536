"""Add the references that are generated from the code to the site."""

from __future__ import annotations

import cli_page
import contract_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {
    "reference/cli.md": cli_page.page,
    "reference/evm.md": contract_pages.evm_page,
    "reference/cosmwasm.md": contract_pages.cosmwasm_page,
}
"""The function that makes each generated page, by the page's path in the site."""

LINKS = {
    "../contracts/evm/src/ICollectiveLearning.sol": "reference/evm.md",
    "../contracts/cosmwasm/MESSAGES.md": "reference/cosmwasm.md",
}
"""Links of the pages in docs/ that lead to files outside of it, and where they lead in the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages; mkdocs calls this."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page with the links that work in the site; mkdocs calls this."""
    for target, in_site in LINKS.items():
        markdown = markdown.replace(f"]({target})", f"]({in_site})")
    return markdown
