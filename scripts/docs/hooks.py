"""Add the generated files to the site: references from the code, and pictures."""

from __future__ import annotations

import cli_page
import contract_pages
import pictures
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "reference/cli.md": cli_page.page,
    "reference/evm.md": contract_pages.evm_page,
    "reference/cosmwasm.md": contract_pages.cosmwasm_page,
    "images/round.svg": pictures.life_of_a_round,
    "images/who-knows-what.svg": pictures.who_knows_what,
    "images/processes.svg": pictures.processes,
}
"""The function that makes each generated file, by the file's path in the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated files; mkdocs calls this."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files
