"""`colearn network`: profiles of networks, and the contracts known on them."""

from __future__ import annotations

from typing import Any

import click

from colearn_learner.cli.failing import failing_clearly
from colearn_learner.cli.reaching import account_given
from colearn_learner.cli.showing import print_fields, print_json, print_table
from colearn_learner.names import find_name
from colearn_ledger.networks import InvalidNetwork, Network, Networks, masked

__all__ = ["network"]


@click.group()
def network() -> None:
    """Networks: through which node a chain is reached, and which contracts are known on it.

    local-evm, sepolia and base-sepolia are ready; give them your own node by `add`.
    """


@network.command()
@click.argument("name")
@click.option("--rpc", required=True, metavar="URL", help="A node of the chain.")
@click.option("--chain-id", required=True, type=click.IntRange(1), help="The chain (EIP-155).")
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def add(*, name: str, contract: str | None, as_json: bool, **profile: Any) -> None:
    """Add a network, or change one of the same name; its contracts stay known."""
    networks = Networks()
    try:
        known = networks.all().get(name)
        before = known if known and known.chain_id == profile["chain_id"] else None
        wanted = Network(name, **_kept(profile, before))
    except InvalidNetwork as error:
        raise click.UsageError(str(error)) from error
    if contract is not None:
        wanted = wanted.with_contract(account_given(contract))
    networks.save(wanted)
    _show(wanted, as_json=as_json)


def _kept(profile: dict[str, Any], before: Network | None) -> dict[str, Any]:
    """Return a profile with what it had before where nothing was given."""
    given = {name: value for name, value in profile.items() if value is not None}
    if before is None:
        return given
    names = ("store", "contracts", "max_fee_gwei", "confirmations")
    return {**{name: getattr(before, name) for name in names}, **given}


@network.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
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
@failing_clearly
def show(*, name: str, as_json: bool) -> None:
    """Show a network with all its contracts. Keys in URLs are not shown."""
    known = Networks().all()
    _show(known[find_name("network", name, known)], as_json=as_json)


@network.command()
@click.argument("name")
@failing_clearly
def remove(*, name: str) -> None:
    """Remove a network and what is known of its contracts; they themselves stay where they are.

    A ready network that was changed is as it was.
    """
    networks = Networks()
    known = networks.all()
    if not networks.is_saved(find_name("network", name, known)):
        raise click.UsageError(f"{name} is a ready network and was not changed: it stays")
    networks.remove(name)
    click.echo(f"removed {name}")


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
            ("fee", f"up to {shown.max_fee_gwei:g} gwei" if shown.max_fee_gwei else "-"),
            ("depth", f"{shown.confirmations} blocks"),
            ("contract", contracts[0] if contracts else "-"),
            *(("", f"{contract} (before)") for contract in contracts[1:]),
        ]
    )


def _as_json(shown: Network) -> dict[str, Any]:
    return {
        "name": shown.name,
        "chain_id": shown.chain_id,
        "rpc": masked(shown.rpc),
        "store": shown.store and masked(shown.store),
        "contract": shown.contract,
        "contracts": list(shown.contracts),
        "max_fee_gwei": shown.max_fee_gwei,
        "confirmations": shown.confirmations,
    }
