"""Checks of the fields of a network's profile, which people type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeGuard
from urllib.parse import urlsplit

from colearn_ledger.networks.references import InvalidReference, account_address
from colearn_ledger.protocol import LedgerError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_COSMOS_CHAIN = re.compile(r"[-_a-zA-Z0-9]{1,32}")
_PREFIX = re.compile(r"[a-z]{1,20}")
_DENOMINATION = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}")
_LARGEST_CHAIN_ID = 2**64 - 1
_HIGHEST_FEE = 1_000_000_000
_HIGHEST_GAS_PRICE = 10**18
_DEEPEST = 1_000
_MOST_A_DAY = 10**30


class InvalidNetwork(LedgerError):
    """A network's profile, or the file of profiles, is not valid; the message names the field."""


def check_name(name: object) -> None:
    """Refuse a name that cannot be used in a file or on a command line."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidNetwork(
            f"{str(name)[:40]!r} is not a valid name for a network; use up to 32 lower-case "
            "letters, digits and '-'"
        )


def check_urls(name: str, field: str, urls: object, *, example: str) -> None:
    """Refuse anything but URLs of nodes. The error omits them, as they may contain a key."""
    listed = urls if isinstance(urls, tuple) else (urls,)
    if not listed:
        raise InvalidNetwork(f"network {name}: {field} is empty; add the URL of a node")
    for url in listed:
        if not _is_text(url) or not _is_web_url(str(url)):
            raise InvalidNetwork(
                f"network {name}: {field} is not the URL of a node; one looks like {example}"
            )
    if len(set(listed)) < len(listed):
        raise InvalidNetwork(f"network {name}: {field} lists a node twice; list each node once")


def check_agreement(name: str, agree: object, nodes: tuple[str, ...]) -> None:
    """Refuse a number of nodes that have to agree, but of which there are fewer."""
    if type(agree) is not int or agree < 1:
        raise _invalid(name, "agree", agree, "the number of nodes that have to agree, such as 2")
    if agree > len(nodes):
        raise InvalidNetwork(
            f"network {name}: agree is {agree}, but the number of nodes is {len(nodes)}; add "
            "nodes, or let fewer agree"
        )


def check_store(name: str, store: object) -> None:
    """Refuse a store that is not a text."""
    if store is not None and not _is_text(store):
        raise InvalidNetwork(f"network {name}: store is not a string")


def check_budget(name: str, budget: object) -> None:
    """Refuse a budget that is not an amount."""
    if budget is not None and (not _is_number(budget) or not 0 <= budget < _MOST_A_DAY):
        raise _invalid(name, "daily_budget", budget, "an amount of 0 or more")


def check_evm_chain(
    name: str, chain_id: object, max_fee_gwei: object, confirmations: object
) -> None:
    """Refuse fields that an EVM chain cannot have."""
    if type(chain_id) is not int or not 1 <= chain_id <= _LARGEST_CHAIN_ID:
        raise _invalid(name, "chain_id", chain_id, "a number such as 11155111")
    is_price = _is_number(max_fee_gwei) and 0 < max_fee_gwei < _HIGHEST_FEE
    if max_fee_gwei is not None and not is_price:
        raise _invalid(name, "max_fee_gwei", max_fee_gwei, "a price above 0")
    if type(confirmations) is not int or not 1 <= confirmations <= _DEEPEST:
        raise _invalid(name, "confirmations", confirmations, f"a number from 1 to {_DEEPEST}")


def check_cosmos_chain(name: str, chain_id: object) -> None:
    """Refuse an invalid id of a Cosmos chain."""
    if not isinstance(chain_id, str) or not _COSMOS_CHAIN.fullmatch(chain_id):
        raise _invalid(name, "chain_id", chain_id, "a string such as fetchhub-4")


def check_cosmos_access(name: str, prefix: object, denomination: object, gas_price: object) -> None:
    """Refuse addresses and fees that a Cosmos chain cannot have."""
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise _invalid(name, "prefix", prefix, "lower-case letters such as fetch")
    if not isinstance(denomination, str) or not _DENOMINATION.fullmatch(denomination):
        raise _invalid(name, "denomination", denomination, "the name of a coin such as afet")
    if not _is_number(gas_price) or not 0 <= gas_price < _HIGHEST_GAS_PRICE:
        raise _invalid(name, "gas_price", gas_price, "a price, or 0")


def check_contracts(name: str, contracts: object, is_account: Callable[[str], bool]) -> None:
    """Refuse contracts that are not addresses on the network's chain."""
    if not isinstance(contracts, tuple) or not all(isinstance(c, str) for c in contracts):
        raise InvalidNetwork(f"network {name}: contracts is not a list of addresses")
    for contract in contracts:
        try:
            normal = account_address(contract)
        except InvalidReference as error:
            raise InvalidNetwork(f"network {name}: {error}") from error
        if contract != normal:
            raise InvalidNetwork(
                f"network {name}: the contract {contract} is not in EIP-55 form; write {normal}"
            )
        if not is_account(contract):
            raise InvalidNetwork(
                f"network {name}: the contract {contract} is an address on another kind of chain"
            )


def _invalid(name: str, field: str, value: object, expected: str) -> InvalidNetwork:
    return InvalidNetwork(f"network {name}: {field} {value!r} is not valid; expected {expected}")


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) in (int, float)


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(value.encode())
    except UnicodeEncodeError:  # command-line bytes that are not text
        return False


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
