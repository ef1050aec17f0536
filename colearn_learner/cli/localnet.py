"""The commands `colearn localnet`: run a chain and IPFS nodes on this machine."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import (
    command_name,
    note,
    open_console,
    print_fields,
    print_json,
    print_line,
    print_table,
)
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import CosmosNetwork, Network
from colearn_localnet.errors import AddressRefused, LocalnetError, SettingsRefused
from colearn_localnet.net import Localnet, default_folder
from colearn_localnet.records import NetStatus

_PROFILES = {"evm": "local-evm", "cosmos": "local-cosmos"}
"""The network profile of the default local network, by kind of chain; `up` keeps it current."""

_MONEY = {"evm": ("ether", "10"), "cosmos": ("stake", "10000000")}
"""Unit and default amount of `fund`, by kind of chain: enough for thousands of ballots."""

_FOLLOW_PAUSE = 0.2

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _command(function: _Command) -> _Command:
    """Add ``--folder`` and one-line errors; the command gets a `Localnet`."""

    @functools.wraps(function)
    def wrapped(*args: Any, folder: Path | None, **kwargs: Any) -> Any:
        try:
            return function(Localnet(folder), *args, **kwargs)
        except (AddressRefused, SettingsRefused) as error:
            raise click.UsageError(str(error)) from error
        except LocalnetError as error:
            raise click.ClickException(str(error)) from error

    option = click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="The network's folder, for a second one. [default: ~/.local/share/colearn/localnet]",
    )
    return option(report_errors(wrapped))  # type: ignore[return-value]


@click.group()
def localnet() -> None:
    """A testnet on this machine: a chain and a private swarm of IPFS nodes (Kubo).

    The chain is an EVM chain (anvil) or a Cosmos chain with CosmWasm (wasmd). The nodes are native
    processes that listen on 127.0.0.1 only and keep running after the command. The chain and the
    content survive down and up. Missing nodes are installed, once, into ~/.cache/colearn: anvil
    by npm in seconds, Kubo and wasmd by Go in some minutes. Node.js and Go are installed, too.
    """


@localnet.command()
@click.option(
    "--chain",
    type=click.Choice(["evm", "cosmos"]),
    help="Which kind of chain. The other kind's chain is kept. [default: evm]",
)
@click.option(
    "--validators",
    type=click.IntRange(1, 10),
    help="How many nodes run a Cosmos chain; with 4, one may die. [default: 1]",
)
@click.option("--ipfs", type=click.IntRange(0, 20), help="How many IPFS nodes. [default: 3]")
@click.option(
    "--block-time",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="Time between blocks; 0, on an EVM chain, mines a transaction at once. "
    "[default: 0; cosmos: 0.5]",
)
@json_option
@_command
def up(net: Localnet, *, as_json: bool, **wanted: Any) -> None:
    """Start what does not run yet, and wait until everything answers.

    Run again, it mends what has died. Without options it keeps the settings of the last time.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    at_once = given.get("block_time") == 0
    if at_once:
        given["block_time"] = None
    settings = net.settings_with(**given)
    if at_once and settings.chain == "cosmos":
        raise click.UsageError("a Cosmos chain makes blocks by the clock: --block-time 0.1 or more")
    with _progress() as report:
        status = net.up(settings, report=report)
    if net.folder == default_folder().absolute():
        _save_profile(status)
    if as_json:
        print_json(_as_json(status))
        return
    _show(status)
    kind = status.settings.chain
    me = command_name()
    print_line()
    print_line(f"Next:  {me} localnet fund ADDRESS      # {_MONEY[kind][0]} for a key")
    if net.folder == default_folder().absolute():
        print_line(f"       {me} deploy --network {_PROFILES[kind]} --key NAME")
    else:
        print_line(f"       {me} network add NAME {' '.join(_profile_options(status))}")


@localnet.command()
@json_option
@_command
def status(net: Localnet, *, as_json: bool) -> None:
    """Show what runs and where it listens. The exit code is 0 only when everything answers."""
    found = net.status()
    if as_json:
        print_json(_as_json(found))
    else:
        _show(found)
    if not found.healthy:
        if not as_json:
            note("Not everything answers; start or mend it:  colearn localnet up")
        raise click.exceptions.Exit(1)


@localnet.command()
@click.option("--node", help="Only of this node: anvil, wasmd-1, ipfs-1, ...")
@click.option(
    "--lines", type=click.IntRange(0), default=20, show_default=True, help="How many lines of each."
)
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@_command
def logs(net: Localnet, *, node: str | None, lines: int, follow: bool) -> None:
    """Show the ends of the nodes' logs."""
    net.status()
    files = {path.stem: path for path in net.logs()}
    if node is not None:
        from colearn_learner.names import find_name

        files = {node: files[find_name("node", node, files)]}
    ends = {}
    for name, path in files.items():
        content = path.read_bytes()
        ends[name] = len(content)
        shown = content.decode(errors="replace").splitlines()
        _echo_lines(name, shown[len(shown) - lines :] if lines < len(shown) else shown)
    while follow:
        for name, path in files.items():
            ends[name] = _echo_new(name, path, ends[name])
        time.sleep(_FOLLOW_PAUSE)


