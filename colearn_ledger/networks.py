"""Networks by name, the contracts deployed to them, and references to experiments.

They are in ``networks.toml`` in the user's configuration, which people may edit:

    [networks.local-evm]
    rpc = "http://127.0.0.1:8545"
    chain_id = 31337
    store = "http://127.0.0.1:5001"       # optional: where weights are by default
    contracts = ["0x5FbDB2315678afecb367f032d93F642f64180aa3"]   # the last one is the default
    max_fee_gwei = 50                     # optional: what a unit of gas may cost at most
    confirmations = 3                     # optional: blocks deep before a transaction counts

A reference names an experiment wherever it is, ``eip155:31337:0x5FbD…0aa3/7``: the account as in
CAIP-10, and the experiment's id in its contract.
"""

from __future__ import annotations

import fcntl
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address

from colearn_ledger.home import config_home, private_folder, write_private
from colearn_ledger.protocol import Account, ExperimentId, LedgerError

__all__ = [
    "READY_NETWORKS",
    "AmbiguousNetwork",
    "ExperimentReference",
    "InvalidNetwork",
    "InvalidReference",
    "Network",
    "Networks",
    "UnknownNetwork",
    "address",
    "masked",
]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_REFERENCE = re.compile(r"eip155:([0-9]{1,20}):(0x[0-9a-fA-F]{40})/([0-9]{1,20})")
_FIELDS = {"rpc", "chain_id", "store", "contracts", "max_fee_gwei", "confirmations"}
_LARGEST_CHAIN_ID = 2**64 - 1
_LARGEST_ID = 2**64 - 1
_HIGHEST_FEE = 1_000_000_000
_DEEPEST = 1_000
_FIRST_PRINTABLE = 0x20


class InvalidNetwork(LedgerError):
    """A network's profile, or the file of profiles, is wrong; says where and how."""


class UnknownNetwork(LedgerError):
    """There is no such network."""


class AmbiguousNetwork(LedgerError):
    """More than one network fits, and none was named."""


class InvalidReference(LedgerError):
    """The text is no reference to an experiment."""


def address(text: str) -> Account:
    """Return a 20-byte hexadecimal address in its EIP-55 form.

    Raises:
        InvalidReference: it is none, or its checksum says that it was mistyped.
    """
    if not text.startswith("0x") or not is_hex_address(text):
        raise InvalidReference(f"{text[:80]!r} is not an address: 0x and 40 hexadecimal digits")
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address(text):
        raise InvalidReference(f"{text} is mistyped: its checksum (EIP-55) does not hold")
    return Account(to_checksum_address(text))


def masked(url: str) -> str:
    """Return where a URL leads, without the keys that its path, query or user part may hold.

    Of several with commas between, each.
    """
    return ",".join(_masked(part) if "://" in part else part for part in url.split(","))


