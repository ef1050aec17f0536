"""The commands `colearn localnet`: run a chain and IPFS nodes on this machine."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from colearn_learner.cli._support.collect import collect
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
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES

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
        help="The local network's folder; choose another one to run a second network. "
        "[default: ~/.local/share/colearn/localnet]",
    )
    return option(report_errors(wrapped))  # type: ignore[return-value]


@click.group()
def localnet() -> None:
    """Run a chain and a private swarm of IPFS nodes (Kubo) on this machine.

    The chain is an EVM chain (anvil) or a Cosmos chain with CosmWasm (wasmd). The nodes are native
    processes that listen on 127.0.0.1 only and keep running after the command. `down` and `up`
    keep the chain and the content. Missing programs are installed into ~/.cache/colearn the first
    time: anvil with npm in seconds, Kubo and wasmd with Go in some minutes, and Node.js and Go if
    needed.
    """


@dataclass(frozen=True, slots=True)
class _UpOptions:
    """The settings of a local network; None where the user gave none."""

    chain: str | None
    validators: int | None
    wasmd: str | None
    ipfs: int | None
    block_time: float | None


@localnet.command()
@click.option(
    "--chain",
    type=click.Choice(["evm", "cosmos"]),
    help="The kind of chain. A chain of the other kind is kept. [default: evm]",
)
@click.option(
    "--validators",
    type=click.IntRange(1, 10),
    help="The number of nodes that run a Cosmos chain; with 4, the chain survives the failure of "
    "one. [default: 1]",
)
@click.option(
    "--wasmd",
    type=click.Choice(list(RELEASES)),
    help="The release of wasmd that runs a Cosmos chain; a chain keeps its release. "
    f"[default: {DEFAULT_RELEASE}]",
)
@click.option("--ipfs", type=click.IntRange(0, 20), help="The number of IPFS nodes. [default: 3]")
@click.option(
    "--block-time",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="The time between blocks; with 0, an EVM chain mines each transaction immediately. "
    "[default: 0; cosmos: 0.5]",
)
@json_option
@collect(_UpOptions, "options")
@_command
def up(net: Localnet, *, options: _UpOptions, as_json: bool) -> None:
    """Start the nodes that are not running, and wait until all of them respond.

    Run it again to restart nodes that have failed. Settings that you leave out do not change.
    """
    given = {name: value for name, value in asdict(options).items() if value is not None}
    at_once = given.get("block_time") == 0
    if at_once:
        given["block_time"] = None
    settings = net.settings_with(**given)
    if at_once and settings.chain == "cosmos":
        raise click.UsageError(
            "a Cosmos chain makes blocks at intervals; use --block-time 0.1 or more"
        )
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
    print_line(f"Next:  {me} localnet fund ADDRESS      # send {_MONEY[kind][0]} to an account")
    if net.folder == default_folder().absolute():
        print_line(f"       {me} deploy --network {_PROFILES[kind]} --key NAME")
    else:
        print_line(f"       {me} network add NAME {' '.join(_profile_options(status))}")


@localnet.command()
@json_option
@_command
def status(net: Localnet, *, as_json: bool) -> None:
    """Show the nodes and their addresses. The exit code is 0 only if all of them respond."""
    found = net.status()
    if as_json:
        print_json(_as_json(found))
    else:
        _show(found)
    if not found.healthy:
        if not as_json:
            note("Some nodes do not respond; start or restart them:  colearn localnet up")
        raise click.exceptions.Exit(1)


@localnet.command()
@click.option("--node", help="Show only the log of this node: anvil, wasmd-1, ipfs-1, …")
@click.option(
    "--lines",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="The number of lines to show from the end of each log.",
)
@click.option("--follow", "-f", is_flag=True, help="Keep showing new lines until Ctrl-C.")
@_command
def logs(net: Localnet, *, node: str | None, lines: int, follow: bool) -> None:
    """Show the last lines of the nodes' logs."""
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
@click.option(
    "--amount", metavar="N", help="The amount. [default: 10 ether; cosmos: 10000000 stake]"
)
@json_option
@_command
def fund(net: Localnet, *, address: str, amount: str | None, as_json: bool) -> None:
    """Send ether (cosmos: stake) to ADDRESS on the local chain. It has no value elsewhere."""
    settings = net.status().settings
    money, enough = _MONEY[settings.chain]
    try:
        wanted = Decimal(amount or enough)
    except InvalidOperation as error:
        raise click.UsageError(
            f"{amount!r} is not an amount of {money}; use a number, such as {enough}"
        ) from error
    with _progress() as report:
        if settings.block_time:
            report(f"sending {wanted:f} {money} to {address}; waiting for the next block")
        balance = net.fund(address, wanted)
    if as_json:
        print_json({"address": address, "balance": format(balance, "f")})
    else:
        print_line(f"{address} now has {format(balance.normalize(), 'f')} {money}")


@localnet.command()
@click.option("--wipe", is_flag=True, help="Also delete the chain and the content.")
@json_option
@_command
def down(net: Localnet, *, wipe: bool, as_json: bool) -> None:
    """Stop all nodes. The chain and the content are kept for the next `up`, unless wiped."""
    with _progress() as report:
        net.down(wipe=wipe, report=report)
    if wipe and net.folder == default_folder().absolute():
        _forget_contracts()
    if as_json:
        print_json({"folder": str(net.folder), "wiped": wipe})
    elif wipe:
        print_line("Stopped all nodes; deleted the chain and the content.")
    else:
        kept = net.settings() is not None
        print_line(
            "Stopped all nodes; kept the chain and the content."
            if kept
            else f"There is no local network in {net.folder}; there was nothing to stop."
        )


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
    if status.settings.wasmd is not None:
        fields.append(("wasmd", status.settings.wasmd))
    if chain.grpc and chain.rest:
        fields += [("gRPC", chain.grpc), ("REST", chain.rest)]
    blocks = f"one every {every:g} s" if every else "one for each transaction, immediately"
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
    return "down" if pid is None else "not responding"


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
    if not path.exists() or path.stat().st_size < offset:  # the log was truncated
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