@localnet.command()
@click.argument("address")
@click.option("--amount", metavar="N", help="How much. [default: 10 ether; cosmos: 10000000 stake]")
@json_option
@_command
def fund(net: Localnet, *, address: str, amount: str | None, as_json: bool) -> None:
    """Send ether (cosmos: stake) of the local chain to ADDRESS. It is worth nothing elsewhere."""
    settings = net.status().settings
    money, enough = _MONEY[settings.chain]
    try:
        wanted = Decimal(amount or enough)
    except InvalidOperation as error:
        raise click.UsageError(f"{amount!r} is no amount of {money}; {enough} is one") from error
    with _progress() as report:
        if settings.block_time:
            report(f"waiting for a block with {wanted:f} {money} for {address}")
        balance = net.fund(address, wanted)
    if as_json:
        print_json({"address": address, "balance": format(balance, "f")})
    else:
        print_line(f"{address} has {format(balance.normalize(), 'f')} {money} now")


@localnet.command()
@click.option("--wipe", is_flag=True, help="Delete the chain and the content, too.")
@json_option
@_command
def down(net: Localnet, *, wipe: bool, as_json: bool) -> None:
    """Stop everything. Chain and content stay for the next time, unless wiped."""
    with _progress() as report:
        net.down(wipe=wipe, report=report)
    if wipe and net.folder == default_folder().absolute():
        _forget_contracts()
    if as_json:
        print_json({"folder": str(net.folder), "wiped": wipe})
    elif wipe:
        print_line("Down and wiped.")
    else:
        kept = net.settings() is not None
        print_line("Down; chain and content are kept." if kept else "There is none; all is down.")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show progress: a spinner with the latest line on a terminal, plain lines elsewhere."""
    from rich.text import Text

    console = open_console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield note
        return
    with console.status("…") as spinner:

        def report(line: str) -> None:
            console.print(Text(line, "dim"), soft_wrap=True)
            spinner.update(Text(line))

        yield report


def _show(status: NetStatus) -> None:
    chain = status.chain
    every = status.settings.block_time
    fields = [("folder", str(status.folder)), ("chain", f"{chain.url}  (id {chain.chain_id})")]
    if chain.grpc and chain.rest:
        fields += [("gRPC", chain.grpc), ("REST", chain.rest)]
    blocks = f"one every {every:g} s" if every else "one for each transaction, at once"
    print_fields([*fields, ("blocks", blocks)])
    rows = []
    if status.settings.chain == "evm":
        rows.append(_row("anvil", chain.pid, chain.block, chain.url, _block(chain.block)))
    for node in status.validators:
        more = f"{_block(node.block)}, peers: {_text(node.peers)}"
        rows.append(_row(node.name, node.pid, node.peers, node.rpc, more))
    for ipfs in status.ipfs:
        more = f"peers: {_text(ipfs.peers)}"
        rows.append(_row(ipfs.name, ipfs.pid, ipfs.peers, ipfs.api_url or "-", more))
    print_table(["node", "state", "process", "API", ""], rows, empty="")


def _row(name: str, pid: int | None, answer: int | None, url: str, more: str) -> list[str]:
    return [name, _state(pid, answer), _text(pid), url, "-" if answer is None else more]


def _block(number: int | None) -> str:
    return f"block {_text(number)}"


def _state(pid: int | None, answer: int | None) -> str:
    if answer is not None:
        return "up"
    return "down" if pid is None else "does not answer"


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _as_json(status: NetStatus) -> dict[str, Any]:
    return {**asdict(status), "folder": str(status.folder), "healthy": status.healthy}


def _echo_lines(name: str, lines: list[str]) -> None:
    for line in lines:
        if line.strip():
            print_line(f"{name:<7} {click.unstyle(line)}")


def _echo_new(name: str, path: Path, offset: int) -> int:
    """Print the complete lines after an offset and return the offset of their end."""
    if not path.exists() or path.stat().st_size < offset:  # the log was started anew
        return 0
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    _echo_lines(name, whole.decode(errors="replace").splitlines())
    return offset + len(whole) + len(newline)


def _profile_options(status: NetStatus) -> list[str]:
    """Return the options with which `colearn network add` saves a profile of this network."""
    chain, known = status.chain, _find_profile(status.settings.chain)
    options = ["--chain-id", str(chain.chain_id), "--rpc", chain.url]
    if isinstance(known, CosmosNetwork) and chain.grpc is not None:
        access = known.access
        options += ["--kind", "cosmos", "--grpc", chain.grpc, "--prefix", access.prefix]
        options += ["--denomination", access.denomination, "--gas-price", f"{access.gas_price:g}"]
    return options


def _save_profile(status: NetStatus) -> None:
    """Update the network's profile, because its ports can change with each start."""
    chain, known = status.chain, _find_profile(status.settings.chain)
    store = status.ipfs[0].api_url if status.ipfs else None
    wanted = replace(known, rpc=chain.url, chain_id=chain.chain_id, store=store)
    if isinstance(wanted, CosmosNetwork) and chain.grpc is not None:
        wanted = replace(wanted, access=replace(wanted.access, grpc=chain.grpc))
    if wanted != known:
        Networks().save(wanted)


def _forget_contracts() -> None:
    """Remove the contracts from the profiles after their chains were deleted."""
    for kind in _PROFILES:
        known = _find_profile(kind)
        if known.contracts:
            Networks().save(replace(known, contracts=()))


def _find_profile(kind: str) -> Network:
    return Networks().get(_PROFILES[kind])
