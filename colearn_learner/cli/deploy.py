"""`colearn deploy`: the contract, onto a network."""

from __future__ import annotations

from collections.abc import Callable

import click

from colearn_learner.cli.asking import key_option
from colearn_learner.cli.failing import failing_clearly, need
from colearn_learner.cli.reaching import evm_config, network_option
from colearn_learner.cli.showing import note, print_json, working
from colearn_learner.names import find_name
from colearn_ledger.networks import Networks
from colearn_ledger.wallet import Wallet

__all__ = ["deploy"]


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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@failing_clearly
def deploy(
    *, network_name: str | None, wallet: Callable[[], Wallet], timeout: float, as_json: bool
) -> None:
    """Deploy the contract, print its address, and make it the network's default.

    The chain's id and the account's balance are checked before anything is sent.
    """
    need("web3")
    from colearn_ledger.evm.deploying import deploy_contract

    networks = Networks()
    known = networks.all()
    network = known[find_name("network", network_name or "local-evm", known)]
    owner = wallet()
    with working(f"deploying to {network.name}"):
        done = deploy_contract(
            network.rpc,
            owner,
            config=evm_config(network),
            timeout=timeout,
            on_sent=lambda transaction: note(f"sent transaction {transaction}"),
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
                "owner": owner.address,
            }
        )
    else:
        click.echo(done.contract)
    networks.add_contract(network.name, done.contract)  # after printing: it may fail
    note(f"{done.cost:,} gas in block {done.block}; it is now the contract of {network.name}")
