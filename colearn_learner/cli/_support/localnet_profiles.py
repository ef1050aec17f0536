"""Keep the network profiles of the default local network current."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from colearn_ledger.networks.address_book import Networks
from colearn_ledger.networks.profiles import CosmosNetwork, Network

if TYPE_CHECKING:
    from colearn_localnet.records import NetStatus

PROFILES = {"evm": "local-evm", "cosmos": "local-cosmos"}
"""The network profile of each kind of chain of the default local network."""


def find_profile(kind: str) -> Network:
    """Return the profile of a kind of chain of the default local network."""
    return Networks().get(PROFILES[kind])


def save_profiles(status: NetStatus) -> None:
    """Update the network's profiles, because its ports can change with each start."""
    store = ",".join(node.api_url for node in status.ipfs) or None
    for kind, chain in status.chains.items():
        known = find_profile(kind)
        wanted = replace(known, rpc=chain.url, agree=1, chain_id=chain.chain_id, store=store)
        if isinstance(wanted, CosmosNetwork) and chain.grpc is not None:
            wanted = replace(wanted, access=replace(wanted.access, grpc=chain.grpc))
        if wanted != known:
            Networks().save(wanted)


def profile_options(kind: str, status: NetStatus) -> list[str]:
    """Return the options with which `colearn network add` saves a profile of a chain."""
    chain, known = status.chains[kind], find_profile(kind)
    options = ["--chain-id", str(chain.chain_id), "--rpc", chain.url]
    if isinstance(known, CosmosNetwork) and chain.grpc is not None:
        access = known.access
        options += ["--kind", "cosmos", "--grpc", chain.grpc, "--prefix", access.prefix]
        options += ["--denomination", access.denomination, "--gas-price", f"{access.gas_price:g}"]
    if status.ipfs:
        options += ["--store", ",".join(node.api_url for node in status.ipfs)]
    return options


def forget_contracts() -> None:
    """Remove the contracts from the profiles after their chains were deleted."""
    for kind in PROFILES:
        known = find_profile(kind)
        if known.contracts:
            Networks().save(replace(known, contracts=()))
