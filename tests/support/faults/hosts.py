"""Network namespaces that act as hosts, connected by veth pairs and a bridge; needs root."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def can_create_hosts() -> bool:
    return os.geteuid() == 0 and shutil.which("ip") is not None


class Hosts:
    """Several hosts in their own network, which a context manager removes on exit.

    The test itself is connected to the bridge and reaches all hosts.

    Args:
        names: names of the hosts.
    """

    def __init__(self, *names: str) -> None:
        self._mark = secrets.token_hex(3)
        self._subnet = f"198.{18 + secrets.randbelow(2)}.{secrets.randbelow(256)}"
        self._numbers = {name: number for number, name in enumerate(names, start=2)}

    def address(self, name: str) -> str:
        return f"{self._subnet}.{self._numbers[name]}"

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Move this thread, and the processes that it starts, to a host."""
        with (
            Path("/proc/thread-self/ns/net").open("rb") as here,
            Path("/run/netns", self._namespace(name)).open("rb") as there,
        ):
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def cut(self, name: str) -> None:
        """Take a host's link down."""
        _ip("link", "set", self._outer(name), "down")

    def heal(self, name: str) -> None:
        """Take a host's link up again."""
        _ip("link", "set", self._outer(name), "up")

    def __enter__(self) -> Self:
        try:
            self._create()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _create(self) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self._subnet}.1/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for name in self._numbers:
            space, inner, outer = self._namespace(name), self._inner(name), self._outer(name)
            _ip("netns", "add", space)
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            _ip("link", "set", outer, "master", self._bridge)
            _ip("link", "set", inner, "netns", space)
            _ip("-n", space, "addr", "add", f"{self.address(name)}/24", "dev", inner)
            for device in ("lo", inner):
                _ip("-n", space, "link", "set", device, "up")
            _ip("link", "set", outer, "up")

    def _remove(self) -> None:
        for name in self._numbers:
            _ip("link", "del", self._outer(name), must=False)
            _ip("netns", "del", self._namespace(name), must=False)
        _ip("link", "del", self._bridge, must=False)

    @property
    def _bridge(self) -> str:
        return f"clb{self._mark}"

    def _inner(self, name: str) -> str:
        return f"cli{self._mark}{self._numbers[name]}"

    def _outer(self, name: str) -> str:
        return f"clo{self._mark}{self._numbers[name]}"

    def _namespace(self, name: str) -> str:
        return f"colearn-{self._mark}-{name}"


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str, must: bool = True) -> None:
    command: Sequence[str] = ("ip", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not must, f"{' '.join(command)}: {done.stderr.strip()}"
