"""The user's networks and their known contracts, in a file that people may edit.

The file is ``networks.toml`` in the user's configuration folder:

    [networks.local-evm]
    rpc = "http://127.0.0.1:8545"
    chain_id = 31337
    store = "http://127.0.0.1:5001"       # optional: the default store of weights
    contracts = ["0x5FbDB2315678afecb367f032d93F642f64180aa3"]   # the last one is the default
    max_fee_gwei = 50                     # optional: the highest price for a unit of gas
    daily_budget = 0.05                   # optional: the most that one key may spend a day
    confirmations = 3                     # optional: blocks after which a transaction counts

    [networks.local-cosmos]
    kind = "cosmos"                       # a CosmWasm chain; the default is "evm"
    rpc = "http://127.0.0.1:26657"
    grpc = "http://127.0.0.1:9090"
    chain_id = "colearn-local"
    prefix = "wasm"                       # the beginning of its addresses
    denomination = "stake"                # the coin that fees are paid in
    gas_price = 0.025                     # the price of one unit of gas in that coin
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomlkit

from colearn_ledger.home import config_home, lock_file, private_folder, write_private
from colearn_ledger.networks.profiles import BUILT_IN_NETWORKS, Network
from colearn_ledger.networks.tables import put_network, read_networks, remove_network
from colearn_ledger.networks.validation import InvalidNetwork
from colearn_ledger.protocol import Account, LedgerError


class UnknownNetwork(LedgerError):
    """No network has this name, or none is on this chain."""


class AmbiguousNetwork(LedgerError):
    """Several networks match, and none of them was chosen by name."""


class Networks:
    """The saved networks of a file, and the built-in ones. Processes may share the file.

    Args:
        path: the file; ``networks.toml`` in the user's configuration folder by default.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or config_home() / "networks.toml"

    def all(self) -> dict[str, Network]:
        """Return all networks by name.

        Raises:
            InvalidNetwork: the file is not valid.
        """
        return {**BUILT_IN_NETWORKS, **self._read_saved()}

    def get(self, name: str) -> Network:
        """Return the network with a name.

        Raises:
            UnknownNetwork: no network has this name.
            InvalidNetwork: the file is not valid.
        """
        networks = self.all()
        if name not in networks:
            raise UnknownNetwork(
                f"there is no network {name[:40]!r}; choose from {', '.join(networks)}, or add "
                "one: colearn network add NAME --rpc URL --chain-id N"
            )
        return networks[name]

    def is_saved(self, name: str) -> bool:
        """Return whether the file contains a profile of this name."""
        return name in self._read_saved()

    def find_chain(self, chain: str, contract: Account) -> Network:
        """Return the network of a chain (CAIP-2); of several, the one that lists the contract.

        Raises:
            UnknownNetwork: no network is on this chain.
            AmbiguousNetwork: several are, and not exactly one of them lists the contract.
        """
        matching = [n for n in self.all().values() if n.chain == chain]
        if len(matching) > 1:
            matching = [n for n in matching if contract in n.contracts] or matching
        if not matching:
            more = " --kind cosmos …" if chain.startswith("cosmos:") else ""
            raise UnknownNetwork(
                f"no network is known on chain {chain}; add one: colearn network add NAME "
                f"--rpc URL --chain-id {chain.partition(':')[2]}{more}"
            )
        if len(matching) > 1:
            raise AmbiguousNetwork(
                f"several networks are on chain {chain}: {', '.join(n.name for n in matching)}; "
                "choose one with --network"
            )
        return matching[0]

    def save(self, network: Network) -> None:
        """Write a profile, replacing any profile of the same name.

        Raises:
            InvalidNetwork: the file is not valid; it is not changed.
            HomeNotWritable: the file cannot be written.
        """
        with self._change() as document:
            put_network(document, network)

    def add_contract(self, name: str, contract: Account) -> Network:
        """Make a contract the default of a network; return the changed network.

        Raises:
            UnknownNetwork: no network has this name.
        """
        with self._change() as document:
            network = self.get(name).with_contract(contract)
            put_network(document, network)
        return network

    def remove(self, name: str) -> None:
        """Remove a profile from the file; this restores a built-in network of the same name.

        Raises:
            UnknownNetwork: the file has no profile of this name.
        """
        with self._change() as document:
            if not self.is_saved(name):
                raise UnknownNetwork(f"{self.path} does not contain the network {name[:40]!r}")
            remove_network(document, name)

    def _read_saved(self) -> dict[str, Network]:
        try:
            document = tomllib.loads(self._read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidNetwork(
                f"{self.path} is not TOML: {error}; correct it or move it away"
            ) from error
        try:
            return read_networks(document)
        except InvalidNetwork as error:
            raise InvalidNetwork(f"{self.path}: {error}") from error

    def _read_text(self) -> str:
        try:
            return self.path.read_bytes().decode()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise InvalidNetwork(f"cannot read {self.path}: {error.strerror}") from error

    @contextmanager
    def _change(self) -> Iterator[tomlkit.TOMLDocument]:
        """Lock the file, let the caller change its document, and save it unless an error occurs."""
        private_folder(self.path.parent)
        with lock_file(self.path.with_suffix(".lock")):
            self._read_saved()
            document = tomlkit.parse(self._read_text())
            yield document
            write_private(self.path, tomlkit.dumps(document).encode())
