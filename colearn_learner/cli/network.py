"""`colearn network`: profiles of networks, and the contracts known on them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from colearn_learner.cli._support.connect import parse_account
from colearn_learner.cli._support.errors import report_errors
from colearn_learner.cli._support.output import print_fields, print_json, print_line, print_table
from colearn_learner.names import find_name
from colearn_ledger.networks.profiles import CosmosTerms, InvalidNetwork, Network, Networks
from colearn_ledger.text.urls import masked

__all__ = ["network"]

_TERMS = ("grpc", "prefix", "denomination", "gas_price")


@click.group()
def network() -> None:
    """Networks: through which node a chain is reached, and which contracts are known on it.

    local-evm, sepolia, base-sepolia, local-cosmos, fetch-mainnet and dorado are ready; give them
    your own node by `add`.
    """


@network.command()
@click.argument("name")
@click.option("--rpc", required=True, metavar="URL", help="A node of the chain.")
@click.option(
    "--kind",
    type=click.Choice(["evm", "cosmos"]),
    default="evm",
    show_default=True,
    help="What kind of chain; a Cosmos chain needs the four options below.",
)
@click.option(
    "--chain-id", required=True, help="The chain: a number (EIP-155), or a Cosmos chain's text."
)
@click.option("--grpc", metavar="URL", help="The node's gRPC.")
@click.option("--prefix", metavar="TEXT", help="How the chain's addresses begin: fetch.")
@click.option("--denomination", metavar="TEXT", help="In which fees are paid: afet.")
@click.option("--gas-price", type=float, metavar="AMOUNT", help="Of a unit of gas, in that.")
@click.option("--store", metavar="PLACE", help="Where weights are by default.")
@click.option("--contract", metavar="ADDRESS", help="A contract that others deployed.")
@click.option(
    "--max-fee",
    "max_fee_gwei",
    type=float,
    metavar="GWEI",
    help="What a unit of gas may cost at most; above that, transactions wait.  [default: 500]",
)
@click.option(
    "--confirmations",
    type=int,
    metavar="BLOCKS",
    help="How deep a transaction has to be before it counts.  [default: 1]",
)
@click.option(
    "--daily-budget",
    type=float,
    metavar="AMOUNT",
    help="The most that the transactions of one key may cost a day: in coins on EVM chains, in the "
    "denomination on Cosmos chains.  [default: no limit]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@report_errors
def add(*, name: str, kind: str, contract: str | None, as_json: bool, **given: Any) -> None:
    """Add a network, or change one of the same name; its contracts stay known."""
    networks = Networks()
    terms = {field: given.pop(field) for field in _TERMS}
    profile = {**given, "chain_id": _chain_id(kind, given["chain_id"])}
    try:
        known = networks.all().get(name)
        before = known if known and known.chain_id == profile["chain_id"] else None
        cosmos = _terms(kind, terms, before)
        wanted = Network(name, **_kept(profile, before), cosmos=cosmos)
        if contract is not None:
            wanted = wanted.with_contract(parse_account(contract))
    except InvalidNetwork as error:
        raise click.UsageError(str(error)) from error
    networks.save(wanted)
    _show(wanted, as_json=as_json)


def _chain_id(kind: str, text: str) -> int | str:
    if kind == "cosmos":
        return text
    if not text.isdecimal():
        raise click.UsageError(
            f"--chain-id {text[:40]} is not a number; of a Cosmos chain? Add --kind cosmos"
        )
    return int(text)


def _terms(kind: str, given: dict[str, Any], before: Network | None) -> CosmosTerms | None:
    """Return what a Cosmos chain has beside the rest, as before where nothing was given."""
    known = asdict(before.cosmos) if before and before.cosmos else {}
    wanted = {**known, **{field: value for field, value in given.items() if value is not None}}
    if kind == "evm":
        if stray := [field for field, value in given.items() if value is not None]:
            raise click.UsageError(f"--{stray[0].replace('_', '-')} wants --kind cosmos")
        return None
    if missing := [field for field in _TERMS if field not in wanted]:
        raise click.UsageError(f"a Cosmos chain needs --{missing[0].replace('_', '-')}")
    return CosmosTerms(**wanted)


def _kept(profile: dict[str, Any], before: Network | None) -> dict[str, Any]:
    """Return a profile with what it had before where nothing was given."""
    given = {name: value for name, value in profile.items() if value is not None}
    if before is None:
        return given
    names = ["store", "contracts", "max_fee_gwei", "confirmations", "daily_budget"]
    return {**{name: getattr(before, name) for name in names}, **given}


@network.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@report_errors
def show(*, name: str, as_json: bool) -> None:
    """Show a network with all its contracts. Keys in URLs are not shown."""
    known = Networks().all()
    _show(known[find_name("network", name, known)], as_json=as_json)


@network.command()
@click.argument("name")
@report_errors
def remove(*, name: str) -> None:
    """Remove a network and what is known of its contracts; they themselves stay where they are.

    A ready network that was changed is as it was.
    """
    networks = Networks()
    known = networks.all()
    if not networks.is_saved(find_name("network", name, known)):
        raise click.UsageError(f"{name} is a ready network and was not changed: it stays")
    networks.remove(name)
    print_line(f"removed {name}")


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
            ("daily budget", _show_budget(shown)),
            ("contract", contracts[0] if contracts else "-"),
            *(("", f"{contract} (before)") for contract in contracts[1:]),
        ]
    )


def _show_budget(shown: Network) -> str:
    if shown.daily_budget is None:
        return "-"
    unit = shown.cosmos.denomination if shown.cosmos else "coins"
    return f"{shown.daily_budget:g} {unit} for each key"


def _chain_fields(shown: Network) -> list[tuple[str, str]]:
    if terms := shown.cosmos:
        return [
            ("gRPC", masked(terms.grpc)),
            ("prefix", terms.prefix),
            ("fee", f"{terms.gas_price:g} {terms.denomination} for a unit of gas"),
        ]
    return [
        ("fee", f"up to {shown.max_fee_gwei:g} gwei" if shown.max_fee_gwei else "-"),
        ("depth", f"{shown.confirmations} blocks"),
    ]


def _as_json(shown: Network) -> dict[str, Any]:
    terms = shown.cosmos
    return {
        "name": shown.name,
        "kind": shown.kind,
        "chain_id": shown.chain_id,
        "rpc": masked(shown.rpc),
        "store": shown.store and masked(shown.store),
        "contract": shown.contract,
        "contracts": list(shown.contracts),
        "max_fee_gwei": shown.max_fee_gwei,
        "confirmations": shown.confirmations,
        "daily_budget": shown.daily_budget,
        "cosmos": terms and {**asdict(terms), "grpc": masked(terms.grpc)},
    }
