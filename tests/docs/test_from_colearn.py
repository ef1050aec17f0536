"""The page for users of the `colearn` library has the import table that the tests apply."""

from __future__ import annotations

import importlib.util
import re

from tests.support.doc_blocks import DOCS, ROOT


def load_table() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location(
        "imports_of_the_ancestor", ROOT / "tests" / "ancestor_style" / "imports.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.MODULES)


def test_page_lists_exactly_the_modules_of_the_table():
    text = (DOCS / "from-colearn.md").read_text()
    shown = dict(
        re.findall(r"^\| `(colearn[\w.]*)` \| `(colearn_learner[\w.]*)` \|$", text, re.MULTILINE)
    )
    assert shown == load_table()
