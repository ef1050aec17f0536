"""`colearn deploy`: the contract, onto a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.connect import cosmos_config, evm_config, network_option
from colearn_learner.cli._support.errors import need, report_errors
from colearn_learner.cli._support.output import note, print_json, print_line, show_spinner
from colearn_learner.cli._support.secrets import key_option
from colearn_learner.names import find_name
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.profiles import Network, Networks
from colearn_ledger.protocol import Account

if TYPE_CHECKING:
    from colearn_ledger.chains.cosmos.deploying import Deployed as DeployedOnCosmos
    from colearn_ledger.chains.evm.deploying import Deployed

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
@report_errors
def deploy(
    *, network_name: str | None, wallet: Callable[[], Wallet], timeout: float, as_json: bool
) -> None:
    """Deploy the contract, print its address, and make it the network's default.

    The chain's id and the account's balance are checked before anything is sent.
    """
    networks = Networks()
    known = networks.all()
    network = known[find_name("network", network_name or "local-evm", known)]
    need("web3" if network.cosmos is None else "cosmpy")
    owner = wallet()
    with show_spinner(f"deploying to {network.name}"):
        done = _deployed(network, owner, timeout)
    if as_json:
        print_json(
            {
                "contract": done.contract,
                "network": network.name,
                "chain_id": done.chain_id,
                "transaction": done.transaction,
                "block": done.block,
                "gas": done.cost,
                "owner": _account_of(owner, network),
            }
        )
    else:
        print_line(done.contract)
    networks.add_contract(network.name, done.contract)  # after printing: it may fail
    note(f"{done.cost:,} gas in block {done.block}; it is now the contract of {network.name}")


def _deployed(network: Network, owner: Wallet, timeout: float) -> Deployed | DeployedOnCosmos:
    def on_sent(transaction: str) -> None:
        note(f"sent transaction {transaction}")

    if network.cosmos is not None:
        from colearn_ledger.chains.cosmos import deploying as on_cosmos

        config = cosmos_config(network)
        return on_cosmos.deploy_contract(
            network.cosmos, owner, config=config, timeout=timeout, on_sent=on_sent
        )
    from colearn_ledger.chains.evm.deploying import deploy_contract

    return deploy_contract(
        network.rpc, owner, config=evm_config(network), timeout=timeout, on_sent=on_sent
    )


def _account_of(owner: Wallet, network: Network) -> Account:
    return owner.cosmos_address(network.cosmos.prefix) if network.cosmos else owner.address
