"""The commands `colearn localnet`: run chains and IPFS nodes on this machine."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.localnet_funds import (
    KeyNames,
    parse_amount,
    pay,
    select_payees,
)
from colearn_learner.cli._support.localnet_profiles import forget_contracts, save_profiles
from colearn_learner.cli._support.localnet_views import (
    document,
    show_log,
    show_new_log_lines,
    show_next_steps,
    show_status,
)
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import note, open_console, print_json, print_line
from colearn_learner.cli._support.secrets import Passwords, password_options
from colearn_localnet.errors import AddressRefused, LocalnetError, SettingsRefused
from colearn_localnet.net import Localnet, default_folder
from colearn_localnet.records import KINDS, Settings
from colearn_localnet.wasmd_releases import DEFAULT_RELEASE, RELEASES

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
    """Run chains and a private swarm of IPFS nodes (Kubo) on this machine.

    The chains are an EVM chain (anvil), a Cosmos chain with CosmWasm (wasmd), or both side by side.
    The nodes are native processes that listen on 127.0.0.1 only and keep running after the command.
    `down` and `up` keep the chains and the content. Missing programs are installed into
    ~/.cache/colearn the first time: anvil with npm in seconds, Kubo and wasmd with Go in some
    minutes, and Node.js and Go if needed.
    """


@dataclass(frozen=True, slots=True)
class _UpOptions:
    """The settings of a local network; None where the user gave none."""

    chain: str | None
    validators: int | None
    wasmd: str | None
    ipfs: int | None
    block_time: float | None

    def apply(self, net: Localnet) -> Settings:
        """Return the network's settings with these changes."""
        both = KINDS if self.chain == "both" else None
        return net.settings_with(
            chains=both or ((self.chain,) if self.chain else ()),
            ipfs=self.ipfs,
            block_time=self.block_time,
            validators=self.validators,
            wasmd=self.wasmd,
        )


@localnet.command()
@click.option(
    "--chain",
    type=click.Choice([*KINDS, "both"]),
    help="The kind of chain. A running chain of the other kind keeps running beside it; one that "
    "is down is kept. [default: the chains of the last time, or evm]",
)
@click.option(
    "--keys",
    "names",
    metavar="NAME,NAME…",
    callback=lambda _context, _option, text: KeyNames.parse(text),
    help="Also fund these keys on each chain, after creating those that do not exist.",
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
    help="The time between blocks of the chain; with 0, an EVM chain mines each transaction "
    "immediately. [default: 0; cosmos: 0.5]",
)
@password_options
@json_option
@collect(_UpOptions, "options")
@_command
def up(
    net: Localnet, *, options: _UpOptions, names: KeyNames, passwords: Passwords, as_json: bool
) -> None:
    """Start the nodes that are not running, and wait until all of them respond.

    Run it again to restart nodes that have failed, or to add a chain. Settings that you leave out
    do not change.
    """
    settings = options.apply(net)
    create_keys = names.prepare(passwords)
    with _progress() as report:
        status = net.up(settings, report=report)
        is_default = net.folder == default_folder().absolute()
        if is_default:
            save_profiles(status)
        create_keys()
        paid = pay(net, select_payees(names.names, settings.kinds), None, report)
    if as_json:
        print_json(document(status))
        return
    show_status(status)
    print_line()
    for payment in paid:
        print_line(str(payment))
    show_next_steps(status, is_default=is_default)


@localnet.command()
@json_option
@_command
def status(net: Localnet, *, as_json: bool) -> None:
    """Show the nodes and their addresses. The exit code is 0 only if all of them respond."""
    found = net.status()
    if as_json:
        print_json(document(found))
    else:
        show_status(found)
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
        show_log(name, content, lines)
    while follow:
        for name, path in files.items():
            ends[name] = show_new_log_lines(name, path, ends[name])
        time.sleep(_FOLLOW_PAUSE)


@localnet.command()
@click.argument("payees", nargs=-1, required=True, metavar="NAME|ADDRESS…")
@click.option(
    "--amount", metavar="N", help="The amount for each. [default: 10 ether; cosmos: 10000000 stake]"
)
@click.option(
    "--chain",
    type=click.Choice(KINDS),
    help="Pay the keys on this chain only. [default: on each chain of the network]",
)
@json_option
@_command
def fund(
    net: Localnet, *, payees: tuple[str, ...], amount: str | None, chain: str | None, as_json: bool
) -> None:
    """Send ether (cosmos: stake) to keys or addresses. It has no value elsewhere.

    A NAME is that of a key in your keystore; an ADDRESS is an account of anybody.
    """
    kinds = net.status().settings.kinds
    chosen = select_payees(payees, (chain,) if chain else kinds)
    wanted = parse_amount(amount, chosen)
    with _progress() as report:
        paid = pay(net, chosen, wanted, report)
    if as_json:
        print_json([payment.as_json() for payment in paid])
        return
    for payment in paid:
        print_line(str(payment))


@localnet.command()
@click.option("--wipe", is_flag=True, help="Also delete the chains and the content.")
@json_option
@_command
def down(net: Localnet, *, wipe: bool, as_json: bool) -> None:
    """Stop all nodes. The chains and the content are kept for the next `up`, unless wiped."""
    with _progress() as report:
        net.down(wipe=wipe, report=report)
    if wipe and net.folder == default_folder().absolute():
        forget_contracts()
    if as_json:
        print_json({"folder": str(net.folder), "wiped": wipe})
    elif wipe:
        print_line("Stopped all nodes; deleted the chains and the content.")
    else:
        kept = net.settings() is not None
        print_line(
            "Stopped all nodes; kept the chains and the content."
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
