"""Read networks from TOML tables, and write them back without losing comments or order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.items import Array, Table

from colearn_ledger.networks.cosmos_access import CosmosAccess
from colearn_ledger.networks.profiles import CosmosNetwork, EvmNetwork, Network
from colearn_ledger.networks.validation import InvalidNetwork
from colearn_ledger.text.urls import Urls

_COMMON_FIELDS = ("kind", "rpc", "agree", "chain_id", "store", "contracts", "daily_budget")
_EVM_FIELDS = ("max_fee_gwei", "confirmations")
_COSMOS_FIELDS = ("grpc", "prefix", "denomination", "gas_price")
_HEADER = "Networks of colearn, see `colearn network --help`. URLs may contain keys."


def read_networks(document: Mapping[str, Any]) -> dict[str, Network]:
    """Return all networks of a document by name.

    Raises:
        InvalidNetwork: a table or a field is not valid.
    """
    if unknown := sorted(set(document) - {"networks"}):
        raise InvalidNetwork(f"unknown entry {unknown[0]!r}; profiles are tables [networks.NAME]")
    tables = document.get("networks", {})
    if not isinstance(tables, dict):
        raise InvalidNetwork("networks is not a table; write profiles as [networks.NAME]")
    return {name: read_network(name, table) for name, table in tables.items()}


def read_network(name: str, table: Any) -> Network:
    """Return the network that a table describes.

    Raises:
        InvalidNetwork: a field is unknown, missing or not valid.
    """
    if not isinstance(table, dict):
        raise InvalidNetwork(f"network {name} is not a table; write [networks.{name}]")
    kind = table.get("kind", "evm")
    if kind not in ("evm", "cosmos"):
        raise InvalidNetwork(f"network {name}: kind {kind!r} is not valid; expected evm or cosmos")
    own, other = (_EVM_FIELDS, _COSMOS_FIELDS) if kind == "evm" else (_COSMOS_FIELDS, _EVM_FIELDS)
    for field in sorted(set(table) - {*_COMMON_FIELDS, *own}):
        if field in other:
            raise InvalidNetwork(f"network {name}: {field} is not a field of the kind {kind}")
        known = ", ".join(sorted({*_COMMON_FIELDS, *own}))
        raise InvalidNetwork(f"network {name}: unknown field {field!r}; the fields are {known}")
    needed = {"rpc", "chain_id", *(_COSMOS_FIELDS if kind == "cosmos" else ())}
    if missing := sorted(needed - set(table)):
        raise InvalidNetwork(f"network {name}: {missing[0]} is missing")
    if not isinstance(table.get("contracts", []), list):
        raise InvalidNetwork(f"network {name}: contracts is not a list of addresses")
    common = {
        "name": name,
        "rpc": _read_urls(table["rpc"]),
        "agree": table.get("agree", 1),
        "chain_id": table["chain_id"],
        "store": table.get("store"),
        "contracts": tuple(table.get("contracts", [])),
        "daily_budget": table.get("daily_budget"),
    }
    if kind == "cosmos":
        access = {field: table[field] for field in _COSMOS_FIELDS}
        access["grpc"] = _read_urls(access["grpc"])
        return CosmosNetwork(**common, access=CosmosAccess(**access))
    return EvmNetwork(**common, **{f: table[f] for f in _EVM_FIELDS if f in table})


def put_network(document: tomlkit.TOMLDocument, network: Network) -> None:
    """Write a network into a document, keeping comments and the order of fields."""
    if not document.body:
        document.add(tomlkit.comment(_HEADER))
    if "networks" not in document:
        document.add("networks", tomlkit.table(is_super_table=True))
    tables: Any = document["networks"]
    if network.name not in tables:
        tables.add(network.name, tomlkit.table())
    table = tables[network.name]
    for field, value in fields_of(network).items():
        if value is None:
            table.pop(field, None)
        elif field == "contracts":
            _put_contracts(table, value)
        elif table.get(field) != value:
            table[field] = value


def remove_network(document: tomlkit.TOMLDocument, name: str) -> None:
    """Remove a network from a document."""
    tables: Any = document["networks"]
    tables.remove(name)


def fields_of(network: Network) -> dict[str, Any]:
    """Return every field of a network's table; fields to leave out are ``None``."""
    fields: dict[str, Any] = {
        "kind": None if network.kind == "evm" else network.kind,
        "rpc": _write_urls(network.rpc),
        "agree": network.agree if network.agree != 1 else None,
        "chain_id": network.chain_id,
        **dict.fromkeys((*_COSMOS_FIELDS, *_EVM_FIELDS)),
        "store": network.store,
        "contracts": list(network.contracts) or None,
        "daily_budget": network.daily_budget,
    }
    if isinstance(network, CosmosNetwork):
        fields |= {field: getattr(network.access, field) for field in _COSMOS_FIELDS}
        fields["grpc"] = _write_urls(network.access.grpc)
    if isinstance(network, EvmNetwork):
        fields["max_fee_gwei"] = network.max_fee_gwei
        fields["confirmations"] = network.confirmations if network.confirmations != 1 else None
    return fields


def _read_urls(value: Any) -> Any:
    """Return the URL of a node, or a tuple of several; the profile checks them."""
    if not isinstance(value, list | tuple):
        return value
    return value[0] if len(value) == 1 else tuple(value)


def _write_urls(urls: Urls) -> str | list[str]:
    return urls if isinstance(urls, str) else list(urls)


def _put_contracts(table: Table, contracts: list[str]) -> None:
    """Change a list only where it differs, so that the comments at other contracts stay."""
    if "contracts" not in table:
        table["contracts"] = tomlkit.array().multiline(multiline=True)
    known = table["contracts"]
    if not isinstance(known, Array):
        raise InvalidNetwork("contracts is not a list of addresses")
    for removed in [contract for contract in known if contract not in contracts]:
        known.remove(removed)
    for number, contract in enumerate(contracts):
        if list(known)[number : number + 1] != [contract]:
            if contract in known:
                known.remove(contract)
            known.insert(number, contract)
