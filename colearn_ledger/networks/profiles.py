"""Networks by name, and the contracts deployed to them.

They are in ``networks.toml`` in the user's configuration, which people may edit:

    [networks.local-evm]
    rpc = "http://127.0.0.1:8545"
    chain_id = 31337
    store = "http://127.0.0.1:5001"       # optional: where weights are by default
    contracts = ["0x5FbDB2315678afecb367f032d93F642f64180aa3"]   # the last one is the default
    max_fee_gwei = 50                     # optional: what a unit of gas may cost at most
    confirmations = 3                     # optional: blocks deep before a transaction counts
    daily_budget = 0.05                   # optional: the most that one key may spend a day

    [networks.local-cosmos]
    kind = "cosmos"                       # a CosmWasm chain; "evm" unless it is said
    rpc = "http://127.0.0.1:26657"
    grpc = "http://127.0.0.1:9090"
    chain_id = "colearn-local"
    prefix = "wasm"                       # with which its addresses begin
    denomination = "stake"                # in which fees are paid
    gas_price = 0.025                     # of a unit of gas, in that denomination
"""

from __future__ import annotations

import fcntl
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from colearn_ledger.home import config_home, private_folder, write_private
from colearn_ledger.networks.references import InvalidReference, account_address
from colearn_ledger.protocol import Account, LedgerError

__all__ = [
    "READY_NETWORKS",
    "AmbiguousNetwork",
    "CosmosTerms",
    "InvalidNetwork",
    "Network",
    "Networks",
    "UnknownNetwork",
]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_CHAIN_TEXT = re.compile(r"[-_a-zA-Z0-9]{1,32}")
_PREFIX = re.compile(r"[a-z]{1,20}")
_DENOMINATION = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}")
_COSMOS_FIELDS = ("grpc", "prefix", "denomination", "gas_price")
_EVM_FIELDS = ("max_fee_gwei", "confirmations")
_COMMON_FIELDS = ("kind", "rpc", "chain_id", "store", "contracts", "daily_budget")
_FIELDS = {*_COMMON_FIELDS, *_EVM_FIELDS, *_COSMOS_FIELDS}
_LARGEST_CHAIN_ID = 2**64 - 1
_HIGHEST_FEE = 1_000_000_000
_HIGHEST_GAS_PRICE = 10**18
_DEEPEST = 1_000
_MOST_A_DAY = 10**30
_FIRST_PRINTABLE = 0x20


class InvalidNetwork(LedgerError):
    """A network's profile, or the file of profiles, is wrong; says where and how."""


class UnknownNetwork(LedgerError):
    """There is no such network."""


class AmbiguousNetwork(LedgerError):
    """More than one network fits, and none was named."""


@dataclass(frozen=True, slots=True)
class CosmosTerms:
    """What a Cosmos chain has beside what every network has.

    Args:
        grpc: the URL of a node's gRPC, ``http://host:port`` or ``https://host``.
        prefix: with which the chain's addresses begin.
        denomination: in which fees are paid.
        gas_price: of a unit of gas, in that denomination; 0 where nothing is asked.
    """

    grpc: str
    prefix: str
    denomination: str
    gas_price: float


