"""Find or install the nodes of the local network, and Toxiproxy for the fault tests.

Usage: .venv/bin/python scripts/install_nodes.py [anvil] [kubo] [wasmd] [toxiproxy]
       [wasmd-0.27] [wasmd-0.61] [wasmd-0.70]

The default is the first four; wasmd is its newest release. A version on PATH is used if it is
recent enough. Otherwise the pinned version is installed once, into the user's cache folder
(XDG_CACHE_HOME or ~/.cache, colearn/nodes). Node.js and Go, if needed, come from PATH, from the
cache or from PyPI. wasmd needs a C compiler, which is installed from Debian's packages if this runs
as root. Building Kubo and wasmd takes some minutes. Only the fault tests use Toxiproxy.
"""

from __future__ import annotations

import sys

from tools import ToolMissing, provide

from colearn_localnet.errors import InstallFailed
from colearn_localnet.install import ANVIL, KUBO, TOXIPROXY, find_binary, find_installed
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES

WASMD = RELEASES[DEFAULT_RELEASE].recipe
DEFAULTS = {recipe.name: recipe for recipe in (ANVIL, KUBO, WASMD, TOXIPROXY)}
NODES = DEFAULTS | {f"wasmd-{name}": release.recipe for name, release in RELEASES.items()}


def main(names: list[str]) -> int:
    """Install the named nodes and return the exit status."""
    status = 0
    for name in names or DEFAULTS:
        recipe = NODES[name]
        try:
            if recipe.packages and find_installed(recipe) is None:
                provide(["c"])
            find_binary(recipe, report=lambda line: print(f"nodes: {line}", flush=True))
        except (InstallFailed, ToolMissing) as error:
            print(f"nodes: {name}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    if not set(sys.argv[1:]) <= NODES.keys():
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1:]))
