"""Show the status and the logs of a local network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colearn_learner.cli._support.localnet_profiles import PROFILES, profile_options
from colearn_learner.cli._support.output import command_name, print_fields, print_line, print_table

if TYPE_CHECKING:
    from colearn_localnet.records import ChainStatus, NetStatus


def show_status(status: NetStatus) -> None:
    """Print the chains and the table of nodes."""
    fields = [("folder", str(status.folder))]
    for kind, chain in status.chains.items():
        fields += _chain_fields(kind, chain, status)
    print_fields(fields)
    rows = []
    for chain in status.chains.values():
        if not chain.validators:
            rows.append(_row("anvil", chain.pid, chain.block, chain.url, _block(chain.block)))
        for node in chain.validators:
            more = f"{_block(node.block)}, peers: {_text(node.peers)}"
            rows.append(_row(node.name, node.pid, node.peers, node.rpc, more))
    for ipfs in status.ipfs:
        more = f"peers: {_text(ipfs.peers)}"
        rows.append(_row(ipfs.name, ipfs.pid, ipfs.peers, ipfs.api_url or "-", more))
    print_table(["node", "state", "process", "API", ""], rows, empty="")


def show_next_steps(status: NetStatus, *, is_default: bool) -> None:
    """Print commands to continue with.

    Args:
        status: the network that is up.
        is_default: whether it is the default network, which the profiles point at.
    """
    me = command_name()
    steps = [f"{me} localnet fund NAME          # send money to a key on each chain"]
    for kind in status.chains:
        if is_default:
            steps.append(f"{me} deploy --network {PROFILES[kind]} --key NAME")
        else:
            steps.append(f"{me} network add NAME {' '.join(profile_options(kind, status))}")
    for number, step in enumerate(steps):
        print_line(f"{'' if number else 'Next:':<6} {step}")


def document(status: NetStatus) -> dict[str, Any]:
    """Return the status for JSON."""
    return {**asdict(status), "folder": str(status.folder), "healthy": status.healthy}


def show_log(name: str, content: bytes, n_lines: int) -> None:
    """Print the last lines of a node's log."""
    lines = content.decode(errors="replace").splitlines()
    _print_log_lines(name, lines[max(0, len(lines) - n_lines) :])


def show_new_log_lines(name: str, path: Path, offset: int) -> int:
    """Print the complete lines after an offset and return the offset of their end."""
    if not path.exists() or path.stat().st_size < offset:  # the log was truncated
        return 0
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    _print_log_lines(name, whole.decode(errors="replace").splitlines())
    return offset + len(whole) + len(newline)


def _chain_fields(kind: str, chain: ChainStatus, status: NetStatus) -> list[tuple[str, str]]:
    evm, cosmos = status.settings.evm, status.settings.cosmos
    address = f"{chain.url}  (id {chain.chain_id})"
    if kind == "evm" or cosmos is None:
        every = evm.block_time if evm else 0
        blocks = f"one every {every:g} s" if every else "one for each transaction, immediately"
        return [("EVM chain", address), ("  blocks", blocks)]
    return [
        ("Cosmos chain", address),
        ("  gRPC", chain.grpc or "-"),
        ("  REST", chain.rest or "-"),
        ("  wasmd", cosmos.wasmd),
        ("  blocks", f"one every {cosmos.block_time:g} s"),
    ]


def _row(name: str, pid: int | None, answer: int | None, url: str, more: str) -> list[str]:
    return [name, _state(pid, answer), _text(pid), url, "-" if answer is None else more]


def _block(number: int | None) -> str:
    return f"block {_text(number)}"


def _state(pid: int | None, answer: int | None) -> str:
    if answer is not None:
        return "up"
    return "down" if pid is None else "not responding"


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _print_log_lines(name: str, lines: list[str]) -> None:
    for line in lines:
        if line.strip():
            print_line(f"{name:<7} {click.unstyle(line)}")
