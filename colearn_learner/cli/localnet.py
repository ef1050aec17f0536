"""`colearn localnet`: a chain and IPFS nodes on this machine."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from colearn_learner.cli.failing import failing_clearly
from colearn_learner.cli.showing import note, print_fields, print_json, print_table
from localnet.errors import AddressRefused, LocalnetError
from localnet.net import Localnet, NetStatus, Settings, default_folder

if TYPE_CHECKING:
    from colearn_ledger.networks import Network

__all__ = ["localnet"]

_NETWORK = "local-evm"
"""The network profile that `up` keeps pointed at the default local network."""

_FOLLOW_PAUSE = 0.2

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _command(function: _Command) -> _Command:
    """Add what all have in common: the folder, and errors in one line."""

    @functools.wraps(function)
    def wrapped(*args: Any, folder: Path | None, **kwargs: Any) -> Any:
        try:
            return function(Localnet(folder), *args, **kwargs)
        except AddressRefused as error:
            raise click.UsageError(str(error)) from error
        except LocalnetError as error:
            raise click.ClickException(str(error)) from error

    option = click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="The network's folder, for a second one. [default: ~/.local/share/colearn/localnet]",
    )
    return option(failing_clearly(wrapped))  # type: ignore[return-value]


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def localnet() -> None:
    """A testnet on this machine: an EVM chain (anvil) and a private swarm of IPFS nodes (Kubo).

    They are native processes that listen on 127.0.0.1 only and go on after the command. The chain
    and the content survive down and up. Missing nodes are installed, once, into ~/.cache/colearn:
    anvil by npm in seconds, Kubo by Go in some minutes.
    """


@localnet.command()
@click.option(
    "--chain",
    type=click.Choice(["evm"]),
    help="Which kind of chain. [default: evm]",
)
@click.option("--ipfs", type=click.IntRange(0, 20), help="How many IPFS nodes. [default: 3]")
@click.option(
    "--block-time",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="Time between blocks; 0 mines a transaction at once. [default: 0]",
)
@_json
@_command
def up(net: Localnet, *, as_json: bool, **wanted: Any) -> None:
    """Start what does not run yet, and wait until everything answers.

    Run again, it mends what has died. Without options it keeps the settings of the last time.
    """
    known = net.settings() or Settings()
    given = {name: value for name, value in wanted.items() if value is not None}
    if "block_time" in given:
        given["block_time"] = given["block_time"] or None
    settings = replace(known, **given)
    with _progress() as say:
        status = net.up(settings, say=say)
    if net.folder == default_folder().absolute():
        _point_profile_at(status)
    if as_json:
        print_json(_as_json(status))
        return
    _show(status)
    click.echo("\nNext:  colearn localnet fund ADDRESS      ether for a key")
    if net.folder == default_folder().absolute():
        click.echo(f"       colearn deploy --network {_NETWORK} --key NAME")
    else:
        click.echo(
            f"       colearn network add NAME --chain-id {status.chain.chain_id}"
            f" --rpc {status.chain.url}"
        )


@localnet.command()
@_json
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
@click.option("--node", help="Only of this node: anvil, ipfs-1, ...")
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
@click.option("--amount", default="10", show_default=True, metavar="ETHER", help="How much.")
@_json
@_command
def fund(net: Localnet, *, address: str, amount: str, as_json: bool) -> None:
    """Send ether of the local chain to ADDRESS. It is worth nothing elsewhere."""
    try:
        ether = Decimal(amount)
    except InvalidOperation as error:
        raise click.UsageError(f"{amount!r} is no amount of ether; 0.5 is one") from error
    balance = net.fund(address, ether)
    if as_json:
        print_json({"address": address, "balance": format(balance, "f")})
    else:
        click.echo(f"{address} has {format(balance.normalize(), 'f')} ether now")


@localnet.command()
@click.option("--wipe", is_flag=True, help="Delete the chain and the content, too.")
@_json
@_command
def down(net: Localnet, *, wipe: bool, as_json: bool) -> None:
    """Stop everything. Chain and content stay for the next time, unless wiped."""
    with _progress() as say:
        net.down(wipe=wipe, say=say)
    if wipe and net.folder == default_folder().absolute():
        _forget_contracts()
    if as_json:
        print_json({"folder": str(net.folder), "wiped": wipe})
    elif wipe:
        click.echo("Down and wiped.")
    else:
        kept = net.settings() is not None
        click.echo("Down; chain and content are kept." if kept else "There is none; all is down.")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show a spinner with the last line said at a terminal, plain lines elsewhere."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield note
        return
    with console.status("…") as spinner:

        def say(line: str) -> None:
            console.print(f"[dim]{escape(line)}", soft_wrap=True)
            spinner.update(escape(line))

        yield say


def _show(status: NetStatus) -> None:
    chain = status.chain
    every = status.settings.block_time
    print_fields(
        [
            ("folder", str(status.folder)),
            ("chain", f"{chain.url}  (id {chain.chain_id})"),
            ("blocks", f"one every {every:g} s" if every else "one for each transaction, at once"),
        ]
    )
    block = "-" if chain.block is None else f"block {chain.block}"
    rows = [["anvil", _state(chain.pid, chain.block), _text(chain.pid), chain.url, block]]
    for node in status.ipfs:
        peers = "-" if node.peers is None else f"peers: {node.peers}"
        rows.append(
            [node.name, _state(node.pid, node.peers), _text(node.pid), node.api_url or "-", peers]
        )
    print_table(["node", "state", "process", "API", ""], rows, empty="")


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
            click.echo(f"{name:<7} {click.unstyle(line)}")


def _echo_new(name: str, path: Path, offset: int) -> int:
    """Print the whole lines after an offset and return where they end."""
    if not path.exists() or path.stat().st_size < offset:  # a new log was begun
        return 0
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    _echo_lines(name, whole.decode(errors="replace").splitlines())
    return offset + len(whole) + len(newline)


def _point_profile_at(status: NetStatus) -> None:
    """Have the profile `local-evm` lead to this network, whose ports are chosen free."""
    known = _profile()
    store = status.ipfs[0].api_url if status.ipfs else None
    wanted = replace(known, rpc=status.chain.url, chain_id=status.chain.chain_id, store=store)
    if wanted != known:
        from colearn_ledger.networks import Networks

        Networks().save(wanted)


def _forget_contracts() -> None:
    """Empty the profile's address book: those contracts are gone with their chain."""
    known = _profile()
    if known.contracts:
        from colearn_ledger.networks import Networks

        Networks().save(replace(known, contracts=()))


def _profile() -> Network:
    from colearn_ledger.networks import READY_NETWORKS, Networks

    return Networks().all().get(_NETWORK) or READY_NETWORKS[_NETWORK]