def _masked(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "?"
    more = "/…" if parts.path.strip("/") or parts.query or parts.username else ""
    return f"{parts.scheme}://{host}{port}{more}"


@dataclass(frozen=True, slots=True)
class ExperimentReference:
    """An experiment by chain, contract and id."""

    chain_id: int
    contract: Account
    experiment: ExperimentId

    def __str__(self) -> str:
        """Return the reference as it is written."""
        return f"eip155:{self.chain_id}:{self.contract}/{self.experiment}"

    @classmethod
    def parse(cls, text: str) -> ExperimentReference:
        """Read a reference.

        Raises:
            InvalidReference: it is none.
        """
        found = _REFERENCE.fullmatch(text)
        if found is None or int(found[1]) > _LARGEST_CHAIN_ID or int(found[3]) > _LARGEST_ID:
            raise InvalidReference(
                f"{text[:100]!r} is not a reference to an experiment; one looks like "
                "eip155:31337:0x5FbDB2315678afecb367f032d93F642f64180aa3/7"
            )
        return cls(int(found[1]), address(found[2]), ExperimentId(int(found[3])))


@dataclass(frozen=True, slots=True)
class Network:
    """A network's profile.

    Args:
        name: lower-case letters, digits and '-'.
        rpc: the URL of a node; it may hold a key, and is shown masked.
        chain_id: the chain that the node must be on (EIP-155).
        store: where weights are unless a command is told otherwise, if anywhere.
        contracts: what was deployed; the last one is meant by default.
        max_fee_gwei: what a unit of gas may cost at most, tip included; the client's own ceiling
            if ``None``.
        confirmations: blocks a transaction has to be deep before it counts; 1 is its own.

    Raises:
        InvalidNetwork: one of these can not be.
    """

    name: str
    rpc: str
    chain_id: int
    store: str | None = None
    contracts: tuple[Account, ...] = ()
    max_fee_gwei: float | None = None
    confirmations: int = 1

    def __post_init__(self) -> None:
        """Check what people may have typed."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidNetwork(
                f"a network can not be called {str(self.name)[:40]!r}: up to 32 lower-case "
                "letters, digits and '-' are wanted"
            )
        if not _is_text(self.rpc) or not _is_web_url(self.rpc):
            raise InvalidNetwork(
                f"the rpc of the network {self.name} is not the URL of a node; one looks like "
                "http://127.0.0.1:8545"
            )
        if type(self.chain_id) is not int or not 1 <= self.chain_id <= _LARGEST_CHAIN_ID:
            raise InvalidNetwork(f"the chain_id of the network {self.name} is not a chain's number")
        if self.store is not None and not _is_text(self.store):
            raise InvalidNetwork(f"the store of the network {self.name} is not a text")
        _checked_contracts(self)
        fee = self.max_fee_gwei
        if fee is not None and (type(fee) not in (int, float) or not 0 < fee < _HIGHEST_FEE):
            raise InvalidNetwork(f"the max_fee_gwei of the network {self.name} is not a price")
        if type(self.confirmations) is not int or not 1 <= self.confirmations <= _DEEPEST:
            raise InvalidNetwork(
                f"the confirmations of the network {self.name} are no number from 1 to {_DEEPEST}"
            )

    @property
    def contract(self) -> Account | None:
        """The contract that is meant by default."""
        return self.contracts[-1] if self.contracts else None

    def with_contract(self, contract: Account) -> Network:
        """Return the profile with a contract as the default one."""
        others = tuple(known for known in self.contracts if known != contract)
        return replace(self, contracts=(*others, contract))


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


def _checked_contracts(network: Network) -> None:
    try:
        wrong = [c for c in network.contracts if address(c) != c]
    except (InvalidReference, AttributeError, TypeError) as error:
        raise InvalidNetwork(
            f"the contracts of the network {network.name} are not all addresses"
        ) from error
    if wrong:
        raise InvalidNetwork(f"the contract {wrong[0]} of {network.name} is not in EIP-55 form")


READY_NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("local-evm", "http://127.0.0.1:8545", 31_337),
        Network("sepolia", "https://ethereum-sepolia-rpc.publicnode.com", 11_155_111),
        Network("base-sepolia", "https://sepolia.base.org", 84_532),
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

    def of_chain(self, chain_id: int, contract: Account) -> Network:
        """Return the network of a chain; of several, the one that knows the contract.

        Raises:
            UnknownNetwork: none is of this chain.
            AmbiguousNetwork: several are, and not exactly one of them knows the contract.
        """
        fitting = [n for n in self.all().values() if n.chain_id == chain_id]
        if len(fitting) > 1:
            fitting = [n for n in fitting if contract in n.contracts] or fitting
        if not fitting:
            raise UnknownNetwork(
                f"no network is known of chain {chain_id}; add one: colearn network add NAME "
                f"--rpc URL --chain-id {chain_id}"
            )
        if len(fitting) > 1:
            raise AmbiguousNetwork(
                f"several networks are of chain {chain_id}: {', '.join(n.name for n in fitting)}; "
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
    return Network(
        name,
        table["rpc"],
        table["chain_id"],
        table.get("store"),
        tuple(contracts),
        table.get("max_fee_gwei"),
        table.get("confirmations", 1),
    )


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
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
