"""Find networks and experiments, and open ledgers and stores, for commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colearn_learner.cli._support.errors import need
from colearn_learner.names import find_name
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.ledger import LedgerUnavailable
from colearn_ledger.networks.address_book import AmbiguousNetwork, Networks
from colearn_ledger.networks.profiles import Network
from colearn_ledger.networks.references import (
    ExperimentReference,
    InvalidReference,
    account_address,
)
from colearn_ledger.protocol import Account, ExperimentId
from colearn_ledger.weights.store import ContentStore

if TYPE_CHECKING:
    from colearn_ledger.ledger import Ledger, LedgerView

_TOKENS = "COLEARN_STORE_TOKENS"
_MULTIADDRESS = ("/ip4/", "/ip6/", "/dns")


@dataclass(frozen=True, slots=True)
class Place:
    """An experiment and the network to use it through."""

    network: Network
    reference: ExperimentReference

    @property
    def experiment(self) -> ExperimentId:
        """The experiment's id in its contract."""
        return self.reference.experiment

    def open_ledger(self, wallet: Wallet, *, poll: float = 1.0) -> Ledger:
        """Connect to the experiment's contract to act in it."""
        return open_ledger(self.network, self.reference.contract, wallet, poll=poll)

    def open_view(self) -> LedgerView:
        """Connect to the experiment's contract to read it."""
        return open_view(self.network, self.reference.contract)


def find_network(name: str | None) -> Network:
    """Return the network of a name, or the only one that has a contract.

    Raises:
        UnknownName: no network has this name.
        click.UsageError: no name was given, and none or several networks have a contract.
    """
    known = Networks().all()
    if name is not None:
        return known[find_name("network", name, known)]
    deployed = [network for network in known.values() if network.contracts]
    if len(deployed) == 1:
        return deployed[0]
    if deployed:
        raise click.UsageError(
            f"several networks have contracts: {', '.join(n.name for n in deployed)}; choose one "
            "with --network"
        )
    raise click.UsageError(
        "no network has a contract yet; choose a network with --network, or deploy a contract: "
        "colearn deploy --network local-evm --key NAME"
    )


def find_contract(name: str | None, contract: str | None) -> tuple[Network, Account]:
    """Return a network and a contract on it, by default the one deployed last.

    Raises:
        UnknownName, click.UsageError: there is no such network, or no contract is known on it.
    """
    network = find_network(name)
    if contract is not None:
        return network, parse_account(contract)
    if network.contract is None:
        raise click.UsageError(
            f"no contract is known on the network {network.name}; save its address (colearn "
            f"network use-contract {network.name} ADDRESS), use a complete reference such as "
            f"{network.chain}:ADDRESS/1, or deploy a contract: colearn deploy --network "
            f"{network.name} --key NAME"
        )
    return network, network.contract


def find_experiment(text: str, network_name: str | None, networks: Networks | None = None) -> Place:
    """Return the experiment of a reference, or of an id on a network.

    Args:
        text: a reference, or an id in the network's default contract.
        network_name: the network; by default the only one that fits.
        networks: the known networks; the user's by default.

    Raises:
        UnknownName, click.UsageError: there is no such network, or several fit.
    """
    if text.isdecimal():
        network, contract = find_contract(network_name, None)
        experiment = ExperimentId(min(int(text), 2**64 - 1))
        return Place(network, ExperimentReference(network.chain, contract, experiment))
    try:
        reference = ExperimentReference.parse(text)
        if network_name is None:
            network = (networks or Networks()).find_chain(reference.chain, reference.contract)
        else:
            network = find_network(network_name)
    except (InvalidReference, AmbiguousNetwork) as error:
        raise click.UsageError(str(error)) from error
    if network.chain != reference.chain:
        raise click.UsageError(
            f"the experiment is on the chain {reference.chain}, but the network {network.name} is "
            f"on the chain {network.chain}; choose another network with --network"
        )
    return Place(network, reference)


def parse_account(text: str) -> Account:
    """Return the address of an account or a contract in its normal form.

    Raises:
        click.UsageError: the text is not an address.
    """
    try:
        return account_address(text)
    except InvalidReference as error:
        raise click.UsageError(str(error)) from error


def describe_other_contracts(chain: str, contract: Account) -> str:
    """Return a clause that names the other known contracts of a chain's network; may be empty."""
    for network in Networks().all().values():
        others = [known for known in reversed(network.contracts) if known != contract]
        if network.chain == chain and others:
            return (
                f"; other known contracts of {network.name}: {', '.join(others)}; to use one: "
                f"colearn network use-contract {network.name} {others[0]}"
            )
    return ""


@contextmanager
def explain_unreachable(network: Network) -> Iterator[None]:
    """Name the command that starts the local testnet if one of its nodes cannot be reached."""
    try:
        yield
    except LedgerUnavailable as error:
        if not network.name.startswith("local-"):
            raise
        kind = " --chain cosmos" if network.kind == "cosmos" else ""
        raise LedgerUnavailable(f"{error} To start it: colearn localnet up{kind}") from error


def open_ledger(
    network: Network, contract: Account, wallet: Wallet, *, poll: float = 1.0
) -> Ledger:
    """Connect to a contract to act in it, after checking the chain's id and the contract's code.

    Args:
        network: the network to connect through.
        contract: its address.
        wallet: signs transactions.
        poll: seconds between two checks for a new block.

    Raises:
        WrongChain, WrongContract: the node serves another chain, or there is no such contract.
        LedgerUnavailable: the node cannot be reached.
    """
    need(network.package)
    with explain_unreachable(network):
        return network.connect(contract, wallet, poll=poll)


def open_view(network: Network, contract: Account) -> LedgerView:
    """Connect to a contract to read it, with the same checks as `open_ledger`."""
    need(network.package)
    with explain_unreachable(network):
        return network.view(contract)


def choose_store(store: str | None, network: Network) -> str:
    """Return the store that was given, or the network's own.

    Raises:
        click.UsageError: no store was given, and the network has none.
    """
    chosen = store or network.store
    if not chosen:
        raise click.UsageError(
            "no store is known for the weights; use --store with folder:/path or the URL of an "
            "IPFS node's API, or save a store with the network: colearn network add "
            f"{network.name} --store …"
        )
    return chosen


def open_content_store(spec: str, owner: str, *, to_read: bool = False) -> ContentStore:
    """Open a store, or several stores as one.

    Args:
        spec: the store, in the syntax of `colearn_ledger.weights.stores.open_store.open_store`.
        owner: the owner of pins, for stores that separate them by owner.
        to_read: whether a folder must already exist.

    Raises:
        click.UsageError: a folder does not exist, or there is no such kind of store.
    """
    from colearn_ledger.weights.stores.addresses import StoreNotUsable
    from colearn_ledger.weights.stores.open_store import open_store

    path = Path(spec.removeprefix("folder:")).expanduser()
    is_folder = spec.startswith(("folder:", "/", ".", "~")) and not spec.startswith(_MULTIADDRESS)
    if to_read and is_folder and "," not in spec and not path.is_dir():
        raise click.UsageError(f"the store's folder {path} does not exist; check --store")
    try:
        return open_store(spec, owner=owner, tokens=_read_tokens())
    except StoreNotUsable as error:
        raise click.UsageError(str(error)) from error


def _read_tokens() -> dict[str, str]:
    """Return the stores' tokens by host, from the environment: other users can see arguments."""
    pairs = [part.partition("=") for part in os.environ.get(_TOKENS, "").split(",") if part]
    return {host.strip(): token for host, _, token in pairs}
