"""Names for accounts: of the user's own keys, and of others from a file that the user writes.

The file is ``names.toml`` in the user's configuration folder, or any other file:

    alice = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    bob = ["0x…", "wasm1…"]        # one name for several accounts

Names are for people only. Nothing is decided by them, and they are never sent anywhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from colearn_ledger.home import config_home
from colearn_ledger.keys.keystore import Keystore
from colearn_ledger.protocol import Account, LedgerError
from colearn_ledger.text.address import InvalidAddress, address_bytes

_LONGEST = 40


class InvalidNames(LedgerError):
    """The file of names cannot be read; the message gives the file and the reason."""


def find_names(accounts: Iterable[Account], path: Path | None = None) -> dict[Account, str]:
    """Return the names of those accounts that have one.

    A file has precedence over the keystore, and ``path`` over the file in the user's folder.

    Args:
        accounts: the accounts.
        path: a file of names besides that in the user's folder.

    Raises:
        InvalidNames: a file cannot be read, or gives a name or an account twice.
    """
    own = config_home() / "names.toml"
    known = _read_keystore()
    for file in (own if own.exists() else None, path):
        if file is not None:
            known |= read_names(file)
    named = {account: known.get(_identify(account)) for account in accounts}
    return _distinguish({account: name for account, name in named.items() if name is not None})


def read_names(path: Path) -> dict[tuple[bool, bytes], str]:
    """Return the names in a file by kind of chain and bytes of the account.

    Raises:
        InvalidNames: the file cannot be read, or gives an account twice.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidNames(f"cannot read the names in {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidNames(f"{path} is not a file of names in TOML: {error}") from error
    names: dict[tuple[bool, bytes], str] = {}
    for name, address in _pairs(document, path):
        try:
            identity = _identify(address)
        except InvalidAddress as error:
            raise InvalidNames(f"{path}: the account of {name!r}: {error}") from error
        if names.setdefault(identity, name) != name:
            raise InvalidNames(
                f"{path} gives the account {address} two names, {names[identity]!r} and {name!r}"
            )
    return names


def _pairs(document: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Account]]:
    for name, given in document.items():
        if not name.strip() or len(name) > _LONGEST or not name.isprintable():
            raise InvalidNames(
                f"{path}: the name {ascii(name)[:60]} is empty, has more than {_LONGEST} "
                "characters, or cannot be printed"
            )
        for address in given if isinstance(given, list) else [given]:
            if not isinstance(address, str):
                raise InvalidNames(f"{path}: {name!r} is not an address or a list of addresses")
            yield name, Account(address)


def _read_keystore() -> dict[tuple[bool, bytes], str]:
    names = {}
    for key in Keystore().all():
        if key.address is not None:
            names[_identify(key.address)] = key.name
        if key.cosmos_account is not None:
            names[True, key.cosmos_account] = key.name
    return names


def _identify(account: Account) -> tuple[bool, bytes]:
    """Return an account apart from the prefix of a Cosmos chain, on which its name is the same."""
    return not account.startswith("0x"), address_bytes(account)


def _distinguish(names: Mapping[Account, str]) -> dict[Account, str]:
    """Add the end of the account to a name that several accounts have."""
    given = list(names.values())
    return {
        account: name if given.count(name) == 1 else f"{name} {account[-4:]}"
        for account, name in names.items()
    }
