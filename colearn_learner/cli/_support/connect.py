"""Networks, references, ledgers and stores for commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import click

from colearn_learner.cli._support.errors import need
from colearn_learner.names import find_name
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.networks.profiles import (
    AmbiguousNetwork,
    Network,
    Networks,
)
from colearn_ledger.networks.references import (
    ExperimentReference,
    InvalidReference,
    account_address,
)
from colearn_ledger.protocol import Account, ExperimentId
from colearn_ledger.weights.store import ContentStore

if TYPE_CHECKING:
    from colearn_ledger.chains.cosmos import CosmosConfig
    from colearn_ledger.chains.evm import EvmConfig
    from colearn_ledger.ledger import Ledger, LedgerView

__all__ = [
    "Place",
    "choose_store",
    "cosmos_config",
    "evm_config",
    "find_contract",
    "find_experiment",
    "find_network",
    "network_option",
    "open_content_store",
    "open_ledger",
    "parse_account",
    "store_option",
]

_TOKENS = "COLEARN_STORE_TOKENS"
_MULTIADDRESS = ("/ip4/", "/ip6/", "/dns")


@dataclass(frozen=True, slots=True)
class Place:
    """An experiment and the network through which it is reached."""

    network: Network
    reference: ExperimentReference

    @property
    def experiment(self) -> ExperimentId:
        """The experiment's id in its contract."""
        return self.reference.experiment


def network_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--network``."""
    return click.option(
        "--network",
        "network_name",
        envvar="COLEARN_NETWORK",
        metavar="NAME",
        help="Which network (colearn network list). [default: $COLEARN_NETWORK, or the only one "
        "that fits]",
    )(command)


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--store``, also called ``--ipfs``; the command gets ``store``."""
    return click.option(
        *("--store", "--ipfs", "store"),
        envvar="COLEARN_STORE",
        metavar="PLACE",
        help="Where weights are: folder:/path, the URL of an IPFS node's API, gateway:URL, or "
        "several with commas. $COLEARN_STORE_TOKENS has tokens: host=token,…  "
        "[default: $COLEARN_STORE, or the network's own]",
    )(command)


def find_network(name: str | None) -> Network:
    """Return the network of a name; without one the only network that has a contract.

    Raises:
        UnknownName: there is none of this name.
        click.UsageError: there is no telling which is meant.
    """
    networks = Networks()
    known = networks.all()
    if name is not None:
        return known[find_name("network", name, known)]
    deployed = [network for network in known.values() if network.contracts]
    if len(deployed) == 1:
        return deployed[0]
    if deployed:
        raise click.UsageError(
            f"contracts are known on {', '.join(n.name for n in deployed)}; choose by --network"
        )
    raise click.UsageError(
        "which network? Choose by --network, or deploy first: colearn deploy --network local-evm "
        "--key NAME"
    )


def find_contract(name: str | None, contract: str | None) -> tuple[Network, Account]:
    """Return a network and a contract on it, by default the one deployed last.

    Raises:
        UnknownName, click.UsageError: it is not known which are meant.
    """
    network = find_network(name)
    if contract is not None:
        return network, parse_account(contract)
    if network.contract is None:
        raise click.UsageError(
            f"no contract is known on the network {network.name}; give its address by --contract, "
            f"or deploy one: colearn deploy --network {network.name} --key NAME"
        )
    return network, network.contract


def find_experiment(text: str, network_name: str | None) -> Place:
    """Return where the experiment of a reference, or of an id on a network, is.

    Raises:
        UnknownName, click.UsageError: it is not known which is meant.
    """
    if text.isdecimal():
        network, contract = find_contract(network_name, None)
        experiment = ExperimentId(min(int(text), 2**64 - 1))
        return Place(network, ExperimentReference(network.chain, contract, experiment))
    try:
        reference = ExperimentReference.parse(text)
        if network_name is None:
            network = Networks().of_chain(reference.chain, reference.contract)
        else:
            network = find_network(network_name)
    except (InvalidReference, AmbiguousNetwork) as error:
        raise click.UsageError(str(error)) from error
    if network.chain != reference.chain:
        raise click.UsageError(
            f"the reference is to chain {reference.chain} and the network {network.name} is "
            f"chain {network.chain}; choose another by --network"
        )
    return Place(network, reference)