@dataclass(frozen=True, slots=True)
class Network:
    """A network's profile.

    Args:
        name: lower-case letters, digits and '-'.
        rpc: the URL of a node; it may hold a key, and is shown masked.
        chain_id: the chain that the node must be on: a number (EIP-155), or a Cosmos chain's text.
        store: where weights are unless a command is told otherwise, if anywhere.
        contracts: what was deployed; the last one is meant by default.
        max_fee_gwei: what a unit of gas may cost at most, tip included; the client's own ceiling
            if ``None``. Of EVM chains only.
        confirmations: blocks a transaction has to be deep before it counts; 1 is its own. A block
            of a Cosmos chain is final.
        cosmos: of a Cosmos chain, ``None`` of an EVM chain.
        daily_budget: the most that the transactions of one key may cost a day; no limit if
            ``None``. In coins (10^18 wei) on EVM chains, in the denomination on Cosmos chains.

    Raises:
        InvalidNetwork: one of these can not be.
    """

    name: str
    rpc: str
    chain_id: int | str
    store: str | None = None
    contracts: tuple[Account, ...] = ()
    max_fee_gwei: float | None = None
    confirmations: int = 1
    cosmos: CosmosTerms | None = None
    daily_budget: float | None = None

    def __post_init__(self) -> None:
        """Check what people may have typed."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidNetwork(
                f"a network can not be called {str(self.name)[:40]!r}: up to 32 lower-case "
                "letters, digits and '-' are wanted"
            )
        _check_url(self, "rpc", self.rpc, "http://127.0.0.1:8545")
        if self.store is not None and not _is_text(self.store):
            raise InvalidNetwork(f"the store of the network {self.name} is not a text")
        if self.cosmos is None:
            _check_evm(self)
        else:
            _check_cosmos(self, self.cosmos)
        _check_budget(self)
        _check_contracts(self)

    @property
    def budget_in_smallest_unit(self) -> int | None:
        """The daily budget in wei on EVM chains, in the denomination on Cosmos chains."""
        if self.daily_budget is None:
            return None
        return round(Decimal(str(self.daily_budget)) * (10**18 if self.cosmos is None else 1))

    @property
    def kind(self) -> str:
        """``evm`` or ``cosmos``."""
        return "evm" if self.cosmos is None else "cosmos"

    @property
    def chain(self) -> str:
        """The chain as in CAIP-2."""
        return f"{'eip155' if self.cosmos is None else 'cosmos'}:{self.chain_id}"

    @property
    def contract(self) -> Account | None:
        """The contract that is meant by default."""
        return self.contracts[-1] if self.contracts else None

    def with_contract(self, contract: Account) -> Network:
        """Return the profile with a contract as the default one."""
        others = tuple(known for known in self.contracts if known != contract)
        return replace(self, contracts=(*others, contract))


def _check_url(network: Network, field: str, url: object, example: str) -> None:
    if not _is_text(url) or not _is_web_url(str(url)):
        raise InvalidNetwork(
            f"the {field} of the network {network.name} is not the URL of a node; one looks like "
            f"{example}"
        )


def _check_evm(network: Network) -> None:
    number = network.chain_id
    if type(number) is not int or not 1 <= number <= _LARGEST_CHAIN_ID:
        raise InvalidNetwork(f"the chain_id of the network {network.name} is not a chain's number")
    fee = network.max_fee_gwei
    if fee is not None and (type(fee) not in (int, float) or not 0 < fee < _HIGHEST_FEE):
        raise InvalidNetwork(f"the max_fee_gwei of the network {network.name} is not a price")
    depth = network.confirmations
    if type(depth) is not int or not 1 <= depth <= _DEEPEST:
        raise InvalidNetwork(
            f"the confirmations of the network {network.name} are no number from 1 to {_DEEPEST}"
        )


def _check_cosmos(network: Network, terms: CosmosTerms) -> None:
    if not isinstance(network.chain_id, str) or not _CHAIN_TEXT.fullmatch(network.chain_id):
        raise InvalidNetwork(
            f"the chain_id of the network {network.name} is not a Cosmos chain's; one looks like "
            "fetchhub-4"
        )
    _check_url(network, "grpc", terms.grpc, "http://127.0.0.1:9090")
    for field, shape in (("prefix", _PREFIX), ("denomination", _DENOMINATION)):
        value = getattr(terms, field)
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise InvalidNetwork(f"the {field} of the network {network.name} can not be one")
    price = terms.gas_price
    if type(price) not in (int, float) or not 0 <= price < _HIGHEST_GAS_PRICE:
        raise InvalidNetwork(f"the gas_price of the network {network.name} is not a price")
    if network.max_fee_gwei is not None or network.confirmations != 1:
        raise InvalidNetwork(
            f"the network {network.name} is a Cosmos chain: max_fee_gwei and confirmations are of "
            "EVM chains"
        )


def _check_budget(network: Network) -> None:
    budget = network.daily_budget
    if budget is not None and (type(budget) not in (int, float) or not 0 <= budget < _MOST_A_DAY):
        raise InvalidNetwork(
            f"network {network.name}: daily_budget {budget!r} is not an amount of 0 or more"
        )


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(value.encode())
    except UnicodeEncodeError:  # bytes of the command line that are no text
        return False


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_contracts(network: Network) -> None:
    try:
        wrong = [c for c in network.contracts if account_address(c) != c]
        if terms := network.cosmos:
            foreign = [c for c in network.contracts if not c.startswith(f"{terms.prefix}1")]
        else:
            foreign = [c for c in network.contracts if not c.startswith("0x")]
    except (InvalidReference, AttributeError, TypeError) as error:
        raise InvalidNetwork(
            f"the contracts of the network {network.name} are not all addresses"
        ) from error
    if wrong:
        raise InvalidNetwork(f"the contract {wrong[0]} of {network.name} is not in EIP-55 form")
    if foreign:
        raise InvalidNetwork(
            f"the contract {foreign[0]} is no address on the network {network.name}"
        )


READY_NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("local-evm", "http://127.0.0.1:8545", 31_337),
        Network("sepolia", "https://ethereum-sepolia-rpc.publicnode.com", 11_155_111),
        Network("base-sepolia", "https://sepolia.base.org", 84_532),
        Network(
            "local-cosmos",
            "http://127.0.0.1:26657",
            "colearn-local",
            cosmos=CosmosTerms("http://127.0.0.1:9090", "wasm", "stake", 0.025),
        ),
        Network(
            "fetch-mainnet",
            "https://rpc-fetchhub.fetch.ai",
            "fetchhub-4",
            cosmos=CosmosTerms("https://grpc-fetchhub.fetch.ai", "fetch", "afet", 0),
        ),
        Network(
            "dorado",
            "https://rpc-dorado.fetch.ai",
            "dorado-1",
            cosmos=CosmosTerms("https://grpc-dorado.fetch.ai", "fetch", "atestfet", 5_000_000_000),
        ),
    )
}
"""What is there before anything was added; an own profile of the same name takes its place."""


class Networks:
    """The profiles in a file; processes may share it.

    Args:
        path: the file; ``networks.toml`` in the user's configuration by default.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or config_home() / "networks.toml"

    def all(self) -> dict[str, Network]:
        """Return all networks by name.

        Raises:
            InvalidNetwork: the file is damaged.
        """
        return {**READY_NETWORKS, **self._saved()}

    def get(self, name: str) -> Network:
        """Return a network.

        Raises:
            UnknownNetwork: there is none of this name.
            InvalidNetwork: the file is damaged.
        """
        networks = self.all()
        if name not in networks:
            raise UnknownNetwork(
                f"there is no network {name[:40]!r}; there are {', '.join(networks)}. Add one: "
                "colearn network add NAME --rpc URL --chain-id N"
            )
        return networks[name]

    def is_saved(self, name: str) -> bool:
        """Tell whether the file has a profile of this name."""
        return name in self._saved()

    def of_chain(self, chain: str, contract: Account) -> Network:
        """Return the network of a chain (CAIP-2); of several, the one that knows the contract.

        Raises:
            UnknownNetwork: none is of this chain.
            AmbiguousNetwork: several are, and not exactly one of them knows the contract.
        """
        fitting = [n for n in self.all().values() if n.chain == chain]
        if len(fitting) > 1:
            fitting = [n for n in fitting if contract in n.contracts] or fitting
        if not fitting:
            raise UnknownNetwork(
                f"no network is known of chain {chain}; add one: colearn network add NAME "
                f"--rpc URL --chain-id {chain.partition(':')[2]}"
                + (" --kind cosmos …" if chain.startswith("cosmos:") else "")
            )
        if len(fitting) > 1:
            raise AmbiguousNetwork(
                f"several networks are of chain {chain}: {', '.join(n.name for n in fitting)}; "
                "choose one by --network"
            )
        return fitting[0]

    def save(self, network: Network) -> None:
        """Write a profile, in place of one of the same name.

        Raises:
            InvalidNetwork: the file is damaged; it is left as it is.
            HomeNotWritable: the disk does not take it.
        """
        with self._changing() as saved:
            saved[network.name] = network

    def add_contract(self, name: str, contract: Account) -> Network:
        """Put a contract into the address book, as its network's default, and return that.

        Raises:
            UnknownNetwork: there is no such network.
        """
        self.get(name)
        with self._changing() as saved:
            known = saved.get(name) or READY_NETWORKS[name]
            saved[name] = known.with_contract(contract)
            return saved[name]

    def remove(self, name: str) -> None:
        """Remove a profile; what was ready before it was changed is there again.

        Raises:
            UnknownNetwork: the file has none of this name.
        """
        with self._changing() as saved:
            if name not in saved:
                raise UnknownNetwork(f"{self.path} has no network {name[:40]!r}")
            del saved[name]

    def _saved(self) -> dict[str, Network]:
        try:
            text = self.path.read_bytes().decode()
            document = tomllib.loads(text)
        except FileNotFoundError:
            return {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidNetwork(
                f"{self.path} is not TOML: {error}; mend it or move it away"
            ) from error
        except OSError as error:
            raise InvalidNetwork(f"{self.path} can not be read: {error.strerror}") from error
        try:
            return _networks_in(document)
        except InvalidNetwork as error:
            raise InvalidNetwork(f"{self.path}: {error}") from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Network]]:
        """Let the profiles be changed by one at a time; an error changes nothing."""
        private_folder(self.path.parent)
        with self.path.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            saved = self._saved()
            yield saved
            write_private(self.path, _as_toml(saved).encode())


