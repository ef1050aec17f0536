"""The option ``--monitor`` of commands that run for a long time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from colearn_learner.cli._support.collect import Command
from colearn_learner.cli._support.errors import need
from colearn_learner.cli.logs import log_event

if TYPE_CHECKING:
    from colearn_learner.agent.monitoring import Monitored

_log = logging.getLogger(__name__)

_HIGHEST_PORT = 65_535

M = TypeVar("M", bound="Monitored")


def monitor_option(command: Command) -> Command:
    """Add ``--monitor``; the command gets ``monitor``."""
    return click.option(
        "--monitor",
        metavar="[HOST:]PORT",
        help="Serve /health and, for Prometheus, /metrics at this address. "
        "[default HOST: 127.0.0.1]",
        callback=lambda _context, _option, where: where and _check(where),
    )(command)


@contextmanager
def monitored(where: str | None, make: Callable[[], M]) -> Iterator[M | None]:
    """Serve health and metrics until the end of the block, if requested; yield the monitor.

    Args:
        where: ``[HOST:]PORT``, as checked by `monitor_option`; None serves nothing.
        make: makes the monitor.

    Raises:
        AddressNotUsable: the port is in use.
    """
    if where is None:
        yield None
        return
    from colearn_learner.agent.monitoring import monitoring

    host, _, port = where.rpartition(":")
    monitor = make()
    with monitoring(monitor, host or "127.0.0.1", int(port)) as url:
        log_event(_log, "monitoring", url=url)
        yield monitor


def _check(where: str) -> str:
    """Check an address before anything starts, and that the packages to serve it are installed."""
    port = where.rpartition(":")[2]
    if not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise click.UsageError(
            f"--monitor {where!r} is not of the form PORT or HOST:PORT, such as 9650, with a port "
            f"up to {_HIGHEST_PORT}"
        )
    need("prometheus_client", "uvicorn", "starlette")
    return where
