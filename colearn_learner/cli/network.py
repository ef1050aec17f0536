"""The commands `colearn network`: save networks and the contracts known on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import click

from colearn_learner.cli._support.collect import collect
from colearn_learner.cli._support.connect import parse_account
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import (
    note,
    print_fields,
    print_json,
    print_line,
    print_table,
)
from colearn_learner.names import find_name
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import BUILT_IN_NETWORKS, CosmosNetwork, EvmNetwork, Network
from colearn_ledger.networks.tables import fields_of, read_network
from colearn_ledger.networks.validation import InvalidNetwork
from colearn_ledger.text.amounts import format_amount
from colearn_ledger.text.urls import Urls, list_urls, masked

_MAX_FEE = 500
"""The highest price of gas, in gwei, where a network has none: `EvmSenderConfig.max_fee`."""


@dataclass(frozen=True, slots=True)
class _NetworkOptions:
    """The settings of a network; None where the user gave none."""

    rpc: tuple[str, ...]
    agree: int | None
    kind: str
    chain_id: str
    grpc: tuple[str, ...]
    prefix: str | None
    denomination: str | None
    gas_price: float | None
    store: str | None
    max_fee_gwei: float | None
    confirmations: int | None
    daily_budget: float | None


@click.group()
def network() -> None:
    """Save networks: the nodes to use, and the contracts known on each chain.

    local-evm, sepolia, base-sepolia, local-cosmos, fetch-mainnet and dorado are built in. To use
    your own node for one of them, add a network of the same name.
    """


@network.command()
@click.argument("name")
@click.option(
    "--rpc",
    required=True,
    multiple=True,
    metavar="URL",
    help="The URL of a node of the chain. Repeat it to add nodes for use when one fails.",
)
@click.option(
    "--agree",
    type=int,
    metavar="NUMBER",
    help="The number of nodes that have to give the same answer.  [default: 1]",
)
@click.option(
    "--kind",
    type=click.Choice(["evm", "cosmos"]),
    default="evm",
    show_default=True,
    help="The kind of chain; a Cosmos chain also needs --grpc, --prefix, --denomination and "
    "--gas-price.",
)
@click.option(
    "--chain-id",
    required=True,
    help="The chain's id: a number (EIP-155) or, for a Cosmos chain, a text.",
)
@click.option(
    "--grpc",
    multiple=True,
    metavar="URL",
    help="The URL of the node's gRPC service. Repeat it to add nodes.",
)
@click.option("--prefix", metavar="TEXT", help="The prefix of addresses, such as fetch.")
@click.option("--denomination", metavar="TEXT", help="The denomination of fees, such as afet.")
@click.option(
    "--gas-price",
    type=float,
    metavar="AMOUNT",
    help="The price of a unit of gas, in the denomination.",
)
@click.option(
    "--store", metavar="PLACE", help="The default store of weights; see colearn agent run --help."
)
@click.option(
    "--contract",
    metavar="ADDRESS",
    help="The address of a contract on the network, for example one that others deployed.",
)
@click.option(
    "--max-fee",
    "max_fee_gwei",
    type=float,
    metavar="GWEI",
    help="The highest price for a unit of gas; transactions wait while it is higher.  "
    "[default: 500]",
)
@click.option(
    "--confirmations",
    type=int,
    metavar="BLOCKS",
    help="The number of blocks after which a transaction counts as final.  [default: 1]",
)
@click.option(
    "--daily-budget",
    type=float,
    metavar="AMOUNT",
    help="The most that the transactions of one key may cost in a day: in coins on EVM chains, in "
    "the denomination on Cosmos chains.  [default: no limit]",
)
@collect(_NetworkOptions, "options")
@json_option
@report_errors
def add(*, name: str, contract: str | None, options: _NetworkOptions, as_json: bool) -> None:
    """Add a network, or change the one of this name.

    If the network exists and is of the same chain, settings that you leave out do not change.
    """
    networks = Networks()
    fields = {field: value for field, value in asdict(options).items() if value not in (None, ())}
    fields["chain_id"] = _parse_chain_id(options.kind, options.chain_id)
    known = networks.all().get(name)
    if known and (known.kind, known.chain_id) == (options.kind, fields["chain_id"]):
        kept = {field: value for field, value in fields_of(known).items() if value is not None}
        fields = {**kept, **fields}
    try:
        wanted = read_network(name, fields)
        if contract is not None:
            wanted = wanted.with_contract(parse_account(contract))
    except InvalidNetwork as error:
        raise click.UsageError(str(error)) from error
    networks.save(wanted)
    _show(wanted, as_json=as_json)


def _parse_chain_id(kind: str, text: str) -> int | str:
    if kind == "cosmos":
        return text
    if not text.isdecimal():
        raise click.UsageError(
            f"--chain-id {text[:40]} is not a number; for a Cosmos chain, add --kind cosmos"
        )
    return int(text)


@network.command("list")
@json_option
@report_errors
def list_networks(*, as_json: bool) -> None:
    """List the networks. Keys in URLs are hidden."""
    networks = Networks().all().values()
    if as_json:
        print_json([_as_json(n) for n in networks])
        return
    rows = [
        [n.name, str(n.chain_id), _summarize_nodes(n), masked(n.store or "-"), n.contract or "-"]
        for n in networks
    ]
    print_table(("name", "chain", "node", "store", "contract"), rows, empty="")


@network.command()
@click.argument("name")
@json_option
@report_errors
def show(*, name: str, as_json: bool) -> None:
    """Show a network with all its contracts. Keys in URLs are hidden."""
    known = Networks().all()
    _show(known[find_name("network", name, known)], as_json=as_json)


@network.command("use-contract")
@click.argument("name")
@click.argument("contract", metavar="ADDRESS")
@json_option
@report_errors
def use_contract(*, name: str, contract: str, as_json: bool) -> None:
    """Make a contract the default of a network, and remember the others.

    The default contract is used where a command gets just an id, such as colearn history 1.
    """
    networks = Networks()
    find_name("network", name, networks.all())
    try:
        changed = networks.add_contract(name, parse_account(contract))
    except InvalidNetwork as error:
        raise click.UsageError(str(error)) from error
    _show(changed, as_json=as_json)


@network.command()
@click.argument("name")
@report_errors
def remove(*, name: str) -> None:
    """Remove a network and its list of contracts; nothing changes on the chain.

    A built-in network is reset to its original settings.
    """
    networks = Networks()
    known = networks.all()
    if not networks.is_saved(find_name("network", name, known)):
        raise click.UsageError(
            f"{name} is built in and has its original settings, so there is nothing to remove"
        )
    networks.remove(name)
    built_in = name in BUILT_IN_NETWORKS
    print_line(f"reset {name} to its built-in settings" if built_in else f"removed {name}")
    if known[name].contracts:
        note(f"Its contracts are forgotten: {', '.join(reversed(known[name].contracts))}")
    if name.startswith("local-"):
        note("If its nodes run, colearn localnet up points it at them again.")


def _show(shown: Network, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(shown))
        return
    contracts = list(reversed(shown.contracts))
    print_fields(
        [
            ("name", shown.name),
            ("chain", str(shown.chain_id)),
            *_list_rows("node", shown.rpc),
            ("store", masked(shown.store or "-")),
            *_chain_fields(shown),
            *_agreement_rows(shown),
            ("daily budget", _format_budget(shown)),
            ("contract", contracts[0] if contracts else "-"),
            *(("", f"{contract} (older)") for contract in contracts[1:]),
        ]
    )


def _summarize_nodes(shown: Network) -> str:
    first, *others = map(masked, list_urls(shown.rpc))
    return f"{first} (+{len(others)})" if others else first


def _list_rows(name: str, urls: Urls) -> list[tuple[str, str]]:
    """Return a row for each URL, of which only the first has the name."""
    return [(name if not index else "", masked(url)) for index, url in enumerate(list_urls(urls))]


def _agreement_rows(shown: Network) -> list[tuple[str, str]]:
    if len(shown.nodes) == 1:
        return []
    return [("agree", f"{shown.agree} of {len(shown.nodes)} nodes")]


def _format_budget(shown: Network) -> str:
    if shown.daily_budget is None:
        return "-"
    unit = shown.access.denomination if isinstance(shown, CosmosNetwork) else "coins"
    return f"{format_amount(shown.daily_budget, unit)} per key"


def _chain_fields(shown: Network) -> list[tuple[str, str]]:
    if isinstance(shown, CosmosNetwork):
        access = shown.access
        return [
            *_list_rows("gRPC", access.grpc),
            ("prefix", access.prefix),
            ("fee", f"{format_amount(access.gas_price, access.denomination)} per unit of gas"),
        ]
    if isinstance(shown, EvmNetwork):
        return [
            ("fee", f"up to {format_amount(shown.max_fee_gwei or _MAX_FEE, 'gwei')}"),
            ("confirmations", f"{shown.confirmations} block{'s' * (shown.confirmations > 1)}"),
        ]
    return []


def _as_json(shown: Network) -> dict[str, Any]:
    fields = fields_of(shown)
    return {
        "name": shown.name,
        "kind": shown.kind,
        "chain_id": shown.chain_id,
        "rpc": [masked(url) for url in list_urls(shown.rpc)],
        "agree": shown.agree,
        "store": shown.store and masked(shown.store),
        "contract": shown.contract,
        "contracts": list(shown.contracts),
        "max_fee_gwei": fields["max_fee_gwei"],
        "confirmations": fields["confirmations"] or 1,
        "daily_budget": shown.daily_budget,
        "cosmos": {**asdict(shown.access), "grpc": [masked(url) for url in shown.nodes]}
        if isinstance(shown, CosmosNetwork)
        else None,
    }