def _networks_in(document: Mapping[str, Any]) -> dict[str, Network]:
    if unknown := sorted(set(document) - {"networks"}):
        raise InvalidNetwork(f"{unknown[0]!r} means nothing here; profiles are [networks.NAME]")
    tables = document.get("networks", {})
    if not isinstance(tables, dict):
        raise InvalidNetwork("networks is not a table; profiles are [networks.NAME]")
    return {name: _network_in(name, table) for name, table in tables.items()}


def _network_in(name: str, table: Any) -> Network:
    if not isinstance(table, dict):
        raise InvalidNetwork(f"the network {name} is not a table; write [networks.{name}]")
    if unknown := sorted(set(table) - _FIELDS):
        raise InvalidNetwork(
            f"the network {name} has an unknown field {unknown[0]!r}; there are "
            f"{', '.join(sorted(_FIELDS))}"
        )
    if missing := sorted({"rpc", "chain_id"} - set(table)):
        raise InvalidNetwork(f"the network {name} lacks its {missing[0]}")
    contracts = table.get("contracts", [])
    if not isinstance(contracts, list):
        raise InvalidNetwork(f"the contracts of the network {name} are not a list")
    terms = _terms_in(name, table)
    return Network(
        name,
        table["rpc"],
        table["chain_id"],
        table.get("store"),
        tuple(contracts),
        table.get("max_fee_gwei"),
        table.get("confirmations", 1),
        terms,
        table.get("daily_budget"),
    )


