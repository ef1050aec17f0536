"""The command `colearn deploy`: deploy the contract to a network."""

from __future__ import annotations

import click

from colearn_learner.cli._support.connect import explain_unreachable
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.options import json_option
from colearn_learner.cli._support.output import note, print_json, print_line, show_spinner
from colearn_learner.cli._support.secrets import KeyOptions, key_options
from colearn_learner.names import find_name
from colearn_ledger.networks.address_book import Networks


@click.command()
@click.option(
    "--network",
    "network_name",
    envvar="COLEARN_NETWORK",
    default="local-evm",
    metavar="NAME",
    help="The network to deploy to; see colearn network list. [default: $COLEARN_NETWORK, or "
    "local-evm]",
)
@key_options
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="The most seconds to wait until the transaction is in a block.",
)
@json_option
@report_errors
def deploy(*, network_name: str, signer: KeyOptions, timeout: float, as_json: bool) -> None:
    """Deploy the contract, print its address, and make it the network's default contract.

    The chain's id and the account's balance are checked before anything is sent.
    """
    networks = Networks()
    known = networks.all()
    network = known[find_name("network", network_name, known)]
    need(network.package)
    owner = signer.open_wallet()
    with show_spinner(f"deploying to {network.name}"), explain_unreachable(network):
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
                "replaces": network.contract,
            }
        )
    else:
        print_line(done.contract)
    networks.add_contract(network.name, done.contract)  # may fail, so print first
    note(
        f"{done.cost:,} gas in block {done.block}; it is now the default contract of {network.name}"
    )
    if network.contract is not None:
        note(
            f"It replaces {network.contract}, whose experiments continue. To switch back: colearn "
            f"network use-contract {network.name} {network.contract}"
        )
