"""Build the documentation's site with warnings as errors, for `make docs`.

Usage: .venv/bin/python scripts/build_docs.py [FOLDER]

The site is written to FOLDER, by default build/docs. The errors include broken links, pages missing
from the menu and names that the API reference does not find. The hook in scripts/docs, set in
mkdocs.yml, generates the references of commands and contracts, which are not in the repository.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUIET = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
"""Variables that silence the theme's advertisement, which would count as a warning."""


def build(folder: Path) -> int:
    """Build the site in a folder and return the exit status."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
    command += ["--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", str(folder.absolute())]
    return subprocess.run(command, cwd=ROOT, env=os.environ | QUIET, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        sys.exit(2)
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) == 2 else ROOT / "build" / "docs")))