def _terms_in(name: str, table: Mapping[str, Any]) -> CosmosTerms | None:
    kind = table.get("kind", "evm")
    given = [field for field in _COSMOS_FIELDS if field in table]
    if kind not in ("evm", "cosmos"):
        raise InvalidNetwork(f"the kind of the network {name} is neither evm nor cosmos")
    if kind == "evm":
        if given:
            raise InvalidNetwork(f"the network {name} has a {given[0]} but is not of kind cosmos")
        return None
    if missing := sorted(set(_COSMOS_FIELDS) - set(given)):
        raise InvalidNetwork(f"the network {name} lacks its {missing[0]}")
    return CosmosTerms(*(table[field] for field in _COSMOS_FIELDS))


def _toml_string(text: str) -> str:
    """Return a basic string of TOML, with what can not stand in one escaped."""
    escaped = (
        f"\\u{ord(c):04x}" if ord(c) < _FIRST_PRINTABLE or c in '"\\\x7f' else c for c in text
    )
    return f'"{"".join(escaped)}"'


def _as_toml(networks: Mapping[str, Network]) -> str:
    parts = ["# Networks of colearn, see `colearn network --help`. URLs may hold keys.\n"]
    for network in networks.values():
        lines = [f"[networks.{network.name}]", f"rpc = {_toml_string(network.rpc)}"]
        if terms := network.cosmos:
            lines[1:1] = ['kind = "cosmos"']
            lines += [f"chain_id = {_toml_string(str(network.chain_id))}"]
            lines += [f"{f} = {_toml_string(getattr(terms, f))}" for f in _COSMOS_FIELDS[:-1]]
            lines += [f"gas_price = {terms.gas_price}"]
        else:
            lines.append(f"chain_id = {network.chain_id}")
        if network.store is not None:
            lines.append(f"store = {_toml_string(network.store)}")
        if network.contracts:
            rows = "".join(f"    {_toml_string(contract)},\n" for contract in network.contracts)
            lines.append(f"contracts = [\n{rows}]")
        if network.max_fee_gwei is not None:
            lines.append(f"max_fee_gwei = {network.max_fee_gwei}")
        if network.confirmations != 1:
            lines.append(f"confirmations = {network.confirmations}")
        if network.daily_budget is not None:
            lines.append(f"daily_budget = {network.daily_budget}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
