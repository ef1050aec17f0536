"""The command `colearn deploy`: deploy the contract to a network."""

from __future__ import annotations

from collections.abc import Callable

import click

from colearn_learner.cli._support.connect import network_option
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import note, print_json, print_line, show_spinner
from colearn_learner.cli._support.secrets import key_option
from colearn_learner.names import find_name
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.address_book import Networks


@click.command()
@network_option
@key_option
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds to wait for the transaction to get into a block.",
)
@json_option
@report_errors
def deploy(
    *, network_name: str | None, wallet: Callable[[], Wallet], timeout: float, as_json: bool
) -> None:
    """Deploy the contract, print its address, and make it the network's default.

    Before anything is sent, the chain's id and the account's balance are checked.
    """
    networks = Networks()
    known = networks.all()
    network = known[find_name("network", network_name or "local-evm", known)]
    need(network.package)
    owner = wallet()
    with show_spinner(f"deploying to {network.name}"):
        done = network.deploy(
            owner, timeout=timeout, on_sent=lambda sent: note(f"sent transaction {sent}")
        )
    if as_json:
        print_json(
            {
                "contract": done.contract,
                "network": network.name,
                "chain_id": done.chain_id,
                "transaction": done.transaction,
                "block": done.block,
                "gas": done.cost,
                "owner": network.account_of(owner),
            }
        )
    else:
        print_line(done.contract)
    networks.add_contract(network.name, done.contract)  # may fail, so print first
    note(f"{done.cost:,} gas in block {done.block}; it is now the contract of {network.name}")
