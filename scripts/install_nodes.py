"""Find or install the nodes of the local testnet, and what the fault tests need.

Usage: .venv/bin/python scripts/install_nodes.py [anvil] [kubo] [wasmd] [toxiproxy] [ip]

All by default. A right version on PATH is taken; else they are installed, once, into the user's
cache folder (XDG_CACHE_HOME or ~/.cache, colearn/nodes). anvil needs Node 20 with npm; Kubo, wasmd
and Toxiproxy need Go 1.26, wasmd a C compiler, and their builds take some minutes. Toxiproxy and
`ip`, for the fault tests with bad links and hosts of their own, are used by the tests alone; `ip`
is installed from Debian's packages when that can be done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from colearn_localnet.errors import InstallFailed
from colearn_localnet.install import anvil_binary, kubo_binary, toxiproxy_binary, wasmd_binary


def ip_tool(*, say: Callable[[str], None]) -> None:
    """Install iproute2 where it is missing, as root on Debian; elsewhere do nothing."""
    if shutil.which("ip") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    say("installing iproute2")
    for command in (("update",), ("install", "--yes", "--no-install-recommends", "iproute2")):
        done = subprocess.run(
            ["apt-get", "--quiet=2", *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
        if done.returncode != 0:
            say(f"apt-get {command[0]} failed; the fault test with hosts will not run")
            return


NODES: dict[str, Callable[..., object]] = {
    "anvil": anvil_binary,
    "kubo": kubo_binary,
    "wasmd": wasmd_binary,
    "toxiproxy": toxiproxy_binary,
    "ip": ip_tool,
}


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
