"""Blocks of a page that run on several machines, each a network namespace with its own folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.doc_blocks import NOT_RUN, SHOWN, Block, Runner
from tests.support.faults.hosts import Hosts

EACH = "each machine"
"""Title of blocks that run on all machines with records at the same time."""


class Machines:
    """The machines of a page.

    They share nothing but a network and the folder ``exchange``. Processes that a block starts in
    the background run until `stop`, as in a terminal that stays open. Addresses of the page are
    replaced by those of the hosts.

    Args:
        folder: folder of everything.
        hosts: hosts with the names of ``addresses``.
        addresses: the address of each machine on the page.
        owners: the machines that have records.
        tools: folders of commands, first on PATH.
    """

    def __init__(
        self,
        folder: Path,
        hosts: Hosts,
        addresses: dict[str, str],
        *,
        owners: Sequence[str],
        tools: Sequence[Path],
    ) -> None:
        self._hosts, self._addresses, self._owners = hosts, addresses, owners
        (folder / "exchange").mkdir()
        self.runners = {name: self._make_runner(folder / name, tools) for name in addresses}

    def _make_runner(self, folder: Path, tools: Sequence[Path]) -> Runner:
        folder.mkdir()
        (folder / "exchange").symlink_to(folder.parent / "exchange")
        return Runner(folder, tools=tools, keeps_processes=True)

    def run(self, block: Block) -> None:
        """Run a block on its machine, or write its file on all machines with records."""
        if block.machine == EACH:
            with ThreadPoolExecutor(len(self._owners)) as threads:
                list(threads.map(lambda name: self._run_on(name, block), self._owners))
        elif block.machine:
            self._run_on(block.machine, block)
        elif block.title and block.title != NOT_RUN:
            for name in self._owners:
                self.runners[name].run(block)
        else:
            assert block.language in SHOWN or block.title == NOT_RUN, f"no machine: {block}"

    def stop(self) -> None:
        """End all processes on all machines."""
        for runner in self.runners.values():
            runner.stop_processes()

    def _run_on(self, name: str, block: Block) -> None:
        addresses = {shown: self._hosts.address(host) for host, shown in self._addresses.items()}
        pattern = "|".join(map(re.escape, addresses))
        script = re.sub(rf"\b({pattern})\b", lambda match: addresses[match[1]], block.body)
        with self._hosts.inside(name):
            self.runners[name].run_script(script, f"{block.page}:{block.line} on {name}")
