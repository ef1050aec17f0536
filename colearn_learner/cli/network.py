"""The commands `colearn network`: save networks and the contracts known on them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from colearn_learner.cli._support.connect import parse_account
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import print_fields, print_json, print_line, print_table
from colearn_learner.names import find_name
from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import BUILT_IN_NETWORKS, CosmosNetwork, EvmNetwork, Network
from colearn_ledger.networks.tables import fields_of, read_network
from colearn_ledger.networks.validation import InvalidNetwork
from colearn_ledger.text.urls import masked


@click.group()
def network() -> None:
    """Networks: the nodes to use, and the contracts known on each chain.

    local-evm, sepolia, base-sepolia, local-cosmos, fetch-mainnet and dorado are built in. Use
    `add` to give one of them your own node.
    """


@network.command()
@click.argument("name")
@click.option("--rpc", required=True, metavar="URL", help="A node of the chain.")
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
    help="The chain's id: a number (EIP-155), or a Cosmos chain's text.",
)
@click.option("--grpc", metavar="URL", help="The node's gRPC.")
@click.option("--prefix", metavar="TEXT", help="How addresses begin, such as fetch.")
@click.option("--denomination", metavar="TEXT", help="The coin for fees, such as afet.")
@click.option("--gas-price", type=float, metavar="AMOUNT", help="The price of gas in it.")
@click.option("--store", metavar="PLACE", help="The default store of weights.")
@click.option("--contract", metavar="ADDRESS", help="A contract that others deployed.")
@click.option(
    "--max-fee",
    "max_fee_gwei",
    type=float,
    metavar="GWEI",
    help="The highest price for a unit of gas; above it, transactions wait.  [default: 500]",
)
@click.option(
    "--confirmations",
    type=int,
    metavar="BLOCKS",
    help="The number of blocks after which a transaction counts.  [default: 1]",
)
@click.option(
    "--daily-budget",
    type=float,
    metavar="AMOUNT",
    help="The most that the transactions of one key may cost a day: in coins on EVM chains, in the "
    "denomination on Cosmos chains.  [default: no limit]",
)
@json_option
@report_errors
def add(*, name: str, contract: str | None, as_json: bool, **given: Any) -> None:
    """Add a network, or change one of the same name.

    On the same chain, everything that is not given stays as it was.
    """
    networks = Networks()
    fields = {field: value for field, value in given.items() if value is not None}
    fields["chain_id"] = _parse_chain_id(given["kind"], given["chain_id"])
    known = networks.all().get(name)
    if known and (known.kind, known.chain_id) == (given["kind"], fields["chain_id"]):
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
    """List the networks. Keys in URLs are not shown."""
    networks = Networks().all().values()
    if as_json:
        print_json([_as_json(n) for n in networks])
        return
    rows = [
        [n.name, str(n.chain_id), masked(n.rpc), masked(n.store or "-"), n.contract or "-"]
        for n in networks
    ]
    print_table(("name", "chain", "node", "weights", "contract"), rows, empty="")


@network.command()
@click.argument("name")
@json_option
@report_errors
def show(*, name: str, as_json: bool) -> None:
    """Show a network with all its contracts. Keys in URLs are not shown."""
    known = Networks().all()
    _show(known[find_name("network", name, known)], as_json=as_json)


@network.command()
@click.argument("name")
@report_errors
def remove(*, name: str) -> None:
    """Remove a network and the addresses of its contracts; the contracts themselves stay.

    A built-in network is reset to what it was before it was changed.
    """
    networks = Networks()
    known = networks.all()
    if not networks.is_saved(find_name("network", name, known)):
        raise click.UsageError(f"{name} is built in and was not changed; it stays")
    networks.remove(name)
    built_in = name in BUILT_IN_NETWORKS
    print_line(f"reset {name} to its built-in settings" if built_in else f"removed {name}")


def _show(shown: Network, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(shown))
        return
    contracts = list(reversed(shown.contracts))
    print_fields(
        [
            ("name", shown.name),
            ("chain", str(shown.chain_id)),
            ("node", masked(shown.rpc)),
            ("weights", masked(shown.store or "-")),
            *_chain_fields(shown),
            ("daily budget", _format_budget(shown)),
            ("contract", contracts[0] if contracts else "-"),
            *(("", f"{contract} (before)") for contract in contracts[1:]),
        ]
    )


def _format_budget(shown: Network) -> str:
    if shown.daily_budget is None:
        return "-"
    unit = shown.access.denomination if isinstance(shown, CosmosNetwork) else "coins"
    return f"{shown.daily_budget:g} {unit} for each key"


def _chain_fields(shown: Network) -> list[tuple[str, str]]:
    if isinstance(shown, CosmosNetwork):
        access = shown.access
        return [
            ("gRPC", masked(access.grpc)),
            ("prefix", access.prefix),
            ("fee", f"{access.gas_price:g} {access.denomination} for a unit of gas"),
        ]
    if isinstance(shown, EvmNetwork):
        return [
            ("fee", f"up to {shown.max_fee_gwei:g} gwei" if shown.max_fee_gwei else "-"),
            ("depth", f"{shown.confirmations} blocks"),
        ]
    return []


def _as_json(shown: Network) -> dict[str, Any]:
    fields = fields_of(shown)
    return {
        "name": shown.name,
        "kind": shown.kind,
        "chain_id": shown.chain_id,
        "rpc": masked(shown.rpc),
        "store": shown.store and masked(shown.store),
        "contract": shown.contract,
        "contracts": list(shown.contracts),
        "max_fee_gwei": fields["max_fee_gwei"],
        "confirmations": fields["confirmations"] or 1,
        "daily_budget": shown.daily_budget,
        "cosmos": {**asdict(shown.access), "grpc": masked(shown.access.grpc)}
        if isinstance(shown, CosmosNetwork)
        else None,
    }