def parse_account(text: str) -> Account:
    """Return an account's or a contract's address.

    Raises:
        click.UsageError: it is none.
    """
    try:
        return account_address(text)
    except InvalidReference as error:
        raise click.UsageError(str(error)) from error


@overload
def open_ledger(
    network: Network, contract: Account, wallet: None = None, *, poll: float = 1.0
) -> LedgerView: ...


@overload
def open_ledger(
    network: Network, contract: Account, wallet: Wallet, *, poll: float = 1.0
) -> Ledger: ...


def open_ledger(
    network: Network, contract: Account, wallet: Wallet | None = None, *, poll: float = 1.0
) -> LedgerView:
    """Connect to a contract; chain id and code are checked before anything is sent.

    Args:
        network: the network that the contract is on.
        contract: its address.
        wallet: signs transactions; without one, the result is a view that only reads.
        poll: seconds between two checks for a new block.

    Raises:
        WrongChain, WrongContract, LedgerUnavailable: the contract does not exist, or the network
            cannot be reached.
    """
    if network.cosmos is not None:
        need("cosmpy")
        from colearn_ledger.chains.cosmos import CosmosLedger

        cosmos = cosmos_config(network, poll=poll)
        return CosmosLedger.connect(network.cosmos, contract, wallet, config=cosmos)
    need("web3")
    from colearn_ledger.chains.evm import EvmLedger

    config = evm_config(network, poll=poll)
    return EvmLedger.connect(network.rpc, contract, wallet, config=config)


def cosmos_config(network: Network, *, poll: float = 1.0) -> CosmosConfig:
    """Return how a network's Cosmos chain is used."""
    from colearn_ledger.chains.cosmos import CosmosConfig, SenderConfig

    sending = SenderConfig(daily_budget=network.budget_in_smallest_unit)
    return CosmosConfig(chain_id=str(network.chain_id), poll_seconds=poll, sending=sending)


def evm_config(network: Network, *, poll: float = 1.0) -> EvmConfig:
    """Return how a network's chain is used, and how transactions on it are paid for."""
    from colearn_ledger.chains.evm import EvmConfig, SenderConfig

    sending = SenderConfig(
        confirmations=network.confirmations, daily_budget=network.budget_in_smallest_unit
    )
    if network.max_fee_gwei is not None:
        sending = replace(sending, max_fee=round(network.max_fee_gwei * 10**9))
    return EvmConfig(chain_id=int(network.chain_id), poll_seconds=poll, sending=sending)


def choose_store(store: str | None, network: Network) -> str:
    """Return which store is meant: the one given, or the network's own.

    Raises:
        click.UsageError: there is neither.
    """
    chosen = store or network.store
    if not chosen:
        raise click.UsageError(
            "where are the weights? Give --store folder:/path or the URL of an IPFS node's API, "
            f"or give the network {network.name} one: colearn network add --store"
        )
    return chosen


def open_content_store(spec: str, owner: str, *, to_read: bool = False) -> ContentStore:
    """Open a store, or several.

    Args:
        spec: what `colearn_ledger.weights.stores.open_store.open_store` knows.
        owner: in whose name content is pinned, where the store tells owners apart.
        to_read: whether a folder has to be there already.

    Raises:
        click.UsageError: it has to be, and is not; or there is no such store.
    """
    from colearn_ledger.weights.stores.addresses import StoreNotUsable
    from colearn_ledger.weights.stores.open_store import open_store

    path = Path(spec.removeprefix("folder:")).expanduser()
    is_folder = spec.startswith(("folder:", "/", ".", "~")) and not spec.startswith(_MULTIADDRESS)
    if to_read and is_folder and "," not in spec and not path.is_dir():
        raise click.UsageError(f"there is no store in {path}; check --store")
    try:
        return open_store(spec, owner=owner, tokens=_tokens())
    except StoreNotUsable as error:
        raise click.UsageError(str(error)) from error


def _tokens() -> dict[str, str]:
    """Return the tokens of stores, by host: never arguments, which others can see."""
    pairs = [part.partition("=") for part in os.environ.get(_TOKENS, "").split(",") if part]
    return {host.strip(): token for host, _, token in pairs}
