"""Helpers that several test files share; import them as `from tests.support.… import …`."""

from importlib import util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
"""Root folder of the checkout."""


def load_script(name: str) -> ModuleType:
    """Import a program of the folder `scripts`, such as "docs/cli_page", and return its module."""
    path = ROOT / "scripts" / f"{name}.py"
    spec = util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
