"""Find or install the nodes of the local testnet: anvil and Kubo.

Usage: .venv/bin/python scripts/install_nodes.py [anvil] [kubo]        (both by default)

A right version on PATH is taken; else they are installed, once, into the user's cache folder
(XDG_CACHE_HOME or ~/.cache, colearn/nodes). anvil needs Node 20 with npm, Kubo needs Go 1.26.
Kubo's build takes some minutes.
"""

from __future__ import annotations

import sys

from localnet.errors import InstallFailed
from localnet.installing import anvil_binary, kubo_binary

NODES = {"anvil": anvil_binary, "kubo": kubo_binary}


def main(names: list[str]) -> int:
    """Install the nodes named and return the exit status."""
    status = 0
    for name in names or NODES:
        try:
            NODES[name](say=lambda line: print(f"nodes: {line}", flush=True))
        except InstallFailed as error:
            print(f"nodes: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    if not set(sys.argv[1:]) <= NODES.keys():
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1:]))
